"""What cannot be measured is shown as that, with the reason, and never as a rate."""

from dataclasses import replace

import pytest
import torch
from auditing.homemade import Before, Behind, Calculated
from torch import nn

from ablate.auditing import audit
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.placement import Placement

OUTPUT = Placement({Edge.OUTPUT: Drop(0.3)})


class Rows(nn.Module):
    """A batch normalisation of [T, B, H]."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, y):
        return self.norm(y.flatten(0, 1)).view_as(y)


class Gain(nn.Module):
    """A gain that begins at zero."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, y):
        return self.gain * y


class Constant(nn.Module):
    """Ones, whatever is read."""

    def forward(self, y):
        return torch.ones_like(y)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(nn.LayerNorm(8), id="layer-norm"),
        pytest.param(Rows(), id="batch-norm"),
        pytest.param(nn.Softmax(dim=-1), id="softmax"),
        pytest.param(nn.Linear(8, 8, bias=False), id="matrix"),
        pytest.param(Gain(), id="zero-gain"),
        pytest.param(Constant(), id="constant"),
    ],
)
def test_an_output_behind_something_else_is_not_measured(behind, wording):
    """Neither agreement nor disagreement."""
    found = audit(Behind(behind), OUTPUT)
    assert found.disagreements == ()
    assert not found.agrees
    assert found.found == ()
    (one,) = found.unmeasured
    assert one.edge is Edge.OUTPUT
    wording(one.why)
    assert "not measured" in str(found)
    assert "±" not in str(found)
    assert "not everything was decided" in str(found)
    assert "no law is broken; not everything" in str(replace(found, expected=None))


def test_a_function_of_each_unit_is_seen_through():
    """tanh is a line for small values."""
    assert audit(Behind(nn.Tanh()), OUTPUT).agrees


INPUT = Placement({Edge.INPUT: Drop(0.3)})


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(nn.Linear(6, 6), id="matrix-and-bias"),
        pytest.param(nn.Linear(6, 6, bias=False), id="matrix"),
        pytest.param(nn.LayerNorm(6), id="layer-norm"),
        pytest.param(Calculated(lambda x: 3.0 * x + 1.0), id="bias"),
        pytest.param(Calculated(torch.square), id="bent"),
        pytest.param(Calculated(lambda x: x * torch.arange(1.0, 7.0).to(x)), id="gains"),
    ],
)
def test_an_input_behind_something_else_is_not_measured(before, wording):
    """A matrix or a bias in front of the layers is no mask, and hides the one that acts there."""
    found = audit(Before(before), INPUT)
    assert found.disagreements == found.found == ()
    assert not found.agrees
    (one,) = found.unmeasured
    assert one.edge is Edge.INPUT
    wording(one.why)


class Stacked(nn.Module):
    """Two LSTMs of one layer with something between them, and dropout on that."""

    def __init__(self, between):
        super().__init__()
        self.low, self.between, self.top = nn.LSTM(6, 8), between, nn.LSTM(8, 8)

    def forward(self, x):
        y, _ = self.low(x)
        return self.top(nn.functional.dropout(self.between(y), 0.3, self.training))[0]


def test_a_matrix_between_layers_hides_what_stands_there():
    """As one in front of them does; without it the mask is found."""
    names = {
        f"{kind}_l{layer}": f"{which}.{kind}_l0"
        for layer, which in enumerate(("low", "top"))
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    placement = Placement({Edge.INTERLAYER: Drop(0.3)})
    assert audit(Stacked(nn.Identity()), placement, names=names).agrees
    found = audit(Stacked(nn.Linear(8, 8)), placement, names=names)
    assert found.disagreements == found.found == ()
    assert [(one.edge, one.layer) for one in found.unmeasured] == [(Edge.INTERLAYER, 1)]


class Residual(nn.Module):
    """The input is added to what an LSTM makes."""

    def __init__(self):
        super().__init__()
        self.lstm, self.drop = nn.LSTM(8, 8), nn.Dropout(0.3)

    def forward(self, x, state=None):
        y, state = self.lstm(self.drop(x), state)
        return x + self.drop(y), state


def test_what_stands_beside_the_layers_is_said_to_be_unmeasured():
    """Masks in the layers are measured all the same, their time included."""
    found = audit(Residual(), OUTPUT | Placement({Edge.INPUT: Drop(0.3)}))
    assert found.disagreements == ()
    assert {one.edge: one.sharing["time"] for one in found.found} == {Edge.INPUT: 1, Edge.OUTPUT: 1}
    assert ["around the layers" in sentence for sentence in found.undecided] == [True]


class Deaf(nn.Module):
    """An LSTM that does not hear its input."""

    def __init__(self):
        super().__init__()
        self.lstm, self.drop = nn.LSTM(6, 8), nn.Dropout(0.3)

    def forward(self, x, state=None):
        y, state = self.lstm(0.0 * x, state)
        return self.drop(y), state


def test_an_input_that_reaches_nothing_is_not_dropped():
    """It reads as zero in evaluation, too."""
    found = audit(Deaf(), OUTPUT)
    assert found.disagreements == ()
    assert [one.edge for one in found.found] == [Edge.OUTPUT]
    assert [one.edge for one in found.unmeasured] == [Edge.INPUT]
    assert found.unmeasured[0].why.startswith("no small change")


def test_a_rate_next_to_one_has_no_scale_and_no_standard_error():
    """It refutes a placement of another rate, and nothing else."""
    module = Behind(nn.Identity(), rate=1.0 - 1e-9)
    found = audit(module)
    assert found.found == found.disagreements == ()
    assert "nothing came through in training" in found.undecided[0]
    assert audit(module, OUTPUT).disagreements == (
        "OUTPUT at layer 0: nothing comes through; the placement drops there with rate 0.3",
    )


class Normalised(nn.Module):
    """z is normalised, so that biases open no gate."""

    def __init__(self):
        super().__init__()
        self.x2h, self.h2h, self.norm = nn.Linear(6, 32), nn.Linear(8, 32), nn.LayerNorm(32)

    def forward(self, x, state):
        h, c = state
        ys = []
        for step in x:
            i, f, g, o = self.norm(self.x2h(step) + self.h2h(h)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            ys.append(h)
        return torch.stack(ys), (h, c)


def test_gates_that_no_bias_opens_are_refused(refused):
    """The instrument is the gate."""
    with refused(AblateError):
        audit(Normalised())
