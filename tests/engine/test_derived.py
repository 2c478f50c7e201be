"""The derived backward pass is autograd's, and keeps no more than one written by hand would.

Shapes: K trials, B batch, H hidden.
"""

import contextlib

import pytest
import torch
from drawing import seeded
from engine.stepping import by_halves, inside, normal, step_case
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from ablate.cells import CELLS, GRU, LSTM, RNN, RNN_RELU, Gates
from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine import step as step_module
from ablate.engine.derived import derive
from ablate.engine.sites import site_of
from ablate.engine.step import KernelSpec, Multiply, kernels, step

SIGMOID, TANH = torch.ops.aten.sigmoid.default, torch.ops.aten.tanh.default

# The same arithmetic in float64, sums in another order.
EXACT = {"rtol": 1e-12, "atol": 1e-12}

INPUTS = 4
SHAPE = (2, 3, 5)


_STEPS = st.tuples(
    st.sampled_from(("sigmoid", "tanh", "times", "plus", "minus")),
    st.integers(0, 99),
    st.integers(0, 99),
)


def _function(steps, outputs):
    """A chain of operations, each of values that came before; some outputs are one value."""

    def run(*values):
        made = list(values)
        for name, one, two in steps:
            x, y = made[one % len(made)], made[two % len(made)]
            made.append(
                {
                    "sigmoid": x.sigmoid,
                    "tanh": x.tanh,
                    "times": lambda x=x, y=y: x * y,
                    "plus": lambda x=x, y=y: x + y,
                    "minus": lambda x=x, y=y: 1.0 - x * y,
                }[name]()
            )
        computed = made[len(values) :]
        return tuple(computed[place % len(computed)] for place in outputs)

    return run


def _expected(function, inputs, gradients, wrt):
    leaves = [value.clone().requires_grad_(k in wrt) for k, value in enumerate(inputs)]
    made = function(*leaves)
    asked = [leaves[k] for k in wrt]
    grads = torch.autograd.grad(made, asked, gradients, materialize_grads=True)
    return [value.detach() for value in made], list(grads)


def _reached(function, wrt):
    """Those of the inputs at `wrt` on which outputs depend; none where an output has none."""
    inputs = [normal(*SHAPE, seed=k).requires_grad_(k in wrt) for k in range(INPUTS)]
    made = function(*inputs)
    if not all(value.requires_grad for value in made):
        return ()
    asked, ones = [inputs[k] for k in wrt], [torch.ones_like(value) for value in made]
    grads = torch.autograd.grad(made, asked, ones, allow_unused=True)
    return tuple(k for k, grad in zip(wrt, grads, strict=True) if grad is not None)


@given(
    st.lists(_STEPS, min_size=1, max_size=12),
    st.lists(st.integers(0, 99), min_size=1, max_size=4),
    st.sets(st.integers(0, INPUTS - 1), min_size=1),
)
@seeded(60)
def test_a_drawn_function_has_autograds_gradients(steps, outputs, wrt):
    """Values and gradients, of functions whose outputs may be one tensor, at other sizes too."""
    function = _function(steps, outputs)
    asked = _reached(function, sorted(wrt))
    if not asked:
        return
    examples = [torch.zeros(SHAPE, dtype=torch.float64) for _ in range(INPUTS + len(outputs))]
    pair = derive(function, examples[:INPUTS], examples[INPUTS:], wrt=asked)
    for shape in (SHAPE, (3, 2, 7)):
        inputs = [normal(*shape, seed=10 + k) for k in range(INPUTS)]
        gradients = [normal(*shape, seed=20 + k) for k in range(len(outputs))]
        found = by_halves(pair, inputs, gradients)
        expected = _expected(function, inputs, gradients, asked)
        for values, wanted in zip(found, expected, strict=True):
            for value, other in zip(values, wanted, strict=True):
                torch.testing.assert_close(value, other, **EXACT)
    assert pair.distinct == len({pair.places[k] for k in range(len(outputs))})
    kept = pair.forward.graph.output_node().args[0][pair.distinct :]
    assert {node.target for node in kept} <= {SIGMOID, TANH}
    assert len(set(kept)) == len(kept)
    targets = {node.target for node in pair.backward.graph.nodes if node.op == "call_function"}
    assert not targets & {SIGMOID, TANH}, "a nonlinearity is taken twice"


