"""LSTMs as people write them are taken as they are, or by the wrapper that the refusal shows."""

import textwrap

import pytest
import torch
from auditing.homemade import (
    CellLoop,
    CellLoopAlone,
    Encoder,
    OneLinear,
    TwoLinears,
    Variational,
    WordModel,
)
from torch import nn

from ablate.auditing import audit
from ablate.drops import VARIATIONAL, Drop
from ablate.edges import Edge
from ablate.errors import AblateError, UnknownName
from ablate.placement import Placement

INPUT, OUTPUT = (Placement({edge: Drop(0.3)}) for edge in (Edge.INPUT, Edge.OUTPUT))
LOCKED = Placement({Edge.INPUT: Drop(0.3, VARIATIONAL)})


SHAPES = {
    "two-linears-ifog": (TwoLinears(), INPUT),
    "one-linear-forget-bias-lists": (
        OneLinear(),
        Placement({Edge.RECURRENT: Drop(0.3, VARIATIONAL)}),
    ),
    "encoder-y-alone": (Encoder(), INPUT | OUTPUT),
    "encoder-two-layers": (Encoder(layers=2, batch_first=False), INPUT | OUTPUT),
    "batch-first-cells": (CellLoop(), OUTPUT),
    "variational-alone": (Variational(), LOCKED),
    "stock-dropout": (nn.Dropout(0.3), OUTPUT),
    "stock-dropout-in-place": (nn.Dropout(0.3, inplace=True), OUTPUT),
    "language-model-in-place": (WordModel(layers=1, inplace=True), INPUT | OUTPUT),
    "language-model": (WordModel(), Placement({Edge.VERTICAL: Drop(0.3)})),
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_ordinary_shape_is_taken_by_looking(name):
    """Parameters, gates, layouts, states and results are found, and every edge at its rate."""
    module, placement = SHAPES[name]
    found = audit(module, placement)
    assert found.agrees, found
    assert {one.edge for one in found.found} == set(placement)


# What was measured is compared in one way, but a layer that only drops is measured in another.
COMPARED = ("two-linears-ifog", "stock-dropout")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in COMPARED else pytest.mark.slow, id=name)
        for name in SHAPES
    ],
)
def test_an_ordinary_shape_disagrees_with_another_rate(name):
    """No shape agrees with whatever it is compared with."""
    module, placement = SHAPES[name]
    assert audit(module, _other(placement)).disagreements


def _other(placement: Placement) -> Placement:
    """The same edges at another rate."""
    return Placement({edge: Drop(0.6, drop.sharing) for edge, drop in placement.items()})


def test_the_layout_of_a_layer_that_only_drops_is_told():
    """Rows of [T, B, D] are steps of [B, T, D]: the words say so, and the argument decides."""
    module = Variational(time=1)
    found = audit(module, LOCKED)
    assert len(found.disagreements) == 2
    assert any("say batch_first=True" in sentence for sentence in found.undecided)
    assert audit(module, LOCKED, batch_first=True).agrees


def test_the_edge_of_a_layer_that_only_drops_is_told_where_several_drop(refused):
    """Without it the refusal says how."""
    with refused(AblateError, given=(Edge.INPUT, Edge.OUTPUT)):
        audit(Variational(), LOCKED | OUTPUT)
    found = audit(Variational(), LOCKED | OUTPUT, edge=Edge.INPUT)
    assert found.agrees


def test_parameters_are_told_by_name(refused):
    """Where a module has two that looking cannot tell apart."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.LSTM(6, 8), nn.LSTM(6, 8)

        def forward(self, x, state):
            return self.one(nn.functional.dropout(x, 0.3, self.training), state)

    with refused(AblateError, given=("one.weight_ih_l0", "other.weight_ih_l0")):
        audit(Two())
    kinds = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    assert audit(Two(), INPUT, names={kind: f"one.{kind}" for kind in kinds}).agrees
    with refused(UnknownName, given="one.weight_ih"):
        audit(Two(), names={"weight_ih_l0": "one.weight_ih"})


class Masked(nn.Module):
    """Words and a mask of them, in place of a state."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(5, 6), nn.LSTM(6, 8)

    def forward(self, tokens, mask):
        return self.lstm(self.embedding(tokens) * mask[..., None])


def test_an_argument_that_is_no_state_is_named(refused):
    """The parameters that torch's own LSTM keeps in a list are no trace of an earlier call."""
    with refused(AblateError):
        audit(Masked())


class Apart(nn.Module):
    """Two directions as two modules, and y alone."""

    def __init__(self):
        super().__init__()
        self.fwd, self.bwd = nn.LSTM(6, 8), nn.LSTM(6, 8)

    def forward(self, x):
        x = nn.functional.dropout(x, 0.3, self.training)
        return torch.cat([self.fwd(x)[0], self.bwd(x.flip(0))[0].flip(0)], dim=-1)


class Restless(nn.Module):
    """A state in a form of its own: one tensor of both, after x."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(6, 8)

    def forward(self, x, state):
        return self.lstm(x, state)


@pytest.mark.parametrize(
    ("module", "placement"),
    [
        pytest.param(nn.LSTM(6, 8, bidirectional=True), Placement(), id="two-directions"),
        pytest.param(Apart(), INPUT, id="two-directions-apart"),
        pytest.param(nn.LSTMCell(6, 8), Placement(), id="cell"),
        pytest.param(Restless(), Placement(), id="one-step"),
        pytest.param(CellLoopAlone(), Placement(), id="loop-without-a-state"),
    ],
)
def test_a_refusal_shows_a_wrapper_that_runs(module, placement, refused):
    """The code of the message, as it stands, makes a module that can be audited."""
    with refused(AblateError) as raised:
        audit(module, placement)
    text = str(raised.value)
    code = textwrap.dedent(
        "\n".join(line for line in text.splitlines()[1:] if line.startswith("    ") or not line)
    )
    made: dict = {}
    exec(code, made)
    wrapper = text.partition(", and audit ")[2].partition("(module)")[0]
    told = {}
    if "with names=" in text:
        told = {"names": eval(text.partition("with names=")[2])}
    assert audit(made[wrapper](module), placement, **told).agrees
