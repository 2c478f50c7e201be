"""What `ablate.LSTM` refuses, and that each refusal says what to do."""

import pytest
import torch
from torch import nn

import ablate
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.placement import Placement
from ablate.schedules import CURRICULUM

T, B, D, H, L = 7, 3, 5, 13, 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 0.5}, r"dropout=0.5 is the placement .*Edge\.INTERLAYER: ablate\.Drop\(0.5"),
        ({"proj_size": 4}, r"no projection inside the loop, got proj_size=4; leave it out"),
        ({"placment": None}, r"takes no 'placment'; did you mean 'placement'\?"),
        ({"seed": -1}, r"seed lies in \[0, 4294967296\), got -1"),
        ({"seed": 1.5}, r"seed is a whole number, got 1.5"),
        ({"stack": 256}, r"stack lies in \[0, 256\), got 256"),
        ({"placement": {Edge.OUTPUT: 0.5}}, r"takes a Placement or None, got .*strategies"),
        (
            {"placement": Placement({Edge.EMBEDDING | Edge.INPUT: Drop(0.5)})},
            r"p - ablate\.Edge\.EMBEDDING` is its own and .*LanguageModel",
        ),
        (
            {"placement": Placement({Edge.RECURRENT: Drop((0.1, 0.2, 0.3))})},
            r"RECURRENT acts at 2 layer\(s\) of a net of 2, got 3 rates",
        ),
        (
            {"placement": Placement({Edge.OUTPUT: Drop(0.5)}, CURRICULUM)},
            r"schedule CURRICULUM; before each update set `module.placement = placement.at\(",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_constructor_argument(options, message):
    """By name, with what stands in its place."""
    with pytest.raises(AblateError, match=message):
        ablate.LSTM(D, H, L, **options)


def test_silent_values_of_torchs_arguments_may_stand():
    """A line that writes torch's defaults out changes its first word only."""
    lstm = ablate.LSTM(D, H, L, dropout=0.0, bidirectional=False, proj_size=0)
    assert lstm.placement == Placement()


def test_torchs_dropout_is_the_interlayer_placement():
    """The placement that the refusal names drops what `nn.LSTM(dropout=p)` drops.

    With p near 1 and other weights alike, the upper layer sees its bias alone in both.
    """
    torch.manual_seed(1)
    ours = ablate.LSTM(D, H, 2, placement=Placement({Edge.INTERLAYER: Drop(1 - 2.0**-20)}), seed=1)
    theirs = nn.LSTM(D, H, 2, dropout=1.0)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(T, B, D)
    y, (h, c) = ours(x)
    y_theirs, (h_theirs, c_theirs) = theirs(x)
    torch.testing.assert_close(y, y_theirs)
    torch.testing.assert_close((h, c), (h_theirs, c_theirs))


def test_a_placement_that_is_set_is_checked_too():
    """And the old one stays."""
    lstm = ablate.LSTM(D, H, L)
    with pytest.raises(AblateError, match="EMBEDDING"):
        lstm.placement = Placement({Edge.EMBEDDING: Drop(0.5)})
    assert lstm.placement == Placement()


def test_dropout_that_is_set_afterwards():
    """Some code sets torch's attribute; it would do nothing here."""
    lstm = ablate.LSTM(D, H, L)
    lstm.dropout = 0.5
    with pytest.raises(AblateError, match=r"Edge\.INTERLAYER"):
        lstm(torch.zeros(T, B, D))


def _packed(width: int = D, dtype: torch.dtype = torch.float32) -> nn.utils.rnn.PackedSequence:
    x = torch.zeros(T, B, width, dtype=dtype)
    return nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 5, 2]))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        pytest.param(_packed(4), r"input_size=5, got 4 in \(14, 4\)", id="packed-width"),
        pytest.param(_packed(dtype=torch.float64), "x.to.torch.float32", id="packed-dtype"),
        pytest.param([[1.0]], "takes a tensor or a PackedSequence, got list", id="list"),
        pytest.param(torch.zeros(T), r"got 1 dimensions, \(7,\)", id="1-D"),
        pytest.param(torch.zeros(T, B, 4), r"input_size=5, got 4 in \(7, 3, 4\)", id="width"),
        pytest.param(torch.zeros(0, B, D), "at least one step, got none", id="no-steps"),
        pytest.param(
            torch.zeros(T, B, D).double(),
            r"torch.float64 and the weights are torch.float32",
            id="dtype",
        ),
        pytest.param(torch.zeros(T, B, D).long(), r"x.to\(torch.float32\)", id="integers"),
    ],
)
def test_an_input(x, message):
    """Of another kind, shape or dtype."""
    with pytest.raises(AblateError, match=message):
        ablate.LSTM(D, H, L)(x)


_GOOD = torch.zeros(L, B, H)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        pytest.param(_GOOD, r"a pair \(h, c\) of tensors, got Tensor", id="one"),
        pytest.param((_GOOD,), r"a pair \(h, c\) of tensors", id="single"),
        pytest.param(
            (_GOOD[:1], _GOOD), r"h of the state is .*\(2, 3, 13\), got \(1,", id="layers"
        ),
        pytest.param((_GOOD, _GOOD[:, 0]), r"c of the state is .*got \(2, 13\)", id="unbatched"),
        pytest.param((_GOOD, None), r"c of the state is .*got None", id="none"),
        pytest.param((_GOOD.double(), _GOOD), r"h.to\(torch.float32\)", id="dtype"),
    ],
)
def test_a_state(state, message):
    """Of another form, shape or dtype."""
    with pytest.raises(AblateError, match=message):
        ablate.LSTM(D, H, L)(torch.zeros(T, B, D), state)


def test_a_batched_state_of_an_unbatched_input():
    """[L, H] is asked for."""
    with pytest.raises(AblateError, match=r"\[L, H\], as the input has no batch"):
        ablate.LSTM(D, H, L)(torch.zeros(T, D), (_GOOD[:, :1], _GOOD[:, :1]))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"update": -1}, r"update lies in \[0, 4294967296\), got -1"),
        ({"update": "3"}, "update is a whole number, got '3'"),
        ({"start": -1, "update": 0}, "time lies in"),
        ({"batch_offset": -1}, "batch lies in"),
    ],
)
def test_a_coordinate(where, message):
    """That has no address."""
    with pytest.raises(AblateError, match=message):
        ablate.LSTM(D, H, L)(torch.zeros(T, B, D), **where)


@pytest.mark.parametrize(
    ("edge", "where", "message"),
    [
        (Edge.CELL, {}, r"drops INPUT, INTERLAYER, OUTPUT, and not CELL: there are no"),
        (Edge.VERTICAL, {}, r"one Edge such as Edge.RECURRENT, got INPUT\|INTERLAYER\|OUTPUT$"),
        ("RECURRENT", {}, r"masks are those of one Edge such as Edge.RECURRENT, got 'RECURRENT'$"),
        (Edge.EMBEDDING, {}, r"which ablate\.LSTM does not see"),
        (Edge.INTERLAYER, {"layer": 0}, r"acts at the layers \[1\] of 2, counted from 0, got 0"),
        (Edge.OUTPUT, {"layer": 0}, r"acts at the layers \[1\]"),
        (Edge.INPUT, {"batch": None}, r"give `time` and `batch`"),
    ],
)
def test_masks_of_an_edge(edge, where, message):
    """That drops nothing, at a layer where it does not act, or of an unknown window."""
    lstm = ablate.LSTM(D, H, L, placement=Placement({Edge.VERTICAL: Drop(0.5)}))
    with pytest.raises(AblateError, match=message):
        lstm.masks(edge, **({"time": T, "batch": B} | where))
