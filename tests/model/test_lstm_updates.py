"""Which update a call of `ablate.LSTM` samples: counted, named, cut into steps, recomputed."""

from functools import partial

import pytest
import torch
from single_edges import single_edge_placements
from torch.utils.checkpoint import checkpoint

import ablate
from ablate.drops import VARIATIONAL, Drop, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.testing import assert_close

T, B, D, H, L = 7, 3, 5, 13, 2

DROPPED = Placement(
    {
        Edge.VERTICAL: Drop(0.4),
        Edge.RECURRENT: Drop(0.3, VARIATIONAL),
        Edge.WEIGHT: Drop(0.2),
        Edge.CELL: Drop(0.2, Sharing(time=3)),
    }
)
REENTRANT = pytest.mark.parametrize("reentrant", [True, False], ids=["reentrant", "not-reentrant"])


def module(placement: Placement | None = DROPPED, **options: object) -> ablate.LSTM:
    torch.manual_seed(1)
    return ablate.LSTM(D, H, L, placement=placement, **({"seed": 1409} | options))


@pytest.fixture
def x():
    return torch.randn(T, B, D, generator=torch.Generator().manual_seed(2))


def test_a_call_without_update_counts(x):
    """The n-th such call has the masks of update n; a named one counts nothing."""
    lstm = module()
    counted = [lstm(x)[0] for _ in range(3)]
    by_name = [lstm(x, update=update)[0] for update in range(3)]
    assert lstm.next_update == 3
    for one, other in zip(counted, by_name, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(counted[0], counted[1])


def test_a_call_that_fails_counts_nothing(x, refused):
    """The next good call has the masks that it would have had."""
    lstm = module()
    with refused():
        lstm(x[..., 1:])
    assert lstm.next_update == 0


def test_the_mask_state_resumes(x):
    """Seed, stack and count go on in another module; `state_dict` has none of them."""
    first, second = module(stack=3), module(seed=8)
    first(x)
    assert first.mask_state() == {"seed": 1409, "update": 1, "stack": 3}
    second.load_mask_state(first.mask_state())
    assert torch.equal(first(x)[0], second(x)[0])
    assert not any("seed" in name or "update" in name for name in first.state_dict())


@pytest.mark.parametrize(
    "state",
    [
        {"seed": 1, "update": 2},
        {"seed": 1, "update": -1, "stack": 0},
        {"seed": 1, "update": 2, "stack": 256},
        None,
    ],
)
def test_another_mask_state_is_refused(state, refused):
    """What is missing, or has no address, is named, and nothing is taken."""
    own = module()
    before = own.mask_state()
    with refused():
        own.load_mask_state(state)
    assert own.mask_state() == before


def test_one_step_calls_are_one_long_call(x):
    """With one `update` and `start`: outputs, states and, bit for bit, masks."""
    torch.manual_seed(1)
    for placement in (DROPPED, *single_edge_placements()[::7]):
        placement = placement - Edge.EMBEDDING
        lstm = module(placement).double()
        y, whole = lstm(x.double(), update=5, start=4)
        state, steps = None, []
        for t in range(T):
            made, state = lstm(x[t : t + 1].double(), state, update=5, start=4 + t)
            steps.append(made)
        found = {"y": torch.cat(steps), "h": state[0], "c": state[1]}
        assert_close(found, {"y": y, "h": whole[0], "c": whole[1]}, placement.text)
    for edge in DROPPED:
        if edge is not Edge.WEIGHT:
            masks = partial(module().masks, edge, batch=B, update=5)
            steps = [masks(time=1, start=4 + t) for t in range(T)]
            assert torch.equal(
                torch.cat(steps).expand(T, -1, -1, -1), masks(time=T, start=4).expand(T, -1, -1, -1)
            )


def test_evaluation_goes_step_by_step(x):
    """Without `update`; `start` still matters where a decision of CELL begins."""
    lstm = module(Placement({Edge.CELL: Drop(0.4, Sharing(time=3))})).eval()
    y, _ = lstm(x)
    state, steps = None, []
    for t in range(T):
        made, state = lstm(x[t : t + 1], state, start=t)
        steps.append(made)
    assert_close({"y": torch.cat(steps)}, {"y": y})


def test_a_step_without_update_is_refused_in_training(x, refused):
    """Each step would sample as a new update; a silent module does not mind."""
    with refused():
        module()(x, start=3)
    module(None)(x, start=3)


@pytest.mark.parametrize("cut", [1, 2])
def test_parts_of_a_batch_are_the_batch(x, cut):
    """With one `update` and `batch_offset`, as in gradient accumulation."""
    lstm = module()
    y, (h, c) = lstm(x, update=5)
    parts = [lstm(x[:, :cut], update=5), lstm(x[:, cut:], update=5, batch_offset=cut)]
    found = {
        "y": torch.cat([part[0] for part in parts], dim=1),
        "h": torch.cat([part[1][0] for part in parts], dim=1),
        "c": torch.cat([part[1][1] for part in parts], dim=1),
    }
    assert_close(found, {"y": y, "h": h, "c": c})


@pytest.mark.parametrize("options", [{"stack": 1}, {"seed": 2}], ids=["stack", "seed"])
def test_two_stacks_sample_apart(options):
    """Two LSTMs of one model, one seed: every edge's masks differ, and are half equal by chance."""
    placement = Placement({Edge.VERTICAL | Edge.RECURRENT | Edge.WEIGHT | Edge.CARRY: Drop(0.5)})
    one, other = module(placement), module(placement, **options)
    for edge in placement:
        first, second = (m.masks(edge, time=50, batch=20) for m in (one, other))
        equal = (first == second).double()
        error = (0.25 / equal.numel()) ** 0.5
        assert abs(equal.mean().item() - 0.5) < 5 * error, edge


def _gradients(lstm: ablate.LSTM, x: torch.Tensor, call) -> dict[str, torch.Tensor]:
    """Output and gradients of a loss, where `call(x)` runs the LSTM."""
    lstm.zero_grad()
    leaf = x.clone().requires_grad_()
    y = call(leaf)
    (y * y).sum().backward()
    grads = {name: parameter.grad.clone() for name, parameter in lstm.named_parameters()}
    return {"y": y.detach(), "x": leaf.grad} | grads


@REENTRANT
def test_activation_checkpointing_with_a_named_update(x, reentrant):
    """Outputs and every gradient equal those without it, bit for bit."""
    lstm = module()

    def run(value):
        return lstm(value, update=7)[0]

    plain = _gradients(lstm, x, run)
    saved = _gradients(lstm, x, lambda leaf: checkpoint(run, leaf, use_reentrant=reentrant))
    for name, value in plain.items():
        assert torch.equal(saved[name], value), name


@REENTRANT
def test_activation_checkpointing_without_one_is_refused(x, reentrant, refused):
    """The recomputation would sample other masks, and says so instead."""
    lstm = module()
    y = checkpoint(lambda value: lstm(value)[0], x.requires_grad_(), use_reentrant=reentrant)
    with refused():
        y.sum().backward()


@REENTRANT
@pytest.mark.parametrize("training", [True, False], ids=["silent", "evaluation"])
def test_activation_checkpointing_where_nothing_is_sampled(x, reentrant, training):
    """A silent module, or one in evaluation, needs no update, and the call counts once."""
    lstm = module(None if training else DROPPED).train(training)

    def run(value):
        return lstm(value)[0]

    plain = _gradients(lstm, x, run)
    saved = _gradients(lstm, x, lambda leaf: checkpoint(run, leaf, use_reentrant=reentrant))
    assert lstm.next_update == (2 if training else 0)
    # Not bit for bit: without gradients torch's own LSTM, which runs here, takes another kernel.
    assert_close(saved, plain)


def test_replicas_are_refused(x, refused):
    """`nn.DataParallel` would give each part of the batch the first rows' masks."""
    replica = module()._replicate_for_data_parallel()
    with refused():
        replica(x)
