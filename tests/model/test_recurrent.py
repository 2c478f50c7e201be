"""`ablate.LSTM`, `ablate.GRU` and `ablate.RNN` stand in for torch's modules in every call."""

import copy
import inspect
import pickle

import pytest
import torch
from recurrent import (
    EVERYWHERE,
    KINDS,
    B,
    D,
    H,
    L,
    T,
    by_packing,
    drawn,
    everything,
    given,
    ours,
    packed,
    parts_of,
    state_of,
    theirs,
)
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

import ablate
from ablate import cells
from ablate.drops import VARIATIONAL, Drop, Fill
from ablate.edges import Edge
from ablate.model.copies import same_stacks
from ablate.placement import Placement
from ablate.testing import assert_close

CELLS = pytest.mark.parametrize("cell", list(KINDS))
BOTH = pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
LAYERS = pytest.mark.parametrize("layers", [1, 2])
LENGTHS = [2, T, 1]

NEAR = {"rtol": 0.0, "atol": 1e-9}


def _modules(cell: str, layers: int, **options: object) -> tuple[nn.RNNBase, nn.RNNBase]:
    return ours(cell, layers, **options), theirs(cell, layers, **options)


def _assert_near(found: dict, expected: dict) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **NEAR, msg=name)


@LAYERS
@BOTH
@CELLS
def test_weights_are_torchs(cell, both, layers):
    """Initial values under one seed bit by bit, names in one order, checkpoints both ways."""
    for bias in (True, False):
        own, other = _modules(cell, layers, bidirectional=both, bias=bias)
        assert list(own.state_dict()) == list(other.state_dict())
        for name, value in other.state_dict().items():
            assert torch.equal(own.state_dict()[name], value), name
        with torch.no_grad():
            for value in other.parameters():
                value.mul_(-0.5)
        own.load_state_dict(other.state_dict())
        x = drawn(T, B, D)
        _assert_near({"y": own(x)[0]}, {"y": other(x)[0]})
        other.load_state_dict(ours(cell, layers, bidirectional=both, bias=bias).state_dict())
        assert repr(own) == repr(other)


@LAYERS
@BOTH
@CELLS
def test_a_silent_module_is_torchs(cell, both, layers):
    """Outputs, states and all gradients: padded, by lengths, packed both ways, without a batch."""
    for bias, first in ((True, False), (False, True)):
        own, other = _modules(cell, layers, bidirectional=both, bias=bias, batch_first=first)
        x = drawn(B, T, D) if first else drawn(T, B, D)
        _assert_near(everything(own, own, x, B), everything(other, other, x, B))
        _assert_near(
            everything(own, lambda v, s, own=own: own(v, s, lengths=LENGTHS), x, B),
            everything(other, lambda v, s, other=other: by_packing(other, v, s, LENGTHS), x, B),
        )
        for lengths, enforce in (([T, 2, 2], True), (LENGTHS, False), ([2, 2, 3], False)):

            def call(module, v, s, lengths=lengths, enforce=enforce):
                whole = pack_padded_sequence(v, lengths, module.batch_first, enforce)
                y, state = module(whole, s)
                for found, expected in zip(y[1:], whole[1:], strict=True):
                    assert found is expected is None or torch.equal(found, expected)
                return y, state

            _assert_near(
                everything(own, lambda v, s, own=own: call(own, v, s), x, B),
                everything(other, lambda v, s, other=other: call(other, v, s), x, B),
            )
        alone = drawn(T, D)
        _assert_near(everything(own, own, alone), everything(other, other, alone))


@BOTH
@CELLS
def test_states_have_torchs_form(cell, both):
    """A pair or one tensor, zeros where none is given, under torch's name too."""
    own, other = _modules(cell, L, bidirectional=both)
    x, state = drawn(T, B, D), given(state_of(own, B))
    for arguments in ((x,), (x, None), (x, state)):
        (y, after), (y_other, expected) = own(*arguments), other(*arguments)
        assert type(after) is type(expected)
        _assert_near({"y": y}, {"y": y_other})
        for found, wanted in zip(parts_of(after), parts_of(expected), strict=True):
            _assert_near({"state": found}, {"state": wanted})
    assert torch.equal(own(input=x, hx=state)[0], own(x, state)[0])
    y, after = own(torch.zeros(T, 0, D, dtype=torch.float64), lengths=[])
    assert y.shape == other(torch.zeros(T, 0, D, dtype=torch.float64))[0].shape
    assert parts_of(after)[0].shape == (L * (1 + both), 0, H)


@CELLS
def test_it_is_one_of_torchs(cell):
    """Code that asks for torch's class, or reads its attributes, finds them."""
    own, other = _modules(cell, L, bidirectional=True)
    assert isinstance(own, type(other))
    assert own.cell is cells.get(cell)
    own.flatten_parameters()
    assert [len(layer) for layer in own.all_weights] == [4] * (2 * L)
    for name in other.__constants__:
        assert getattr(own, name) == getattr(other, name), name


