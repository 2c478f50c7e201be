"""Hooks and masks: whoever has both can put a placement's dropout in by hand."""

import pytest
import torch
from single_edges import single_edge_placements
from torch import nn

import ablate
from ablate.cells import LSTM
from ablate.drops import ALL, VARIATIONAL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.testing import assert_close

T, B, D, H, L = 5, 3, 5, 13, 2

GATED = Edge.INPUT | Edge.INTERLAYER | Edge.RECURRENT


def module(placement: Placement | None = None, seed: int = 1409) -> ablate.LSTM:
    torch.manual_seed(1)
    return ablate.LSTM(D, H, L, placement=placement, seed=seed, dtype=torch.float64)


def drawn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


X = drawn(T, B, D)


def everything(lstm: ablate.LSTM, **where: int) -> dict[str, torch.Tensor]:
    """Outputs, states and gradients of one call, by name."""
    lstm.zero_grad()
    y, (h, c) = lstm(X, **where)
    ((y * y).sum() + h.sum() + (c * c).sum()).backward()
    grads = {name: parameter.grad for name, parameter in lstm.named_parameters()}
    return {"y": y.detach(), "h": h.detach(), "c": c.detach()} | grads


def by_hand(edge: Edge, masked: ablate.LSTM):
    """A hook that drops `edge` as `masked` does, from the masks that it shows."""

    def fn(value, *, layer, update, time, batch_offset):
        steps = len(value) if edge is Edge.OUTPUT else 1
        masks = masked.masks(
            edge,
            layer=layer,
            time=steps,
            batch=B,
            update=update,
            start=time,
            batch_offset=batch_offset,
        )
        if edge is Edge.WEIGHT:
            return value * masks
        if edge is Edge.OUTPUT:
            return value * masks[:, :, 0]
        return value * (masks[0] if edge in GATED else masks[0, :, 0])

    return fn


ZEROED = [
    placement
    for placement in single_edge_placements()
    for edge, drop in placement.items()
    if edge is not Edge.EMBEDDING and drop.fill is Fill.ZERO
]


@pytest.mark.parametrize("edge", LSTM.has & ~Edge.EMBEDDING)
def test_a_hook_with_the_masks_is_the_placement(edge):
    """For every edge, with every sharing, scale and noise: outputs, states and gradients."""
    placements = [placement for placement in ZEROED if edge in placement]
    assert len(placements) >= 10
    for placement in placements:
        dropped, hooked = module(placement), module()
        hooked.hook(edge, by_hand(edge, dropped))
        where = {"update": 3, "start": 2, "batch_offset": 4}
        assert_close(everything(hooked, **where), everything(dropped, **where), placement.text)