def test_outputs_that_are_one_tensor_are_handed_over_once():
    """Their gradients are added."""

    def twice(x):
        y = x.tanh()
        return y, 2.0 * y, y

    x, gradients = normal(*SHAPE), [normal(*SHAPE, seed=k) for k in range(3)]
    pair = derive(twice, [x], gradients, wrt=(0,))
    assert (pair.places, pair.distinct, pair.reads) == ((0, 1, 0), 2, ())
    (gradient,) = pair.backward(*gradients, *pair.forward(x)[2:])
    expected = (gradients[0] + gradients[2] + 2.0 * gradients[1]) * (1.0 - x.tanh() ** 2)
    torch.testing.assert_close(gradient, expected, **EXACT)


@pytest.mark.parametrize(
    ("cell", "kept", "reads"),
    [
        # sigmoid of i, f and o, tanh of g and of c; the old cell, and no part of z.
        pytest.param(LSTM, 5, {"c"}, id="lstm"),
        # sigmoid of both gates, tanh of n; the reset gate multiplies what W_hh and b_hh make of h.
        pytest.param(GRU, 3, {"product", "h", "b_hh"}, id="gru"),
        pytest.param(RNN, 1, set(), id="rnn"),
        pytest.param(RNN_RELU, 1, set(), id="rnn_relu"),
    ],
)
def test_a_step_keeps_its_nonlinearities_and_little_besides(cell, kept, reads):
    """As many tensors whatever acts, and of its inputs those that a product's derivative reads."""
    biases = ("b_ih", "b_hh") if cell.splits else ("b",)
    names = ("projection", "product", *cell.state, *biases)
    for own in ((), inside(cell)):
        kind = KernelSpec(cell, own)
        pair = kernels.__wrapped__(kind)
        inputs, _ = step_module._examples(kind, torch.device("cpu"), (2, 3, 5, 7))
        assert len(pair.forward(*inputs)[pair.distinct :]) == kept
        # Factors come last.
        assert {names[place] for place in pair.reads if place < len(names)} == reads


def _sets(cell):
    """Sets of sites: none and all, of an LSTM and a GRU each alone, and of an LSTM drawn ones."""
    sites = inside(cell)
    yield from ((), sites)
    if cell in (LSTM, GRU):
        yield from ((site,) for site in sites)
    generator = torch.Generator().manual_seed(7)
    for _ in range(8 if cell is LSTM else 0):
        drawn = torch.rand(len(sites), generator=generator) < 0.5
        yield tuple(site for site, chosen in zip(sites, drawn, strict=True) if chosen)


def _kinds():
    """Those sets, gates apart or not, with a bias or not; of the LSTM in both precisions."""
    for cell in CELLS.values():
        for number, own in enumerate(_sets(cell)):
            for apart in {False, sites.RECURRENT in own}:
                kind = KernelSpec(cell, own, apart=apart, bias=number % 3 != 1)
                products = (torch.float32, torch.bfloat16)
                for product in products if cell is LSTM else products[: 1 + apart]:
                    yield kind._replace(product=product)


def _name(kind):
    dtype = str(kind.product).removeprefix("torch.")
    return "-".join([kind.cell.name, *(site.name for site in kind.sites), dtype])


def _by_autograd(kind, inputs, gradients):
    """The step of `ablate.engine.step` on z itself, or on its two parts, by autograd."""
    cell, count = kind.cell, len(kind.cell.state)
    parts = [value.to(kind.value) for value in inputs[:2]]
    state, biases = inputs[2 : 2 + count], inputs[2 + count :][: kind.biases]
    factors = dict(zip(kind.sites, inputs[2 + count + kind.biases :], strict=True))
    z = parts if cell.splits else [parts[0] + parts[1]]
    if biases:
        dim = 2 if kind.apart else 1
        z = [own + bias.unsqueeze(dim) for own, bias in zip(z, biases, strict=True)]
    leaves = [value.clone().requires_grad_() for value in (*z, *state)]
    *z, s = leaves[: len(z) + 1]
    gates = [Gates(**dict(zip(cell.gates, own.unbind(kind.gate_dim), strict=True))) for own in z]
    whole = Gates(x=gates[0], h=gates[1]) if cell.splits else gates[0]
    new = step(cell, whole, s, leaves[len(z) + 1 :], Multiply(factors))
    handed = new.s.unsqueeze(1) if kind.apart else new.s
    read = (factors[sites.RECURRENT] * handed if sites.RECURRENT in factors else handed).to(
        kind.product
    )
    made = [new.h, *new.rest, *([new.s] if kind.holds else []), read]
    back = torch.autograd.grad(made, leaves, gradients, materialize_grads=True)
    dz, (ds, *drest) = back[: len(z)], back[len(z) :]
    wanted = [*(own.to(kind.product) for own in dz), *drest, *([ds] if kind.holds else [])]
    return [value.detach() for value in made], wanted


