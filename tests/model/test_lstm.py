"""`ablate.LSTM` stands in for `torch.nn.LSTM`: weights, calls, shapes, states, copies."""

import copy
import pickle

import pytest
import torch
from torch import nn

import ablate
from ablate.drops import VARIATIONAL, Drop, Fill, Scale
from ablate.edges import Edge
from ablate.model.copies import same_stacks
from ablate.placement import Placement
from ablate.testing import assert_close

T, B, D, H, L = 7, 3, 5, 13, 2

DROPPED = Placement({Edge.VERTICAL: Drop(0.5), Edge.RECURRENT: Drop(0.3, VARIATIONAL)})


def pair(
    *sizes: int, dtype: torch.dtype = torch.float32, **options: object
) -> tuple[nn.LSTM, ablate.LSTM]:
    """Torch's LSTM and ours under the same `torch.manual_seed`."""
    made = []
    for kind in (nn.LSTM, ablate.LSTM):
        torch.manual_seed(1)
        made.append(kind(*(sizes or (D, H, L)), dtype=dtype, **options))
    return made[0], made[1]


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def state_of(*shape: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    return drawn(*shape, dtype=dtype, seed=3), drawn(*shape, dtype=dtype, seed=4)


def named(called: tuple) -> dict[str, torch.Tensor]:
    """What a call returned, by name."""
    y, (h, c) = called
    return {"y": y, "h_n": h, "c_n": c}


def assert_same_call(ours: nn.Module, theirs: nn.Module, *arguments: object) -> None:
    """Outputs, states, and the gradient of every parameter."""
    found, expected = named(ours(*arguments)), named(theirs(*arguments))
    assert_close(found, expected)
    for module, called in ((ours, found), (theirs, expected)):
        module.zero_grad()
        sum((value * (1 + value)).sum() for value in called.values()).backward()
    grads = [{n: p.grad for n, p in module.named_parameters()} for module in (ours, theirs)]
    assert_close(*grads)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("layers", [1, 3])
def test_initial_weights_are_torchs(layers, bias):
    """Name by name and bit by bit under one `torch.manual_seed`."""
    theirs, ours = pair(D, H, layers, bias=bias)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("mode", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("given", [True, False], ids=["state", "no-state"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
def test_a_silent_module_is_torchs(batch_first, given, dtype, mode):
    """Outputs, states, gradients, with a state and without."""
    theirs, ours = pair(dtype=dtype, batch_first=batch_first)
    theirs.train(mode), ours.train(mode)
    x = drawn(*((B, T, D) if batch_first else (T, B, D)), dtype=dtype)
    arguments = (x, state_of(L, B, H, dtype=dtype)) if given else (x,)
    assert_same_call(ours, theirs, *arguments)


@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
def test_unbatched_input_is_torchs(batch_first):
    """[T, D] with a state [L, H], whatever `batch_first` says; T equal to L changes nothing."""
    theirs, ours = pair(batch_first=batch_first)
    for steps in (T, L):
        assert_same_call(ours, theirs, drawn(steps, D), state_of(L, H))
        assert_same_call(ours, theirs, drawn(steps, D))


def test_layouts_sample_the_same_masks():
    """`batch_first` and an input without batch are the same rows at the same addresses."""
    options = {"placement": DROPPED, "seed": 5}
    one, other = (ablate.LSTM(D, H, L, batch_first=first, **options) for first in (False, True))
    other.load_state_dict(one.state_dict())
    x = drawn(T, B, D)
    y, (h, c) = one(x, update=4)
    y_first, (h_first, _) = other(x.transpose(0, 1), update=4)
    assert torch.equal(y, y_first.transpose(0, 1))
    assert torch.equal(h, h_first)
    alone, (h_alone, c_alone) = one(x[:, 1], update=4, batch_offset=1)
    assert_close(
        {"y": alone, "h": h_alone, "c": c_alone}, {"y": y[:, 1], "h": h[:, 1], "c": c[:, 1]}
    )


@pytest.mark.parametrize("placement", [None, DROPPED], ids=["silent", "dropped"])
def test_checkpoints_load_both_ways(placement):
    """Strictly, and the placement is no part of them."""
    theirs, ours = nn.LSTM(D, H, L), ablate.LSTM(D, H, L, placement=placement, seed=1)
    assert not ours.load_state_dict(theirs.state_dict()).missing_keys
    x = drawn(T, B, D)
    assert_close(named(ours.eval()(x)), named(theirs(x)))
    again = nn.LSTM(D, H, L)
    again.load_state_dict(ablate.LSTM(D, H, L, placement=placement, seed=1).state_dict())
    ours.load_state_dict(again.state_dict())
    assert_close(named(ours(x)), named(again(x)))


def test_it_is_one_of_torchs():
    """Code that asks for `nn.LSTM`, or reads its attributes, finds it."""
    ours = ablate.LSTM(D, H, L, placement=DROPPED)
    assert isinstance(ours, nn.LSTM)
    assert (ours.dropout, ours.bidirectional, ours.proj_size) == (0.0, False, 0)
    ours.flatten_parameters()
    assert [len(layer) for layer in ours.all_weights] == [4, 4]


def test_arguments_go_by_torchs_names_too():
    """`input=` is x, and `hx=` is `state`."""
    theirs, ours = pair()
    x, state = drawn(T, B, D), state_of(L, B, H)
    assert_close(named(ours(x, hx=state)), named(theirs(x, hx=state)))
    assert_close(named(ours(input=x, hx=state)), named(theirs(input=x, hx=state)))


@pytest.mark.parametrize("placement", [None, DROPPED], ids=["silent", "dropped"])
def test_a_batch_without_rows(placement):
    """As in torch: empty outputs of the right shapes."""
    y, (h, c) = ablate.LSTM(D, H, L, placement=placement)(torch.zeros(T, 0, D))
    assert (y.shape, h.shape, c.shape) == ((T, 0, H), (L, 0, H), (L, 0, H))


def test_another_dtype_afterwards():
    """`.to(float64)` gives a float64 module with the same masks."""
    lstm = ablate.LSTM(D, H, L, placement=DROPPED, seed=1)
    single = lstm.masks(Edge.INPUT, time=T, batch=B)
    lstm.to(torch.float64)
    y, (h, c) = lstm(drawn(T, B, D, dtype=torch.float64))
    assert {y.dtype, h.dtype, c.dtype} == {torch.float64}
    assert torch.equal(lstm.masks(Edge.INPUT, time=T, batch=B, update=0), single.double())


def _alike(module: nn.Module) -> nn.Module:
    with same_stacks():
        return copy.deepcopy(module)


@pytest.mark.parametrize(
    "copied",
    [_alike, lambda module: pickle.loads(pickle.dumps(module))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_goes_on_alike(copied):
    """Weights, placement, seed and count are copied; the copies' counts are their own."""
    lstm = ablate.LSTM(D, H, L, placement=DROPPED, seed=1)
    x = drawn(T, B, D)
    lstm(x)
    twin = copied(lstm)
    assert twin.placement == lstm.placement
    assert torch.equal(lstm(x)[0], twin(x)[0])
    lstm(x)
    assert (lstm.next_update, twin.next_update) == (3, 2)


def test_the_repr_shows_what_is_dropped():
    """Nothing of ours where nothing is dropped."""
    assert repr(ablate.LSTM(D, H, L, batch_first=True)) == repr(nn.LSTM(D, H, L, batch_first=True))
    placement = Placement({Edge.OUTPUT: Drop(0.5)})
    assert repr(ablate.LSTM(D, H, placement=placement, seed=9, stack=2)) == (
        f"LSTM(5, 13, placement={placement!r}, seed=9, stack=2)"
    )


def test_the_seed_is_drawn_after_the_weights():
    """Two modules differ, `torch.manual_seed` rules, and a seed that is given draws nothing."""
    seeds = []
    for _ in range(2):
        torch.manual_seed(7)
        seeds.append((ablate.LSTM(D, H).seed, ablate.LSTM(D, H).seed))
    assert seeds[0] == seeds[1]
    assert seeds[0][0] != seeds[0][1]
    torch.manual_seed(7)
    assert ablate.LSTM(D, H, seed=3).seed == 3
    after_ours = torch.rand(1)
    torch.manual_seed(7)
    nn.LSTM(D, H)
    assert torch.equal(torch.rand(1), after_ours)


def test_training_samples_and_evaluation_does_not():
    """Calls in training differ, calls in evaluation are those of torch (nothing rests in MEAN)."""
    theirs, ours = pair()
    ours.placement = Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(0.5)})
    x = drawn(T, B, D)
    assert not torch.equal(ours(x)[0], ours(x)[0])
    assert ours.next_update == 2
    assert_close(named(ours.eval()(x)), named(theirs(x)))
    assert ours.next_update == 2


def test_evaluation_takes_the_mean():
    """A placement that is scaled at test time acts in evaluation, by its mean."""
    theirs, ours = pair(D, H, 1)
    ours.placement = Placement({Edge.OUTPUT: Drop(0.25, scale=Scale.TEST)})
    x = drawn(T, B, D)
    assert_close({"y": ours.eval()(x)[0]}, {"y": theirs(x)[0] * 0.75})


def test_the_placement_may_be_set_between_calls():
    """As schedules do; `None` silences, and the count of updates runs on."""
    lstm = ablate.LSTM(D, H, L, seed=1)
    x = drawn(T, B, D)
    silent = lstm(x)[0]
    lstm.placement = DROPPED
    dropped = lstm(x)[0]
    lstm.placement = None
    assert torch.equal(lstm(x)[0], silent)
    assert not torch.equal(dropped, silent)
    assert lstm.placement == Placement()
    assert lstm.next_update == 3


def test_output_drops_the_sequence_and_not_the_state():
    """The state that is carried is whole."""
    lstm = ablate.LSTM(D, H, L, placement=Placement({Edge.OUTPUT: Drop(0.5)}), seed=1)
    y, (h, _) = lstm(drawn(T, B, D))
    assert (y == 0).any()
    assert (h != 0).all()


def test_no_module_is_left_out_of_a_compiled_model():
    """`torch.compile` of a model around it gives the same masks and counts the same updates."""
    model = nn.Sequential(nn.Linear(D, D), ablate.LSTM(D, H, L, placement=DROPPED, seed=1))
    plain = _alike(model)
    compiled = torch.compile(model, backend="eager")
    x = drawn(T, B, D)
    for _ in range(3):
        assert_close(named(compiled(x)), named(plain(x)))
    assert model[1].next_update == 3


def test_a_held_state_is_handed_back():
    """HOLD on RECURRENT holds the state, which then differs from the last output."""
    placement = Placement({Edge.RECURRENT: Drop(0.5, fill=Fill.HOLD)})
    y, (h, _) = ablate.LSTM(D, H, placement=placement, seed=1)(drawn(T, B, D))
    assert not torch.equal(y[-1], h[0])