def test_the_equations_by_hand():
    """Two layers with masks at every edge, written out; `masks` is all that is taken from ours."""
    placement = Placement(
        {
            Edge.VERTICAL: Drop(0.4, Sharing(time=2)),
            Edge.WEIGHT: Drop(0.3),
            Edge.RECURRENT: Drop(0.25, Sharing(time=ALL, gate=1)),
            Edge.UPDATE: Drop(0.3, noise=GAUSSIAN),
            Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD),
            Edge.CELL: Drop(0.1),
            Edge.CARRY: Drop(0.2, fill=Fill.HOLD),
        }
    )
    lstm = module(placement)
    y, (h_n, c_n) = lstm(X)
    weights = {name: value.detach() for name, value in lstm.state_dict().items()}
    value, states, cells = X, [], []
    for layer in range(L):
        m = {
            edge: lstm.masks(edge, layer=layer, time=T, batch=B, update=0).expand(T, -1, -1, -1)
            for edge in (Edge.RECURRENT, Edge.UPDATE, Edge.HIDDEN, Edge.CELL, Edge.CARRY)
        }
        vertical = Edge.INTERLAYER if layer else Edge.INPUT
        value = value * lstm.masks(vertical, time=T, batch=B, update=0)[:, :, 0]
        w_ih, w_hh = (
            weights[f"weight_{way}_l{layer}"].unflatten(0, (4, H)) for way in ("ih", "hh")
        )
        w_hh = w_hh * lstm.masks(Edge.WEIGHT, layer=layer, update=0)
        bias = (weights[f"bias_ih_l{layer}"] + weights[f"bias_hh_l{layer}"]).unflatten(0, (4, H))
        h, c, outputs = torch.zeros(B, H).double(), torch.zeros(B, H).double(), []
        for t in range(T):
            z = [
                value[t] @ w_ih[g].T + (h * m[Edge.RECURRENT][t, :, g]) @ w_hh[g].T + bias[g]
                for g in range(4)
            ]
            i, f, g, o = z[0].sigmoid(), z[1].sigmoid(), z[2].tanh(), z[3].sigmoid()
            cell = (f * c + i * g * m[Edge.UPDATE][t, :, 0]) * m[Edge.CELL][t, :, 0]
            h = torch.where(m[Edge.HIDDEN][t, :, 0] == 1, o * cell.tanh(), h)
            c = torch.where(m[Edge.CARRY][t, :, 0] == 1, cell, c)
            outputs.append(h)
        value = torch.stack(outputs)
        states.append(h)
        cells.append(c)
    value = value * lstm.masks(Edge.OUTPUT, time=T, batch=B, update=0)[:, :, 0]
    found = {"y": y, "h": h_n, "c": c_n}
    assert_close(found, {"y": value, "h": torch.stack(states), "c": torch.stack(cells)})


def test_masks_are_those_of_the_next_call():
    """And show each edge's shape: 1 where an axis shares one decision."""
    lstm = module(
        Placement(
            {Edge.OUTPUT: Drop(0.5), Edge.WEIGHT: Drop(0.5), Edge.RECURRENT: Drop(0.5, VARIATIONAL)}
        )
    )
    silent = module()
    masks = lstm.masks(Edge.OUTPUT, time=T, batch=B)
    lstm.placement = lstm.placement & Edge.OUTPUT
    assert torch.equal(lstm(X)[0], silent(X)[0] * masks[:, :, 0])
    assert not torch.equal(lstm.masks(Edge.OUTPUT, time=T, batch=B), masks)
    assert torch.equal(lstm.masks(Edge.OUTPUT, time=T, batch=B, update=0), masks)
    lstm.placement = Placement({Edge.WEIGHT: Drop(0.5), Edge.RECURRENT: Drop(0.5, VARIATIONAL)})
    assert lstm.masks(Edge.WEIGHT).shape == (4, H, H)
    assert lstm.masks(Edge.RECURRENT, time=T, batch=B).shape == (1, B, 1, H)
    assert masks.shape == (T, B, 1, H)


