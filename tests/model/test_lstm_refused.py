"""What `ablate.LSTM` refuses, and that each refusal says what to do."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import ablate
from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.noise import Noise
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


@dataclass(frozen=True, slots=True)
class Broken(Noise):
    """A noise of one's own that fails in one way."""

    name: str = "BROKEN"
    how: str = "nan"

    def mean(self, rate):
        return float("nan") if self.how == "mean" else 1.0

    def variance(self, rate):
        return 1.0

    def multiplier(self, word, rate):
        if self.how == "raises":
            raise KeyError(rate)
        made = torch.full(word.shape, float("nan") if self.how == "nan" else 1.0)
        return made.long() if self.how == "whole" else made


@pytest.mark.parametrize("how", ["nan", "mean", "raises", "whole"])
def test_a_noise_that_cannot_multiply(how):
    """It would train to NaN without a word; a module looks at it as a study does."""
    placement = Placement({Edge.RECURRENT: Drop(0.3, noise=Broken(how=how))})
    with pytest.raises(AblateError, match=r"noise BROKEN at rate 0\.3"):
        ablate.LSTM(D, H, L, placement=placement)


WIDE = 2**14 + 1


def test_more_units_than_masks_have_addresses(refused):
    """Refused when the module is made, with the sharing that has addresses."""
    with refused():
        ablate.RNN(WIDE, 1, placement=Placement({Edge.INPUT: Drop(0.3)}))


@pytest.mark.parametrize("unit", [2, 2**31, ALL])
def test_units_that_share_may_be_more(unit):
    """An address is that of a group; one that is larger than the layer is the whole layer."""
    wide = Placement({Edge.INPUT: Drop(0.5, Sharing(unit=unit, batch=ALL))})
    masks = ablate.RNN(WIDE, 1, placement=wide, seed=3).masks(Edge.INPUT, time=9, batch=1)
    assert masks.shape[-1] == (1 if unit is ALL else WIDE)
    pairs = masks[..., : WIDE - 1].unflatten(-1, (-1, 2)) if unit == 2 else masks
    assert (pairs == pairs[..., :1]).all()


def test_two_names_of_one_argument(refused):
    """One of them would be forgotten."""
    module, x = ablate.LSTM(D, H, L), torch.zeros(T, B, D)
    with refused():
        module(x, (_GOOD, _GOOD), hx=(_GOOD, _GOOD))
    with refused():
        module(x, input=x)


def test_no_input(refused):
    """Under neither name."""
    with refused():
        ablate.LSTM(D, H, L)(hx=(_GOOD, _GOOD))


@pytest.mark.parametrize("sizes", [{}, {"time": 0, "batch": 1}, {"time": 2.0, "batch": 1}])
def test_masks_of_no_window(sizes, refused):
    """A window has a step and a row."""
    with refused():
        ablate.LSTM(D, H, placement=Placement({Edge.CELL: Drop(0.3)})).masks(Edge.CELL, **sizes)


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