def test_options_by_place():
    """In torch's order, which for the plain net has the nonlinearity in the fourth place."""
    for kind, options in (
        ("LSTM", (D, H, 2, False, True, 0.0, True)),
        ("GRU", (D, H, 2, False, True, 0.0, True)),
        ("RNN", (D, H, 2, "relu", False, True, 0.0, True)),
    ):
        own, other = getattr(ablate, kind)(*options), getattr(nn, kind)(*options)
        assert repr(own) == repr(other)
        x = torch.ones(B, T, D)
        own.load_state_dict(other.state_dict())
        assert_close({"y": own(x)[0]}, {"y": other(x)[0]})
        parameters = list(inspect.signature(getattr(ablate, kind)).parameters)
        assert parameters[: len(options)][-4:] == [
            "bias",
            "batch_first",
            "dropout",
            "bidirectional",
        ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: ablate.GRU(D, H, proj_size=2),
        lambda: ablate.RNN(D, H, proj_size=0),
        lambda: ablate.GRU(D, H, nonlinearity="relu"),
        lambda: ablate.RNN(D, H, nonlinearity="gelu"),
        lambda: ablate.RNN(D, H, 1, True),
        lambda: ablate.GRU(D, H, 2, dropout=0.5),
        lambda: ablate.GRU(D, H, placement=(Placement(), Placement())),
        lambda: ablate.GRU(D, H, bidirectional=True, placement=[Placement()]),
        lambda: ablate.GRU(D, H, bidirectional=True, placement=(Placement(), "gal2016")),
        lambda: ablate.GRU(D, H, placement=Placement({Edge.CELL: Drop(0.1)})),
        lambda: ablate.GRU(D, H, placement=Placement({Edge.HIDDEN: Drop(0.1)})),
        lambda: ablate.RNN(
            D,
            H,
            bidirectional=True,
            placement=(None, Placement({Edge.UPDATE: Drop(0.1)})),
        ),
        lambda: ablate.GRU(D, H).hook(Edge.INPUT | Edge.CARRY, lambda value: value),
        lambda: ablate.GRU(D, H)(torch.zeros(T, B, D), (torch.zeros(1, B, H),)),
        lambda: ablate.LSTM(D, H)(torch.zeros(T, B, D), torch.zeros(1, B, H)),
        lambda: ablate.GRU(D, H, bidirectional=True)(torch.zeros(T, B, D), torch.zeros(1, B, H)),
        lambda: ablate.GRU(D, H, bidirectional=True)(torch.zeros(T, B, D), start=2),
        lambda: ablate.GRU(D, H, placement=Placement({Edge.INPUT: Drop(0.5)})).masks(
            Edge.INPUT, time=T, batch=B, direction=1
        ),
    ],
)
def test_what_is_refused(make, refused):
    """In one sentence, by the module's own name."""
    with refused():
        make()


@CELLS
def test_one_step_calls_are_one_long_call(cell):
    """With one `update` and `start`, where rows end on the way too."""
    own = ours(cell, placement=EVERYWHERE[cell])
    x = drawn(T, B, D)
    for lengths in (None, [2, T, 0]):
        y, whole = own(x, update=5, start=4, lengths=lengths)
        state, steps = None, []
        for t in range(T):
            left = None if lengths is None else [min(max(each - t, 0), 1) for each in lengths]
            made, state = own(x[t : t + 1], state, update=5, start=4 + t, lengths=left)
            steps.append(made)
        assert_close({"y": torch.cat(steps)}, {"y": y})
        for found, expected in zip(parts_of(state), parts_of(whole), strict=True):
            assert_close({"state": found}, {"state": expected})


@BOTH
@CELLS
def test_layouts_sample_the_same_masks(cell, both):
    """`batch_first`, no batch and parts of a batch are the same rows at the same addresses."""
    options = {"bidirectional": both, "placement": EVERYWHERE[cell]}
    own, first = ours(cell, **options), ours(cell, batch_first=True, **options)
    x = drawn(T, B, D)
    y, state = own(x, update=4)
    y_first, _ = first(x.transpose(0, 1), update=4)
    assert_close({"y": y_first.transpose(0, 1)}, {"y": y})
    for row in range(B):
        alone, after = own(x[:, row], update=4, batch_offset=row)
        assert_close({"y": alone}, {"y": y[:, row]})
        for found, expected in zip(parts_of(after), parts_of(state), strict=True):
            assert_close({"state": found}, {"state": expected[:, row]})


@CELLS
def test_evaluation_takes_the_mean(cell):
    """And counts no updates; training samples anew at each call."""
    own = ours(cell, bidirectional=True, placement=EVERYWHERE[cell])
    x = drawn(T, B, D)
    assert not torch.equal(own(x)[0], own(x)[0])
    assert own.next_update == 2
    assert torch.equal(own.eval()(x)[0], own(x)[0])
    assert own.next_update == 2
    own.placement = own.placement & Edge.VERTICAL
    _assert_near({"y": own(x)[0]}, {"y": theirs(cell, bidirectional=True)(x)[0]})


