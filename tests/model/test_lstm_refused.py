"""What `ablate.LSTM` refuses, and that each refusal says what to do."""

import pytest
import torch
from torch import nn

import ablate
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.schedules import CURRICULUM

T, B, D, H, L = 7, 3, 5, 13, 2


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5},
        {"proj_size": 4},
        {"placment": None},
        {"seed": -1},
        {"seed": 1.5},
        {"stack": 256},
        {"placement": {Edge.OUTPUT: 0.5}},
        {"placement": Placement({Edge.EMBEDDING | Edge.INPUT: Drop(0.5)})},
        {"placement": Placement({Edge.RECURRENT: Drop((0.1, 0.2, 0.3))})},
        {"placement": Placement({Edge.OUTPUT: Drop(0.5)}, CURRICULUM)},
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_constructor_argument(options, refused):
    """By name, with what stands in its place."""
    with refused():
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


def test_a_placement_that_is_set_is_checked_too(refused):
    """And the old one stays."""
    lstm = ablate.LSTM(D, H, L)
    with refused():
        lstm.placement = Placement({Edge.EMBEDDING: Drop(0.5)})
    assert lstm.placement == Placement()


def test_dropout_that_is_set_afterwards(refused):
    """Some code sets torch's attribute; it would do nothing here."""
    lstm = ablate.LSTM(D, H, L)
    lstm.dropout = 0.5
    with refused():
        lstm(torch.zeros(T, B, D))


def _packed(width: int = D, dtype: torch.dtype = torch.float32) -> nn.utils.rnn.PackedSequence:
    x = torch.zeros(T, B, width, dtype=dtype)
    return nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 5, 2]))


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(_packed(4), id="packed-width"),
        pytest.param(_packed(dtype=torch.float64), id="packed-dtype"),
        pytest.param([[1.0]], id="list"),
        pytest.param(torch.zeros(T), id="1-D"),
        pytest.param(torch.zeros(T, B, 4), id="width"),
        pytest.param(torch.zeros(0, B, D), id="no-steps"),
        pytest.param(
            torch.zeros(T, B, D).double(),
            id="dtype",
        ),
        pytest.param(torch.zeros(T, B, D).long(), id="integers"),
    ],
)
def test_an_input(x, refused):
    """Of another kind, shape or dtype."""
    with refused():
        ablate.LSTM(D, H, L)(x)


_GOOD = torch.zeros(L, B, H)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(_GOOD, id="one"),
        pytest.param((_GOOD,), id="single"),
        pytest.param((_GOOD[:1], _GOOD), id="layers"),
        pytest.param((_GOOD, _GOOD[:, 0]), id="unbatched"),
        pytest.param((_GOOD, None), id="none"),
        pytest.param((_GOOD.double(), _GOOD), id="dtype"),
    ],
)
def test_a_state(state, refused):
    """Of another form, shape or dtype."""
    with refused():
        ablate.LSTM(D, H, L)(torch.zeros(T, B, D), state)


def test_a_batched_state_of_an_unbatched_input(refused):
    """[L, H] is asked for."""
    with refused():
        ablate.LSTM(D, H, L)(torch.zeros(T, D), (_GOOD[:, :1], _GOOD[:, :1]))


@pytest.mark.parametrize(
    "where",
    [
        {"update": -1},
        {"update": "3"},
        {"start": -1, "update": 0},
        {"batch_offset": -1},
    ],
)
def test_a_coordinate(where, refused):
    """That has no address."""
    with refused():
        ablate.LSTM(D, H, L)(torch.zeros(T, B, D), **where)


@pytest.mark.parametrize(
    ("edge", "where"),
    [
        (Edge.CELL, {}),
        (Edge.VERTICAL, {}),
        ("RECURRENT", {}),
        (Edge.EMBEDDING, {}),
        (Edge.INTERLAYER, {"layer": 0}),
        (Edge.OUTPUT, {"layer": 0}),
        (Edge.INPUT, {"batch": None}),
    ],
)
def test_masks_of_an_edge(edge, where, refused):
    """That drops nothing, at a layer where it does not act, or of an unknown window."""
    lstm = ablate.LSTM(D, H, L, placement=Placement({Edge.VERTICAL: Drop(0.5)}))
    with refused():
        lstm.masks(edge, **({"time": T, "batch": B} | where))
