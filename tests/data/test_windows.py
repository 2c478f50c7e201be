"""Windows: Zaremba's cut for training, and every token a target exactly once in evaluation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablate.data.updates import training_updates
from ablate.data.windows import IGNORE, evaluation_order, evaluation_windows, training_windows

FIRST = 999

sizes = [
    pytest.param(101, 1, 7, id="N101-B1-T7"),
    pytest.param(101, 20, 7, id="N101-B20-T7"),
    pytest.param(101, 3, 1, id="N101-B3-T1"),
    pytest.param(97, 4, 200, id="N97-B4-T200"),
    pytest.param(60, 5, 4, id="N60-B5-T4-even"),
    pytest.param(7, 11, 3, id="N7-B11-T3-more-streams-than-tokens"),
    pytest.param(1, 1, 1, id="N1-B1-T1"),
    pytest.param(1, 4, 5, id="N1-B4-T5"),
]


def text(n_tokens: int) -> np.ndarray:
    tokens = np.arange(n_tokens, dtype=np.int32)
    tokens.setflags(write=False)
    return tokens


def test_training_windows_are_zarembas() -> None:
    """Two streams of five tokens give two windows of two steps, targets one step ahead."""
    windows = [(x.tolist(), y.tolist()) for x, y in training_windows(text(11), 2, 2)]
    assert windows == [
        ([[0, 5], [1, 6]], [[1, 6], [2, 7]]),
        ([[2, 7], [3, 8]], [[3, 8], [4, 9]]),
    ]


@pytest.mark.parametrize(
    ("n_tokens", "batch", "unroll", "updates"),
    [
        pytest.param(929_589, 20, 20, 2_323, id="ptb-small"),
        pytest.param(929_589, 20, 35, 1_327, id="ptb-medium"),
        pytest.param(92_958, 20, 20, 232, id="ptb-tenth"),
        pytest.param(84, 4, 20, 1, id="exactly-one"),
        pytest.param(8, 4, 1, 1, id="T1"),
    ],
)
def test_training_updates_count_whole_windows(
    n_tokens: int, batch: int, unroll: int, updates: int
) -> None:
    """The count is (N // batch - 1) // unroll, and the windows are as many, all of one shape."""
    assert training_updates(n_tokens, batch, unroll) == updates
    windows = list(training_windows(text(n_tokens), batch, unroll))
    assert len(windows) == updates
    assert {tuple(part.shape) for window in windows for part in window} == {(unroll, batch)}
    assert {part.dtype for window in windows for part in window} == {torch.int64}


@pytest.mark.parametrize(
    ("n_tokens", "batch", "unroll"),
    [
        pytest.param(0, 1, 1, id="nothing"),
        pytest.param(1, 1, 1, id="one-token"),
        pytest.param(83, 4, 20, id="one-short"),
        pytest.param(7, 11, 1, id="more-rows-than-tokens"),
    ],
)
def test_a_text_too_short_for_one_window_is_refused(
    n_tokens: int, batch: int, unroll: int, refused
) -> None:
    """The refusal comes at the call, not at the first window, and says how much is needed."""
    with refused():
        training_windows(text(n_tokens), batch, unroll)


@pytest.mark.parametrize(("n_tokens", "streams", "unroll"), sizes)
def test_every_token_is_a_target_once(n_tokens: int, streams: int, unroll: int) -> None:
    """Over all windows the targets that are not ignored are the text, each token once."""
    windows = list(evaluation_windows(text(n_tokens), streams, unroll, FIRST))
    targets = torch.cat([y.flatten() for _, y in windows])
    assert sorted(targets[targets != IGNORE].tolist()) == list(range(n_tokens))
    assert all(x.shape == y.shape and 1 <= len(x) <= unroll for x, y in windows)
    assert sum(len(x) for x, _ in windows) == -(-n_tokens // streams)


@pytest.mark.parametrize(("n_tokens", "streams", "unroll"), sizes)
def test_every_target_is_given_the_token_before_it(
    n_tokens: int, streams: int, unroll: int
) -> None:
    """The text's first token is given `first`; any other, at a stream's start too, its own past."""
    windows = list(evaluation_windows(text(n_tokens), streams, unroll, FIRST))
    for inputs, targets in windows:
        scored = targets != IGNORE
        past = torch.where(targets == 0, FIRST, targets - 1)
        assert torch.equal(inputs[scored], past[scored])
    assert windows[0][0][0, 0] == FIRST


@pytest.mark.parametrize(("n_tokens", "streams", "unroll"), sizes)
def test_values_go_back_in_the_order_of_the_text(n_tokens: int, streams: int, unroll: int) -> None:
    """Indexing the flattened steps by `evaluation_order` restores the text."""
    windows = evaluation_windows(text(n_tokens), streams, unroll, FIRST)
    values = torch.cat([y for _, y in windows])
    order = evaluation_order(n_tokens, streams)
    assert values.flatten()[order].tolist() == list(range(n_tokens))


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 50))
def test_streams_are_contiguous_and_of_nearly_one_length(
    n_tokens: int, streams: int, unroll: int
) -> None:
    """Each stream is a run of the text; lengths differ by one at most and only ends are ignored."""
    windows = evaluation_windows(text(n_tokens), streams, unroll, FIRST)
    values = torch.cat([y for _, y in windows])
    lengths = (values != IGNORE).sum(0)
    assert lengths.max() - lengths.min() <= 1
    runs = [values[:length, stream].tolist() for stream, length in enumerate(lengths)]
    assert [token for run in runs for token in run] == list(range(n_tokens))


def test_windows_do_not_write_into_the_corpus() -> None:
    """What a window yields is its own memory: a read-only corpus stays as it was."""
    tokens = text(50)
    for windows in (training_windows(tokens, 2, 5), evaluation_windows(tokens, 2, 5, FIRST)):
        for x, y in windows:
            x.zero_()
            y.zero_()
    assert tokens.tolist() == list(range(50))
