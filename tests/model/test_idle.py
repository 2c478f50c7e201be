"""Dropout that acts nowhere in a net is told of, as `torch.nn.LSTM` tells of its own."""

import warnings

import pytest
import torch
from torch import nn

import ablate
from ablate.drops import VARIATIONAL, Drop
from ablate.edges import Edge
from ablate.errors import AblateWarning
from ablate.placement import Placement
from ablate.schedules import ANNEALED
from ablate.strategies import all_strategies

INTERLAYER = Placement({Edge.INTERLAYER: Drop(0.5)})

MADE = {
    "LSTM": lambda layers, placement: ablate.LSTM(4, 4, layers, placement=placement),
    "LanguageModel": lambda layers, placement: ablate.LanguageModel(
        9, 4, layers, placement=placement
    ),
}
KINDS = pytest.mark.parametrize("make", MADE.values(), ids=list(MADE))


def told(call) -> list[str]:
    """What `call` warns of."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    assert all(each.category is AblateWarning and each.filename == __file__ for each in found)
    return [str(each.message) for each in found]


def test_torch_warns_of_the_same():
    """Where `nn.LSTM` warns of its dropout, and nowhere else."""
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.LSTM(4, 4, 1, dropout=0.5)
    nn.LSTM(4, 4, 2, dropout=0.5)


@KINDS
def test_interlayer_in_one_layer(make):
    """Edge, number of layers and mend are named, once."""
    (message,) = told(lambda: make(1, INTERLAYER))
    for part in ("INTERLAYER", "this net has 1", "acts nowhere", "two layers or more"):
        assert part in message
    assert told(lambda: make(2, INTERLAYER)) == []


@KINDS
def test_a_placement_that_is_set_afterwards(make):
    """Once, although a schedule sets its rates at each update."""
    module = make(1, None)
    annealed = Placement(INTERLAYER, ANNEALED)

    def train() -> None:
        for update in range(5):
            module.placement = annealed.at(update, 10)

    assert len(told(train)) == 1


@pytest.mark.parametrize(
    ("placement", "number"),
    [
        pytest.param(Placement({Edge.VERTICAL: Drop(0.5)}), 0, id="vertical"),
        pytest.param(
            Placement({Edge.INPUT | Edge.INTERLAYER: Drop(0.5, VARIATIONAL)}), 0, id="input-too"
        ),
        pytest.param(Placement({Edge.INTERLAYER | Edge.OUTPUT: Drop(0.5)}), 0, id="output-too"),
        pytest.param(INTERLAYER | Placement({Edge.OUTPUT: Drop(0.4)}), 1, id="a-rate-of-its-own"),
        pytest.param(INTERLAYER | Placement({Edge.RECURRENT: Drop(0.5)}), 1, id="beside-another"),
        pytest.param(Placement({Edge.CELL | Edge.OUTPUT: Drop(0.5)}), 0, id="without"),
        pytest.param(Placement(), 0, id="nothing"),
    ],
)
def test_one_of_all_vertical_edges_is_none_too_many(placement, number):
    """Zaremba's placement of one layer has two edges; only a drop of its own is lost."""
    assert len(told(lambda: ablate.LSTM(4, 4, placement=placement))) == number


def test_every_strategy_in_one_layer():
    """Those that have a rate for INTERLAYER alone, which turns nothing there."""

    def warned(placement: Placement) -> bool:
        constant = Placement(placement - Edge.EMBEDDING)
        return bool(told(lambda: ablate.LSTM(4, 4, placement=constant)))

    alone = {each.name for each in all_strategies() if warned(each.place())}
    assert alone == {"interlayer", "merity2017", "melis2018"}


def test_a_hook_that_is_never_called():
    """INTERLAYER's in one layer."""
    lstm = ablate.LSTM(4, 4)
    (message,) = told(lambda: lstm.hook(Edge.INTERLAYER, lambda value: value))
    assert "acts nowhere" in message
    assert told(lambda: lstm.hook(Edge.VERTICAL, lambda value: value)) == []
    assert told(lambda: ablate.LSTM(4, 4, 2).hook(Edge.INTERLAYER, lambda value: value)) == []


def test_masks_that_are_none(refused):
    """There is no layer to name, and the message names none."""
    with pytest.warns(AblateWarning):
        lstm = ablate.LSTM(4, 4, placement=INTERLAYER)
    with refused():
        lstm.masks(Edge.INTERLAYER, time=2, batch=2)


def test_rates_by_layer_for_no_layer(refused):
    """The way out is to leave the edge out, not to give no rates."""
    by_layer = Placement({Edge.INTERLAYER: Drop((0.5, 0.3))})
    with refused():
        ablate.LSTM(4, 4, placement=by_layer)


def test_what_acts_nowhere_changes_nothing():
    """Output and gradient are those of the silent module."""
    x = torch.randn(5, 3, 4)
    modules = []
    for placement in (None, INTERLAYER):
        torch.manual_seed(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AblateWarning)
            modules.append(ablate.LSTM(4, 4, placement=placement))
    assert torch.equal(modules[0](x)[0], modules[1](x)[0])
