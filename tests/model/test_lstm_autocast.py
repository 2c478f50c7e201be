"""Products in bfloat16, everything else as it was: below autocast, and in the engine itself."""

import pytest
import torch
from engine.case import H, everything, make_case, window_of
from torch import nn

import ablate
from ablate.drops import ALL, VARIATIONAL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode, Path
from ablate.placement import Placement
from ablate.testing import assert_close

T, B, D, L = 7, 3, 5, 2

# A number of bfloat16 has 8 bits; T steps of products of it, relative to a tensor's largest entry.
BFLOAT16 = 2.0**-7

PLACEMENTS = [
    pytest.param(Placement(), id="silent"),
    pytest.param(Placement({Edge.VERTICAL: Drop(0.5)}), id="zaremba2014"),
    pytest.param(
        Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(0.3, VARIATIONAL)}), id="variational"
    ),
    pytest.param(
        Placement({Edge.INPUT | Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, gate=1))}), id="apart"
    ),
    pytest.param(
        Placement(
            {Edge.WEIGHT: Drop(0.4), Edge.RECURRENT: Drop(0.2, Sharing(time=ALL, batch=ALL))}
        ),
        id="weights",
    ),
    pytest.param(
        Placement({Edge.HIDDEN | Edge.CARRY: Drop(0.3, fill=Fill.HOLD), Edge.UPDATE: Drop(0.2)}),
        id="zoneout",
    ),
]


def assert_near(found: dict, expected: dict, allowed: float = BFLOAT16) -> None:
    """As `assert_close`, to what bfloat16 products leave."""
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        assert found[name].isfinite().all(), name
        error = (found[name].float() - wanted.float()).norm() / wanted.float().norm()
        assert error <= allowed, f"{name}: {error:.1e}"


def autocast(enabled: bool = True) -> torch.autocast:
    return torch.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=enabled)


def _run(lstm: ablate.LSTM, x: torch.Tensor, *, enabled: bool) -> dict:
    """Outputs, states and gradients, the backward pass outside of autocast."""
    lstm.zero_grad()
    x = x.clone().requires_grad_()
    with autocast(enabled):
        y, (h, c) = lstm(x, update=2)
    ((y * y).sum() + h.sum() + c.sum()).backward()
    grads = {name: parameter.grad.clone() for name, parameter in lstm.named_parameters()}
    return {"y": y.detach(), "h": h.detach(), "c": c.detach(), "x": x.grad} | grads


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_autocast_changes_the_products_alone(placement, training):
    """Float32 in and out, gradients included, near those without autocast: the masks are the same.

    A mask that differed would be far off: a dropped unit is an error of its own size.
    """
    torch.manual_seed(1)
    lstm = ablate.LSTM(D, H, L, placement=placement, seed=4).train(training)
    x = torch.randn(T, B, D)
    exact, found = _run(lstm, x, enabled=False), _run(lstm, x, enabled=True)
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert not torch.equal(found["y"], exact["y"])
    assert_near(found, exact)
    dropped = exact["y"] == 0
    assert torch.equal(found["y"] == 0, dropped)


def test_autocast_does_not_reach_into_the_backward_pass():
    """Of a call in float32: a loop whose backward pass runs below autocast keeps its own dtype."""
    placement = Placement({Edge.RECURRENT: Drop(0.3, VARIATIONAL)})
    lstm = ablate.LSTM(D, H, placement=placement, seed=4)
    x = torch.randn(T, B, D)
    gradients = []
    for inside in (False, True):
        lstm.zero_grad()
        loss = lstm(x, update=2)[0].sum()
        with autocast(inside):
            loss.backward()
        gradients.append(lstm.weight_hh_l0.grad.clone())
    assert torch.equal(*gradients)