@CELLS
def test_copies_and_pickles(cell):
    """Go on alike where they are asked to, a pair of placements included."""
    pair = (EVERYWHERE[cell], Placement({Edge.OUTPUT: Drop(0.5)}))
    own = ours(cell, bidirectional=True, placement=pair)
    x = drawn(T, B, D)
    own(x)
    with same_stacks():
        twins = [copy.deepcopy(own), pickle.loads(pickle.dumps(own))]
    expected = own(x)[0]
    for twin in twins:
        assert twin.placement == pair
        assert twin.cell is own.cell
        assert torch.equal(twin(x)[0], expected)
    other = copy.deepcopy(own)
    assert other.stack != own.stack
    assert not torch.equal(other(x, update=0)[0], own(x, update=0)[0])
    assert repr(own).endswith(f", bidirectional=True, placement={pair!r}, seed=7)")
    expected = other(x, update=0)[0]
    weight_norm(other, "weight_hh_l0_reverse")
    assert_close({"y": other(x, update=0)[0]}, {"y": expected})


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_checkpointing_and_functions(cell, refused):
    """A named update is recomputed alike, and `torch.func` gives autograd's gradients."""
    placement = EVERYWHERE[cell]
    own = ours(cell, bidirectional=True, placement=placement)
    x = drawn(T, B, D)

    def plain(value, state):
        return own(value, state, update=3, lengths=LENGTHS)

    def recomputed(value, state):
        return checkpoint(plain, value, state, use_reentrant=False)

    expected = everything(own, plain, x, B)
    assert_close(everything(own, recomputed, x, B), expected)
    run = checkpoint(lambda value: own(value)[0], x.requires_grad_(), use_reentrant=False)
    with refused():
        run.sum().backward()

    def loss(parameters, value):
        arguments = {"update": 3, "lengths": LENGTHS}
        return torch.func.functional_call(own, parameters, (value,), arguments)[0].square().sum()

    parameters = dict(own.named_parameters())
    found = torch.func.grad(loss)(parameters, x.detach())
    own.zero_grad()
    own(x.detach(), update=3, lengths=LENGTHS)[0].square().sum().backward()
    assert_close(found, {name: value.grad for name, value in parameters.items()})


def _rows_of(own: nn.RNNBase, x: torch.Tensor) -> torch.Tensor:
    return torch.vmap(lambda row: own(row, update=4)[0], in_dims=1, out_dims=1, randomness="same")(
        x
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_torchs_tools(cell, refused):
    """vmap, export, trace, compile: as for the LSTM, in both directions."""
    own = ours(cell, bidirectional=True, placement=EVERYWHERE[cell] & Edge.VERTICAL)
    x = drawn(T, B, D)
    alone = torch.stack([own(row, update=4)[0] for row in x.unbind(1)], dim=1)
    assert_close({"y": _rows_of(own, x)}, {"y": alone})
    for tool in (torch.jit.trace, torch.export.export):
        with refused():
            tool(nn.Sequential(own), (x,))
    with refused():
        torch.jit.script(own)
    own.eval()
    longer = drawn(T + 2, B + 1, D)
    traced = torch.jit.trace(own, (x,))
    assert_close({"y": traced(longer)[0]}, {"y": own(longer)[0]})
    ragged = torch.export.export(own, (x,), {"lengths": torch.tensor(LENGTHS)}).module()
    lengths = torch.tensor([1, 2, T])
    assert_close({"y": ragged(x, lengths=lengths)[0]}, {"y": own(x, lengths=lengths)[0]})
    own.train()
    compiled = torch.compile(nn.Sequential(own), backend="eager")
    assert_close({"y": compiled(x)[0]}, {"y": own(x, update=own.next_update - 1)[0]})
    torch._dynamo.reset()


@BOTH
@CELLS
def test_below_autocast(cell, both):
    """Products in bfloat16, all else as it was; a packed input in bfloat16 is read."""
    own = ours(cell, bidirectional=both, placement=EVERYWHERE[cell], dtype=torch.float32)
    x = drawn(T, B, D).float()
    exact = own(x, update=2)[0]
    with torch.autocast("cpu", torch.bfloat16):
        y, state = own(x, update=2)
        low, _ = own(packed(x.bfloat16(), [T] * B, own), update=2)
    assert {y.dtype, low.data.dtype, *(part.dtype for part in parts_of(state))} == {torch.float32}
    assert 0.0 < (y - exact).norm() / exact.norm() < 2.0**-5
    assert torch.equal(y == 0, exact == 0)


@CELLS
def test_a_held_state_is_handed_back(cell):
    """HOLD on RECURRENT holds what the next step reads, which then differs from the last output."""
    placement = Placement({Edge.RECURRENT: Drop(0.5, VARIATIONAL, fill=Fill.HOLD)})
    y, state = ours(cell, 1, placement=placement)(drawn(T, B, D))
    assert not torch.equal(y[-1], parts_of(state)[0][0])


def test_dropout_that_is_set_afterwards(refused):
    """Some code sets torch's attribute; it would do nothing here."""
    own = ours("gru")
    own.dropout = 0.5
    with refused():
        own(drawn(T, B, D))