@pytest.mark.parametrize("kind", list(_kinds()), ids=_name)
def test_a_steps_kernels_are_autograds(kind):
    """Every value and gradient: 1e-6 of the largest in float32, one ulp of bfloat16 where it is."""
    inputs, gradients = step_case(kind)
    pair = kernels(kind)
    found, expected = by_halves(pair, inputs, gradients), _by_autograd(kind, inputs, gradients)
    for values, wanted in zip(found, expected, strict=True):
        assert len(values) == len(wanted)
        for value, other in zip(values, wanted, strict=True):
            assert (value.shape, value.dtype) == (other.shape, other.dtype)
            close = {torch.float32: 1e-6, torch.bfloat16: 2.0**-8}[value.dtype]
            error = (value.float() - other.float()).abs().max()
            assert error <= close * other.float().abs().max(), kind


def _refuses(tensor):
    raise AssertionError("a hook of whoever calls was given what is derived")


AMBIENT = [
    pytest.param(contextlib.nullcontext, id="nothing"),
    pytest.param(torch.inference_mode, id="inference"),
    pytest.param(torch.no_grad, id="no-grad"),
    pytest.param(lambda: torch.autocast("cpu", torch.bfloat16), id="autocast"),
    pytest.param(FakeTensorMode, id="fake"),
    pytest.param(lambda: torch.device("meta"), id="default-device"),
    pytest.param(
        lambda: torch.autograd.graph.saved_tensors_hooks(_refuses, _refuses), id="checkpoint"
    ),
    pytest.param(lambda: torch.autograd.set_detect_anomaly(True), id="anomaly"),
]


def _first(kind):
    """The kernels as their first caller gets them."""
    return kernels.__wrapped__(kind)


def _is_whole(pair, kind):
    inputs, gradients = step_case(kind)
    made, back = by_halves(pair, inputs, gradients)
    expected, wanted = _by_autograd(kind, inputs, gradients)
    for value, other in zip([*made, *back], [*expected, *wanted], strict=True):
        assert not value.is_inference()
        torch.testing.assert_close(value, other, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("ambient", AMBIENT)
@pytest.mark.parametrize(
    ("cell", "sites"),
    [
        pytest.param(LSTM, (site_of(Edge.CARRY), site_of(Edge.HIDDEN, Fill.HOLD)), id="lstm"),
        pytest.param(GRU, (site_of(Edge.UPDATE), site_of(Edge.HIDDEN, Fill.HOLD)), id="gru"),
    ],
)
def test_the_first_callers_modes_are_its_own(cell, sites, ambient):
    """What is derived below any of them is the same: it is kept for all who call later."""
    kind = KernelSpec(cell, sites)
    with ambient():
        pair = _first(kind)
    _is_whole(pair, kind)


@pytest.mark.parametrize(
    "transform",
    [
        pytest.param(torch.func.grad, id="grad"),
        pytest.param(torch.vmap, id="vmap"),
        pytest.param(torch.func.functionalize, id="functionalize"),
        pytest.param(make_fx, id="make_fx"),
    ],
)
def test_the_first_callers_transforms_are_its_own(transform):
    """As above for transforms and for a trace, which records nothing of it."""
    kind, pairs = KernelSpec(LSTM, (site_of(Edge.UPDATE),)), []

    def call(x):
        pairs.append(_first(kind))
        return x.sum()

    given = torch.ones(3)
    made = transform(call)(given) if transform is make_fx else transform(call)
    if transform is make_fx:
        operations = [node for node in made.graph.nodes if node.op == "call_function"]
        assert [node.target for node in operations] == [torch.ops.aten.sum.default]
    else:
        made(given)
    _is_whole(pairs[0], kind)
