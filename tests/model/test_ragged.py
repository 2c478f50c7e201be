"""Rows of different lengths and two directions under dropout: a row is what it is by itself."""

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
    drawn,
    everything,
    given,
    ours,
    packed,
    parts_of,
    state_of,
)
from torch import nn
from torch.nn.utils.rnn import pad_packed_sequence

from ablate.drops import ALL, VARIATIONAL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.testing import assert_close

CELLS = pytest.mark.parametrize("cell", list(KINDS))
BOTH = pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
LENGTHS = [2, T, 1]

GATED = Edge.INPUT | Edge.INTERLAYER | Edge.RECURRENT


def module(cell: str, both: bool = True, placement: object = None, **options: object) -> nn.RNNBase:
    placement = EVERYWHERE[cell] if placement is None else placement
    return ours(cell, bidirectional=both, placement=placement, **options)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@BOTH
@CELLS
def test_a_row_alone_is_the_row_in_its_batch(cell, both, training):
    """Outputs, states and gradients, without padding, at its own number in the batch."""
    own = module(cell, both).train(training)
    x, parts = drawn(T, B, D), state_of(own, B)
    leaf = x.clone().requires_grad_()
    y, after = own(leaf, given(parts), update=5, lengths=LENGTHS)
    y.square().sum().backward()
    for row, length in enumerate(LENGTHS):
        alone = x[:length, row : row + 1].clone().requires_grad_()
        state = given([part[:, row : row + 1] for part in parts])
        y_alone, after_alone = own(alone, state, update=5, batch_offset=row)
        y_alone.square().sum().backward()
        assert_close({"y": y[:length, row]}, {"y": y_alone[:, 0]})
        assert_close({"dx": leaf.grad[:length, row]}, {"dx": alone.grad[:, 0]})
        assert (y[length:, row] == 0).all()
        assert (leaf.grad[length:, row] == 0).all()
        for found, expected in zip(parts_of(after), parts_of(after_alone), strict=True):
            assert_close({"state": found[:, row]}, {"state": expected[:, 0]})


@BOTH
@CELLS
def test_padding_is_not_read(cell, both):
    """NaN after each row's end changes no output, state or gradient by a bit."""
    own = module(cell, both)
    x = drawn(T, B, D)
    filled = x.clone()
    for row, length in enumerate(LENGTHS):
        filled[length:, row] = float("nan")

    def call(value: torch.Tensor, state: object) -> tuple:
        return own(value, state, update=5, lengths=torch.tensor(LENGTHS, dtype=torch.int32))

    expected, found = everything(own, call, x, B), everything(own, call, filled, B)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@BOTH
@CELLS
def test_packed_rows_have_the_masks_of_padded_ones(cell, both):
    """A mask's row is the row's number in the order of who packed; hx and states are in it too."""
    own = module(cell, both)
    x, state = drawn(T, B, D), given(state_of(own, B))
    y, after = own(x, state, update=5, lengths=LENGTHS)
    y_packed, after_packed = own(packed(x, LENGTHS, own), state, update=5)
    padded, lengths = pad_packed_sequence(y_packed)
    assert lengths.tolist() == LENGTHS
    assert_close({"y": padded}, {"y": y})
    for found, expected in zip(parts_of(after_packed), parts_of(after), strict=True):
        assert_close({"state": found}, {"state": expected})


@BOTH
@CELLS
def test_rows_without_a_step(cell, both):
    """Hand their state on, also where no row has one."""
    own = module(cell, both)
    x, parts = drawn(T, B, D), state_of(own, B)
    for lengths in ([0, T, 2], [0, 0, 0]):
        y, after = own(x, given(parts), lengths=lengths)
        for row in (row for row in range(B) if not lengths[row]):
            assert (y[:, row] == 0).all()
            for found, expected in zip(parts_of(after), parts, strict=True):
                assert torch.equal(found[:, row], expected[:, row])


@CELLS
def test_lengths_of_whole_rows_change_nothing(cell):
    """In the layout of the call, whatever form they have."""
    own = module(cell, batch_first=True)
    x = drawn(B, T, D)
    y, after = own(x, update=5)
    for lengths in ([T] * B, torch.full((B,), T), torch.full((B,), T, dtype=torch.uint8)):
        found, state = own(x, update=5, lengths=lengths)
        assert_close({"y": found}, {"y": y})
        for one, other in zip(parts_of(state), parts_of(after), strict=True):
            assert_close({"state": one}, {"state": other})


