"""What the looped path costs: few large products, no autograd inside, no second derivative.

A product is one matrix times one matrix, so that `bmm` counts as many as its batch.
"""

from collections import Counter

import pytest
import torch
from engine.case import layer_factors, make_case, window_of
from torch.utils._python_dispatch import TorchDispatchMode

from ablate.cells import CELLS, RNN_RELU
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine.layers.looped import looped_layer
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.plan import Mode
from ablate.errors import AblateError
from ablate.placement import Placement

_SINGLE = {"mm", "addmm", "mv", "addmv"}
_BATCHED = {"bmm": 0, "baddbmm": 1}

CELL = [pytest.param(cell, id=name) for name, cell in CELLS.items() if cell is not RNN_RELU]


class Products(TorchDispatchMode):
    """Counts matrix products and all operations while it is active."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.operations = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        self.operations[name] += 1
        if name in _SINGLE:
            self.count += 1
        elif name in _BATCHED:
            self.count += args[_BATCHED[name]].shape[0]
        return operation(*args, **(kwargs or {}))


def _run(case, placement, mode=Mode.TRAIN):
    """One layer through the looped path: its output and the inputs that have gradients."""
    window = window_of(case, mode=mode)
    factors = layer_factors(placement, 0, window, cell=case.cell)
    # A trial alone is a cohort of one.
    state = tuple(part[:1] for part in case.state)
    weights = LayerWeights(*(w if w is None else w[None] for w in case.weights[0]))
    factors = {site: factor[None] for site, factor in factors.items()}
    out = looped_layer(case.x_TBD[None], state, weights, factors, cell=case.cell)
    return out, list(case.leaves().values())


def _products(case, placement):
    with Products() as forward:
        out, leaves = _run(case, placement)
    made = [out.y_TBH, *out.state]
    with Products() as backward:
        torch.autograd.grad(made, leaves, [torch.ones_like(value) for value in made])
    return forward, backward


TOGETHER = [
    pytest.param(Placement(), id="silent"),
    pytest.param(Placement({Edge.INPUT: Drop(0.3)}), id="input"),
    pytest.param(Placement({Edge.INPUT: Drop(0.3, Sharing(time=ALL, batch=ALL, gate=1))}), id="w"),
    pytest.param(Placement({Edge.WEIGHT: Drop(0.3)}), id="weight"),
    pytest.param(Placement({Edge.RECURRENT: Drop(0.3)}), id="recurrent"),
    pytest.param(
        Placement({Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, batch=ALL, gate=1))}), id="folded"
    ),
    pytest.param(
        Placement({edge: Drop(0.3, fill=Fill.HOLD) for edge in Edge.HIDDEN | Edge.CARRY}),
        id="zoneout",
    ),
    pytest.param(
        Placement({Edge.RECURRENT | Edge.HIDDEN | Edge.UPDATE | Edge.CELL | Edge.CARRY: Drop(0.3)}),
        id="inside",
    ),
]

APART = [
    pytest.param(Placement({Edge.INPUT: Drop(0.3, Sharing(gate=1))}), id="input"),
    pytest.param(Placement({Edge.RECURRENT: Drop(0.3, Sharing(gate=1))}), id="recurrent"),
    pytest.param(
        Placement({Edge.INPUT | Edge.RECURRENT: Drop(0.3, Sharing(gate=1, time=ALL))}), id="gal2016"
    ),
]


@pytest.mark.parametrize("steps", [7, 1])
@pytest.mark.parametrize("placement", TOGETHER)
@pytest.mark.parametrize("cell", CELL)
def test_one_product_a_step_and_few_besides(cell, placement, steps):
    """At most T + 1 matrix products forward and T + 3 backward a layer."""
    forward, backward = _products(make_case(1, steps=steps, cell=cell), placement & cell.has)
    assert steps <= forward.count <= steps + 1, forward.operations
    assert steps <= backward.count <= steps + 3, backward.operations


@pytest.mark.parametrize("steps", [7, 1])
@pytest.mark.parametrize("placement", APART)
@pytest.mark.parametrize("cell", CELL)
def test_a_product_for_each_gate_where_gates_are_apart(cell, placement, steps):
    """As many times as many where each gate has a mask of its own; one gate has it anyway."""
    forward, backward = _products(make_case(1, steps=steps, cell=cell), placement)
    gates = len(cell.gates)
    assert steps <= forward.count <= gates * (steps + 1), forward.operations
    assert steps <= backward.count <= gates * (steps + 3), backward.operations
    assert gates == 1 or min(forward.count, backward.count) > steps


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("cell", CELL)
def test_the_counter_sees_every_product(cell, bias):
    """The counts are exact for a silent layer, so that the bounds above bound something."""
    forward, backward = _products(make_case(1, bias=bias, cell=cell), Placement())
    assert (forward.count, backward.count) == (7 + 1, 7 + 3)


def _graph(root):
    """The nodes below `root`, by name."""
    seen, stack = set(), [root]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += [below for below, _ in node.next_functions]
    return Counter(type(node).__name__ for node in seen)


@pytest.mark.parametrize("placement", TOGETHER + APART)
@pytest.mark.parametrize("cell", CELL)
def test_no_graph_is_recorded_inside_the_loop(cell, placement):
    """Autograd sees one node for all steps: as many nodes for seven steps as for one."""
    own = placement & cell.has
    seven, one = (_run(make_case(1, steps=steps, cell=cell), own)[0] for steps in (7, 1))
    graph = _graph(seven.y_TBH.grad_fn)
    assert graph == _graph(one.y_TBH.grad_fn)
    loop = seven.y_TBH.grad_fn
    assert graph[type(loop).__name__] == 1
    assert all(part.grad_fn is loop for part in seven.state)
    # The input, r_1, the state, both weights and what is added to z, in sum or to each of its
    # parts; kind, steps and factors have no gradient.
    leaves = 4 + len(cell.state) + (1 + cell.splits)
    assert sum(below is not None for below, _ in loop.next_functions) == leaves


def test_gradient_mode_is_off_inside():
    """No operation of the loop runs with gradients on, forward or backward."""

    class Modes(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            if operation.overloadpacket.__name__ in ("sigmoid", "bmm"):
                modes.append(torch.is_grad_enabled())
            return operation(*args, **(kwargs or {}))

    modes = []
    case = make_case(1)
    out, leaves = _run(case, Placement({Edge.CELL: Drop(0.3)}))
    with Modes():
        torch.autograd.grad(out.y_TBH.sum(), leaves)
    assert modes
    assert not any(modes)


def test_nothing_is_kept_without_gradients():
    """Under `no_grad` the outputs carry no graph."""
    with torch.no_grad():
        out, _ = _run(make_case(1), Placement({Edge.CELL: Drop(0.3)}), Mode.MEAN)
    assert all(value.grad_fn is None for value in (out.y_TBH, *out.state))


@pytest.mark.parametrize("weighted", [False, True], ids=["sum", "weighted"])
def test_a_second_derivative_is_refused(weighted):
    """The backward pass is derived once: differentiating it again is an error, never a
    part of the answer, whether or not the first loss's weights ask for gradients themselves."""
    out, leaves = _run(make_case(1), Placement({Edge.CELL: Drop(0.3)}))
    scale = torch.ones_like(out.y_TBH, requires_grad=weighted)

    def twice():
        gradients = torch.autograd.grad((out.y_TBH * scale).sum(), leaves, create_graph=True)
        sum((gradient**2).sum() for gradient in gradients).backward()

    with pytest.raises((RuntimeError, AblateError), match=r"twice|second|once_differentiable"):
        twice()
