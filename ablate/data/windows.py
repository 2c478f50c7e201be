"""Windows over a sequence of tokens: truncated back-propagation for training, every token once for
evaluation.

Shape letters: T steps of a window, B rows of the batch (streams), N tokens. A window is a pair
`(x_TB, y_TB)` of `int64` tensors, inputs and targets. The rows are contiguous pieces of the text.
Each window continues where the previous one ended, so the state carries over.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablate.data.updates import training_updates

#: The target of a step that is not scored, PyTorch's own `ignore_index`.
IGNORE = -100


def training_windows(
    tokens: NDArray[np.int32], batch: int, unroll: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield an epoch's windows as Zaremba's code cuts them (arXiv:1409.2329, `ptb_word_lm`).

    Row b reads the b-th of `batch` pieces of N // batch tokens. Every window has `unroll` steps;
    a remainder at the end of each piece and of the text is discarded.

    Raises `AblateError`, at the call, if there is no window.
    """
    updates = training_updates(len(tokens), batch, unroll)
    length = len(tokens) // batch
    text_NB = _tensor(tokens[: length * batch]).view(batch, length).t().contiguous()
    return (
        (text_NB[start : start + unroll], text_NB[start + 1 : start + 1 + unroll])
        for start in range(0, updates * unroll, unroll)
    )


def evaluation_windows(
    tokens: NDArray[np.int32], streams: int, unroll: int, first: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows in which every token is a target exactly once.

    The text is cut into `streams` contiguous pieces whose lengths differ by at most one, the longer
    ones first. The input for the first token is `first` (the number of `<eos>`), for the first of
    any other piece the token before it. After the end of a shorter piece the target is `IGNORE`;
    the last window has the remaining steps, from 1 to `unroll`. `evaluation_order` restores the
    order of the text.
    """
    steps = -(-len(tokens) // streams)
    targets_NB = torch.full((steps * streams,), IGNORE)
    inputs_NB = torch.full((steps * streams,), first)
    order_N = evaluation_order(len(tokens), streams)
    text_N = _tensor(tokens)
    targets_NB[order_N] = text_N
    inputs_NB[order_N[1:]] = text_N[:-1]
    inputs_NB, targets_NB = inputs_NB.view(steps, streams), targets_NB.view(steps, streams)
    return (
        (inputs_NB[start : start + unroll], targets_NB[start : start + unroll])
        for start in range(0, steps, unroll)
    )


def evaluation_order(n_tokens: int, streams: int) -> Tensor:
    """Return the index of each token's value among the values of `evaluation_windows`.

    For values of shape `[steps, streams]`, all windows concatenated, with steps =
    ceil(N / streams), `values.flatten()[evaluation_order(N, streams)]` has shape `[N]` and is in
    the order of the text.
    """
    shortest, longer = divmod(n_tokens, streams)
    lengths_B = torch.full((streams,), shortest)
    lengths_B[:longer] += 1
    stream_N = torch.repeat_interleave(torch.arange(streams), lengths_B)
    starts_B = lengths_B.cumsum(0) - lengths_B
    step_N = torch.arange(n_tokens) - starts_B[stream_N]
    return step_N * streams + stream_N


def _tensor(tokens: NDArray[np.int32]) -> Tensor:
    return torch.from_numpy(tokens.astype(np.int64))