def _zeroed(cell: str) -> Placement:
    """A placement that hooks can put in by hand, at every edge that has one."""
    table = {edge: drop for edge, drop in EVERYWHERE[cell].items() if drop.fill is Fill.ZERO}
    return Placement(table | ({Edge.HIDDEN: Drop(0.2)} if cell in ("lstm", "rnn") else {}))


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_masks_and_hooks_name_the_direction(cell, lengths):
    """Two directions with other placements, put in by hand from the masks that are shown."""
    both = (_zeroed(cell), _zeroed(cell) - (Edge.WEIGHT | Edge.HIDDEN))
    own, hooked = module(cell, placement=both), module(cell, placement=Placement())

    def by_hand(edge: Edge):
        def fn(value, *, layer, update, time, direction):
            if edge is Edge.OUTPUT:
                halves = [own.masks(edge, time=T, batch=B, direction=d)[:, :, 0] for d in (0, 1)]
                return value * torch.cat([half.expand(T, B, H) for half in halves], -1)
            if edge not in own.placements[direction]:
                return value
            where = {"layer": layer, "update": update, "direction": direction}
            masks = own.masks(edge, time=1, batch=B, start=time, **where)
            if edge is Edge.WEIGHT:
                return value * masks
            return value * (masks[0] if edge in GATED else masks[0, :, 0])

        return fn

    for edge in both[0]:
        hooked.hook(edge, by_hand(edge))

    def call(one: nn.RNNBase):
        return lambda x, state: one(x, state, update=0, lengths=lengths)

    x = drawn(T, B, D)
    assert_close(everything(hooked, call(hooked), x, B), everything(own, call(own), x, B))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_directions_sample_apart_unless_they_share(cell):
    """At each edge and layer half of the decisions agree by chance; `direction=ALL` shares all."""
    table = {edge: Drop(0.5, fill=drop.fill) for edge, drop in EVERYWHERE[cell].items()}
    shared = {
        edge: Drop(0.5, Sharing(direction=ALL), fill=drop.fill) for edge, drop in table.items()
    }
    apart, together = module(cell, placement=Placement(table)), module(cell)
    together.placement = Placement(shared)
    where = {"time": 40, "batch": 20, "update": 3}
    for edge in table:
        first, second = (apart.masks(edge, direction=d, **where) for d in (0, 1))
        equal = (first == second).double()
        assert abs(equal.mean().item() - 0.5) < 5 * (0.25 / equal.numel()) ** 0.5, edge
        # What is forward's is that of a module which has no other direction.
        alone = ours(cell, placement=Placement(table)).masks(edge, **where)
        assert torch.equal(first[..., : alone.shape[-1]], alone)
        first, second = (together.masks(edge, direction=d, **where) for d in (0, 1))
        assert torch.equal(first, second), edge


@pytest.mark.parametrize("sharing", [Sharing(direction=ALL), Sharing(time=ALL, direction=ALL)])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_an_input_that_both_directions_share(cell, sharing):
    """Is dropped once, at its place in the text, and both halves of an output by one mask."""
    own = module(cell, placement=Placement({Edge.INPUT | Edge.OUTPUT: Drop(0.5, sharing)}))
    silent = module(cell, placement=Placement())
    x = drawn(T, B, D)
    of_x, of_y = (
        own.masks(edge, time=T, batch=B, update=4)[:, :, 0] for edge in (Edge.INPUT, Edge.OUTPUT)
    )
    for lengths in (None, LENGTHS):
        y, _ = own(x, update=4, lengths=lengths)
        whole, _ = silent(x * of_x, lengths=lengths)
        assert_close({"y": y}, {"y": whole * torch.cat([of_y, of_y], -1)})


@CELLS
def test_each_direction_has_its_placement(cell):
    """A half of the output is that of the module with this placement in both directions."""
    first, second = EVERYWHERE[cell], Placement({Edge.RECURRENT: Drop(0.4, VARIATIONAL)})
    options = {"layers": 1}
    x = drawn(T, B, D)
    pair = module(cell, placement=(first, second), **options)
    expected = [module(cell, placement=each, **options)(x, update=2)[0] for each in (first, second)]
    y, _ = pair(x, update=2)
    assert_close({"y": y}, {"y": torch.cat([expected[0][..., :H], expected[1][..., H:]], -1)})
    assert pair.placement == (first, second)
    pair.placement = (None, second)
    silent = module(cell, placement=Placement(), **options)(x)[0]
    assert_close({"y": pair(x)[0][..., :H]}, {"y": silent[..., :H]})
    assert pair.owns == pair.cell.has & ~Edge.EMBEDDING
    with torch.no_grad():
        assert not torch.equal(pair(x)[0], pair(x)[0])
    pair.placement = first
    assert pair.placements == (first, first)


def test_a_pair_follows_a_schedule_by_hand():
    """Each is set before each update, as a list too."""
    own = module("gru", placement=Placement())
    pair = [Placement({Edge.INPUT: Drop(rate)}) for rate in (0.2, 0.4)]
    own.placement = [each.at(1, 10) for each in pair]
    assert own.placements == tuple(pair)
    assert own.num_layers == L