SHAPES = {
    Edge.INPUT: [(0, t, (B, 4, D)) for t in range(T)],
    Edge.INTERLAYER: [(1, t, (B, 4, H)) for t in range(T)],
    Edge.OUTPUT: [(1, 0, (T, B, H))],
    Edge.WEIGHT: [(layer, 0, (4, H, H)) for layer in range(L)],
    Edge.RECURRENT: [(layer, t, (B, 4, H)) for layer in range(L) for t in range(T)],
    Edge.HIDDEN: [(layer, t, (B, H)) for layer in range(L) for t in range(T)],
    Edge.UPDATE: [(layer, t, (B, H)) for layer in range(L) for t in range(T)],
    Edge.CELL: [(layer, t, (B, H)) for layer in range(L) for t in range(T)],
    Edge.CARRY: [(layer, t, (B, H)) for layer in range(L) for t in range(T)],
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("edge", list(SHAPES))
def test_what_a_hook_is_given(edge, training):
    """Layer, step and shape are those of the table; the update is the call's."""
    lstm = module().train(training)
    calls = []

    def seen(value, *, layer, update, time, batch_offset):
        calls.append((layer, time, tuple(value.shape), update, batch_offset))
        return value

    lstm.hook(edge, seen)
    found = everything(lstm, update=6, start=10, batch_offset=2)
    assert calls == [(layer, 10 + t, shape, 6, 2) for layer, t, shape in SHAPES[edge]]
    assert_close(found, everything(module().train(training)))


@pytest.mark.parametrize(
    "sharing", [Sharing(), Sharing(time=ALL, batch=ALL)], ids=["step", "folds"]
)
def test_a_hook_sees_what_was_dropped(sharing):
    """The placement's own drop acts first, also where the engine would fold it into a weight."""
    lstm = module(Placement({Edge.RECURRENT: Drop(0.5, sharing)}))
    masks = lstm.masks(Edge.RECURRENT, layer=1, time=T, batch=B).expand(T, B, 4, H)
    zeros = []

    def seen(value, *, layer, time):
        if layer == 1 and time:
            zeros.append((value == 0) == (masks[time] == 0))
        return value

    plain = everything(lstm, update=0)
    lstm.hook(Edge.RECURRENT, seen)
    assert_close(everything(lstm, update=0), plain)
    assert len(zeros) == T - 1
    assert torch.stack(zeros).all()


def test_hooks_act_in_order_and_go_away():
    """Two at one edge act one after the other; `.remove()` gives the fast path back."""
    lstm = module()
    plain = lstm(X)[0]
    first = lstm.hook(Edge.OUTPUT, lambda value: value + 1)
    second = lstm.hook(Edge.OUTPUT, lambda value: value * 2)
    assert_close({"y": lstm(X)[0]}, {"y": (plain + 1) * 2})
    first.remove()
    assert_close({"y": lstm(X)[0]}, {"y": plain * 2})
    second.remove()
    assert torch.equal(lstm(X)[0], plain)


def test_a_hook_at_several_edges():
    """A union of edges, and a function of any keyword."""
    lstm = module()
    seen = []
    lstm.hook(Edge.VERTICAL, lambda value, **where: seen.append(where["layer"]) or value)
    lstm(X)
    assert seen == [0] * T + [1] * T + [1]


def test_a_hook_acts_in_evaluation():
    """Where the placement itself samples nothing."""
    lstm = module(Placement({Edge.OUTPUT: Drop(0.5, scale=Scale.TEST)})).eval()
    lstm.hook(Edge.OUTPUT, lambda value: value * 2)
    assert_close({"y": lstm(X)[0]}, {"y": module()(X)[0]})


def test_a_hook_does_not_change_the_dtype():
    """What it returns in another dtype is converted."""
    lstm = module()
    lstm.hook(Edge.CELL | Edge.WEIGHT | Edge.OUTPUT, lambda value: value.float())
    y, (h, c) = lstm(X)
    assert {y.dtype, h.dtype, c.dtype} == {torch.float64}


def test_a_module_is_a_hook():
    """`nn.LayerNorm` on the update, trained through."""
    lstm, norm = module(), nn.LayerNorm(H, dtype=torch.float64)
    lstm.hook(Edge.UPDATE, norm)
    lstm(X)[0].sum().backward()
    assert norm.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("edge", "fn"),
    [
        (Edge.EMBEDDING, lambda value: value),
        ("CELL", lambda value: value),
        (Edge(0), lambda value: value),
        (Edge.CELL, 3),
        (Edge.CELL, lambda value, *, layr: value),
    ],
)
def test_a_hook_that_cannot_be(edge, fn, refused):
    """Is refused when it is made."""
    with refused():
        module().hook(edge, fn)


@pytest.mark.parametrize(
    "fn",
    [
        lambda value: None,
        lambda value: value[:1],
    ],
)
def test_what_a_hook_returns(fn, refused):
    """Is the value of the same shape: a forgotten `return` would silence it."""
    lstm = module()
    lstm.hook(Edge.CELL, fn)
    with refused():
        lstm(X)


def test_a_hook_recomputes_under_a_name(refused):
    """A call with hooks may sample, so that checkpointing must name its update too."""
    lstm = module()
    lstm.hook(Edge.CELL, lambda value: value)
    x = X.clone().requires_grad_()
    y = torch.utils.checkpoint.checkpoint(lambda v: lstm(v)[0], x, use_reentrant=False)
    with refused():
        y.sum().backward()