def test_masks_do_not_know_autocast():
    """Bit for bit, in float32."""
    lstm = ablate.LSTM(D, H, L, placement=Placement({Edge.INPUT: Drop(0.3)}), seed=4)
    plain = lstm.masks(Edge.INPUT, time=T, batch=B)
    with autocast():
        assert torch.equal(lstm.masks(Edge.INPUT, time=T, batch=B), plain)


def test_a_model_below_autocast():
    """What arrives in bfloat16, a state too, is read; what follows casts what it wants."""
    first, lstm, last = nn.Linear(D, D), ablate.LSTM(D, H, L), nn.Linear(H, 2)
    state = (torch.zeros(L, B, H, dtype=torch.bfloat16), torch.zeros(L, B, H))
    with autocast():
        x = first(torch.randn(T, B, D))
        y, after = lstm(x, state)
        assert x.dtype == torch.bfloat16
        assert {y.dtype, after[0].dtype, after[1].dtype} == {torch.float32}
        y, _ = lstm(x, after)
        assert last(y).dtype == torch.bfloat16


def test_the_engine_runs_with_autocast_off():
    """Nothing is cast twice; hooks see bfloat16 at the matrix alone."""
    lstm = ablate.LSTM(D, H)
    seen = []
    for edge in (Edge.WEIGHT, Edge.RECURRENT, Edge.CELL):
        lstm.hook(edge, lambda v: seen.append((v.dtype, torch.is_autocast_enabled("cpu"))) or v)
    with autocast():
        lstm(torch.randn(1, B, D))
    assert seen == [(torch.bfloat16, False), (torch.float32, False), (torch.float32, False)]


def test_autocast_leaves_float64_alone():
    """As torch does."""
    lstm = ablate.LSTM(D, H, L, dtype=torch.float64)
    x = torch.randn(T, B, D, dtype=torch.float64)
    plain = lstm(x)[0]
    with autocast():
        assert_close({"y": lstm(x)[0]}, {"y": plain})


def test_a_module_in_bfloat16():
    """All of it in bfloat16, without autocast, near float32."""
    torch.manual_seed(1)
    placement = Placement({Edge.RECURRENT: Drop(0.3, VARIATIONAL)})
    lstm = ablate.LSTM(D, H, L, placement=placement, seed=4)
    x = torch.randn(T, B, D)
    exact = lstm(x, update=0)[0]
    y, _ = lstm.to(torch.bfloat16)(x.bfloat16(), update=0)
    assert y.dtype == torch.bfloat16
    assert_near({"y": y}, {"y": exact}, 4 * BFLOAT16)


def _halved(case):
    """The case with its matrices in bfloat16 and everything else in float32."""
    weights = tuple(
        layer._replace(
            w_ih=layer.w_ih.detach().bfloat16().requires_grad_(),
            w_hh=layer.w_hh.detach().bfloat16().requires_grad_(),
        )
        for layer in case.weights
    )
    return type(case)(case.x_TBD, case.tokens_TB, case.state, weights, case.cotangents)


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_path_takes_products_in_the_dtype_of_the_weight(placement, mode):
    """Outputs and states in the input's dtype, gradients of matrices in the matrices'; the paths
    are nearer to each other than to what float32 gives."""
    case = make_case(L, dtype=torch.float32)
    window = window_of(case, mode=mode)
    halved = _halved(case)
    exact = everything(case, placement, window, Path.REFERENCE)
    reference = everything(halved, placement, window, Path.REFERENCE)
    inside = bool(placement.edges & ~(Edge.VERTICAL | Edge.WEIGHT)) or "gate=1" in placement.text
    for path in (Path.LOOPED,) if inside else (Path.LOOPED, Path.LIBRARY):
        found = everything(halved, placement, window, path)
        for name, value in found.items():
            matrix = name.startswith("d w_")
            assert value.dtype == (torch.bfloat16 if matrix else torch.float32), name
        assert_near(found, reference)
        assert_near(found, exact, 4 * BFLOAT16)
        assert not torch.equal(found["y"], exact["y"])
