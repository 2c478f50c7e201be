"""From a placement to numbers: which words each edge of each layer takes, and their means.

The words are those of the NumPy oracle at the published address; nothing here asks `ablate.masks`.
"""

from dataclasses import replace

import numpy as np
import oracles
import pytest
import torch
from drawing import EDGES
from engine.case import B, D, H, T, layer_factors
from single_edges import single_edge_placements

from ablate.cells import CELLS
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.masks.net import drop_sequence
from ablate.engine.plan import Mode
from ablate.engine.sites import site_of
from ablate.engine.window import Window
from ablate.noise import GAUSSIAN
from ablate.placement import Placement

RATE = 0.3
WINDOW = Window(
    seed=77,
    update=12,
    time=T,
    batch=B,
    start=5,
    batch_offset=9,
    stack=3,
    dtype=torch.float64,
)

# The sites of a drop with its edge's default sharing, by edge and fill.
SITES = {
    (Edge.INPUT, Fill.ZERO): sites.INPUT,
    (Edge.INTERLAYER, Fill.ZERO): sites.INPUT,
    (Edge.WEIGHT, Fill.ZERO): sites.WEIGHT,
    (Edge.RECURRENT, Fill.ZERO): sites.RECURRENT,
    (Edge.RECURRENT, Fill.HOLD): sites.STATE_HOLD,
    (Edge.HIDDEN, Fill.ZERO): site_of(Edge.HIDDEN),
    (Edge.HIDDEN, Fill.HOLD): site_of(Edge.HIDDEN, Fill.HOLD),
    (Edge.UPDATE, Fill.ZERO): site_of(Edge.UPDATE),
    (Edge.CELL, Fill.ZERO): site_of(Edge.CELL),
    (Edge.CELL, Fill.HOLD): site_of(Edge.CELL, Fill.HOLD),
    (Edge.CARRY, Fill.ZERO): site_of(Edge.CARRY),
    (Edge.CARRY, Fill.HOLD): site_of(Edge.CARRY, Fill.HOLD),
}
_INSIDE = [
    pytest.param(*key, site, id=f"{key[0].label}-{key[1].value}") for key, site in SITES.items()
]


def _words(edge, layer, *, time, gate, row, unit, word=0):
    """The oracle's words in WINDOW at coordinates that broadcast against each other."""
    time, gate, row, unit, word = np.broadcast_arrays(time, gate, row, unit, word)
    key = (WINDOW.seed, 1 << 28 | WINDOW.stack << 20 | layer << 8 | oracles.EDGES[edge.name])
    counter = (WINDOW.update, time << 2 | gate, row, word << 12 | unit // 4)
    lanes = np.stack(oracles.philox(counter, key))
    return np.take_along_axis(lanes, (unit % 4)[None].astype(np.int64), axis=0)[0]


def _kept(edge, layer, units, *, gates=1):
    """Each its own over time, row and unit: [T, B, G, U] of ones and zeros."""
    words = _words(
        edge,
        layer,
        time=np.arange(WINDOW.start, WINDOW.start + T)[:, None, None, None],
        row=np.arange(WINDOW.batch_offset, WINDOW.batch_offset + B)[:, None, None],
        gate=np.arange(gates)[:, None],
        unit=np.arange(units),
    )
    return torch.tensor(words >= np.uint64(round(RATE * 2**32)), dtype=torch.float64)


def _factors(edge, drop, layer, window=WINDOW):
    return layer_factors(Placement({edge: drop}), layer, window)


@pytest.mark.parametrize(
    ("edge", "fill", "site"), [case for case in _INSIDE if case.values[0] is not Edge.WEIGHT]
)
def test_each_edge_takes_its_own_words_at_its_own_site(edge, fill, site):
    """Seed, stack, layer, edge, update, time from `start`, row from `batch_offset`, unit."""
    layer = 0 if edge is Edge.INPUT else 1
    factors = _factors(edge, Drop(RATE, fill=fill), layer)
    divided = fill is Fill.ZERO and edge not in Edge.CELL | Edge.CARRY
    expected = _kept(edge, layer, D if edge is Edge.INPUT else H)
    assert list(factors) == [site]
    assert torch.equal(factors[site], expected * (1.0 / (1.0 - RATE) if divided else 1.0))


CELL = [pytest.param(cell, id=name) for name, cell in CELLS.items()]


@pytest.mark.parametrize("edge", [Edge.INPUT, Edge.RECURRENT], ids=lambda edge: edge.label)
@pytest.mark.parametrize("cell", CELL)
def test_gates_apart_take_words_of_their_own(cell, edge):
    """The gate's number, of an LSTM i f g o, stands beside the time in the address."""
    placement = Placement({edge: Drop(RATE, Sharing(gate=1), scale=Scale.TEST)})
    (factor,) = layer_factors(placement, 0, WINDOW, cell=cell).values()
    units = D if edge is Edge.INPUT else H
    assert torch.equal(factor, _kept(edge, 0, units, gates=len(cell.gates)))


@pytest.mark.parametrize("cell", CELL)
def test_a_weights_mask_is_indexed_by_unit_and_source(cell):
    """The source stands where rows of the batch do, and time is left out: one mask a window."""
    placement = Placement({Edge.WEIGHT: Drop(RATE, scale=Scale.TEST)})
    (factor,) = layer_factors(placement, 1, WINDOW, cell=cell).values()
    words = _words(
        Edge.WEIGHT,
        1,
        time=0,
        gate=np.arange(len(cell.gates))[:, None, None],
        unit=np.arange(H)[:, None],
        row=np.arange(H),
    )
    kept = torch.tensor(words >= np.uint64(round(RATE * 2**32)), dtype=torch.float64)
    assert torch.equal(factor, kept)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_output_belongs_to_the_top_layer(layers):
    """OUTPUT's address carries the number of the top layer, L - 1."""
    ones = torch.ones(T, B, H, dtype=torch.float64)
    placement = Placement({Edge.OUTPUT: Drop(RATE, scale=Scale.TEST)})
    dropped = drop_sequence(ones, Edge.OUTPUT, layers - 1, placement, WINDOW)
    assert torch.equal(dropped, _kept(Edge.OUTPUT, layers - 1, H)[:, :, 0])


@pytest.mark.parametrize("batch", [1, ALL])
def test_a_dropped_word_is_dropped_wherever_it_stands(batch):
    """EMBEDDING's default decides by word within a row; batch ALL decides for the whole batch."""
    tokens = torch.tensor(
        [[3, 5, 3], [5, 3, 1], [3, 3, 3], [1, 2, 5], [2, 1, 0], [5, 5, 5], [0] * 3]
    )
    placement = Placement({Edge.EMBEDDING: Drop(RATE, Sharing(batch=batch), scale=Scale.TEST)})
    ones = torch.ones(T, B, D, dtype=torch.float64)
    dropped = drop_sequence(ones, Edge.EMBEDDING, 0, placement, WINDOW, tokens_TB=tokens)
    rows = np.arange(WINDOW.batch_offset, WINDOW.batch_offset + B) if batch == 1 else np.zeros(B)
    words = _words(
        Edge.EMBEDDING, 0, time=0, gate=0, unit=0, row=rows.astype(int), word=tokens.numpy()
    )
    kept = torch.tensor(words >= np.uint64(round(RATE * 2**32)), dtype=torch.float64)
    assert torch.equal(dropped, kept[:, :, None].expand(T, B, D))


def test_gaussian_noise_multiplies_by_itself():
    """A noise other than BERNOULLI is not scaled: its mean is its own."""
    (factor,) = _factors(Edge.HIDDEN, Drop(RATE, noise=GAUSSIAN), 0).values()
    words = _words(
        Edge.HIDDEN,
        0,
        time=np.arange(5, 5 + T)[:, None, None],
        gate=0,
        row=np.arange(9, 9 + B)[:, None],
        unit=np.arange(H),
    )
    expected = GAUSSIAN.multiplier(torch.tensor(words.astype(np.int64)), RATE)
    assert torch.equal(factor[:, :, 0], expected)


@pytest.mark.parametrize(
    ("edge", "weight"),
    [
        pytest.param(Edge.INPUT, sites.INPUT_WEIGHT, id="INPUT"),
        pytest.param(Edge.RECURRENT, sites.WEIGHT, id="RECURRENT"),
    ],
)
def test_a_constant_mask_with_gates_apart_folds_into_the_weight(edge, weight):
    """One mask for window and batch is a mask of the weight's columns, each gate its own."""
    drop = Drop(RATE, Sharing(time=ALL, batch=ALL, gate=1), scale=Scale.TEST)
    (site,), (factor,) = zip(*_factors(edge, drop, 0).items(), strict=True)
    units = D if edge is Edge.INPUT else H
    words = _words(edge, 0, time=0, row=0, gate=np.arange(4)[:, None], unit=np.arange(units))
    kept = torch.tensor(words >= np.uint64(round(RATE * 2**32)), dtype=torch.float64)
    assert site is weight
    assert torch.equal(factor, kept[:, None, :])


def test_masks_of_one_weight_multiply():
    """A folded RECURRENT and WEIGHT on the same W_hh are one factor, their product."""
    folded = Drop(0.5, Sharing(time=ALL, batch=ALL))
    drops = {Edge.WEIGHT: Drop(RATE), Edge.RECURRENT: folded}
    both = layer_factors(Placement(drops), 0, WINDOW)
    each = [_factors(edge, drop, 0)[sites.WEIGHT] for edge, drop in drops.items()]
    assert list(both) == [sites.WEIGHT]
    assert torch.equal(both[sites.WEIGHT], each[0] * each[1])


@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_an_edge_acts_only_at_its_layers(edge):
    """INPUT at the lowest layer, INTERLAYER above it, EMBEDDING and OUTPUT at no layer's inside."""
    acts = {Edge.EMBEDDING: [], Edge.OUTPUT: [], Edge.INPUT: [0], Edge.INTERLAYER: [1, 2]}
    found = [layer for layer in range(3) if _factors(edge, Drop(RATE), layer)]
    assert found == acts.get(edge, [0, 1, 2])


@pytest.mark.parametrize(
    ("edge", "rates", "silent"),
    [
        pytest.param(Edge.CELL, (0.0, 0.5, 0.2), [0], id="CELL"),
        pytest.param(Edge.INTERLAYER, (0.0, 0.5), [0, 1], id="INTERLAYER"),
    ],
)
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.MEAN], ids=lambda mode: mode.value)
def test_each_layer_has_its_own_rate(edge, rates, silent, mode):
    """A layer whose rate is zero has no factor, the next one takes the next rate."""
    window = replace(WINDOW, mode=mode)
    drop = Drop(rates, scale=Scale.TEST)
    factors = [_factors(edge, drop, layer, window) for layer in range(3)]
    assert [layer for layer in range(3) if not factors[layer]] == silent
    for layer, rate in zip(range(3)[-len(rates) :], rates, strict=True):
        if rate and mode is Mode.MEAN:
            (factor,) = factors[layer].values()
            assert factor.flatten().tolist() == [1.0 - rate]
        elif rate:
            alone = _factors(edge, Drop(rate, scale=Scale.TEST), layer)
            assert all(torch.equal(factors[layer][site], alone[site]) for site in alone)


def _means(edge, drop, layer=1, **given):
    """The factors of the deterministic evaluation, as plain lists by site."""
    factors = _factors(edge, drop, layer, replace(WINDOW, mode=Mode.MEAN, **given))
    return {site: factor.flatten().tolist() for site, factor in factors.items()}


@pytest.mark.parametrize(
    ("edge", "fill", "site"), [case for case in _INSIDE if case.values[1] is Fill.HOLD]
)
@pytest.mark.parametrize("time", [1, 3, ALL])
def test_hold_mixes_by_its_rate(edge, fill, site, time):
    """HOLD in evaluation: p old + (1 - p) new at every step, however long a decision lasts."""
    assert _means(edge, Drop(RATE, Sharing(time=time), fill)) == {site: [1.0 - RATE]}


@pytest.mark.parametrize(
    ("edge", "site"),
    [
        pytest.param(Edge.INTERLAYER, sites.INPUT, id="INTERLAYER"),
        pytest.param(Edge.WEIGHT, sites.WEIGHT, id="WEIGHT"),
        pytest.param(Edge.RECURRENT, sites.WEIGHT, id="RECURRENT"),
        pytest.param(Edge.HIDDEN, site_of(Edge.HIDDEN), id="HIDDEN"),
        pytest.param(Edge.UPDATE, site_of(Edge.UPDATE), id="UPDATE"),
        pytest.param(Edge.CELL, site_of(Edge.CELL), id="CELL"),
        pytest.param(Edge.CARRY, site_of(Edge.CARRY), id="CARRY"),
    ],
)
def test_test_scale_multiplies_by_what_is_kept(edge, site):
    """TEST in evaluation: times 1 - p at every step."""
    assert _means(edge, Drop(RATE, scale=Scale.TEST)) == {site: [1.0 - RATE]}


@pytest.mark.parametrize("edge", [edge for edge in EDGES if edge not in Edge.CELL | Edge.CARRY])
def test_train_scale_rests_in_evaluation(edge):
    """TRAIN and a noise of mean 1 leave nothing to do."""
    assert _means(edge, Drop(RATE)) == {}
    if edge is not Edge.EMBEDDING:
        assert _means(edge, Drop(RATE, noise=GAUSSIAN)) == {}


def test_a_long_decision_on_the_cell_scales_the_read():
    """ZERO on CELL for a whole window: o * tanh((1 - p) c), and the carried cell is whole."""
    drop = Drop(RATE, Sharing(time=ALL))
    assert _means(Edge.CELL, drop, start=0) == {sites.READ: [1.0 - RATE]}
    assert _means(Edge.CELL, drop, start=5) == {sites.READ: [1.0 - RATE]}


@pytest.mark.parametrize(
    ("start", "begins"),
    [
        pytest.param(0, [3, 6], id="from-0"),
        pytest.param(5, [1, 4], id="from-5"),
        pytest.param(6, [0, 3, 6], id="from-6"),
    ],
)
def test_a_new_decision_on_the_cell_scales_what_is_carried(start, begins):
    """In bursts of three the carried cell is scaled where a decision begins after step 0."""
    kept = 1.0 - RATE
    assert _means(Edge.CELL, Drop(RATE, Sharing(time=3)), start=start) == {
        sites.READ: [kept],
        sites.BEGIN: [kept if step in begins else 1.0 for step in range(T)],
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.MEAN], ids=lambda mode: mode.value)
def test_factors_have_the_windows_type(dtype, mode):
    """No factor raises or lowers the precision of what it meets."""
    window = replace(WINDOW, dtype=dtype, mode=mode)
    for placement in single_edge_placements():
        factors = layer_factors(placement, 1, window)
        assert all(factor.dtype == dtype for factor in factors.values()), placement.text


@pytest.mark.parametrize("mode", [Mode.TRAIN, Mode.MEAN], ids=lambda mode: mode.value)
@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_a_window_may_be_cut_anywhere(edge, mode):
    """Factors of steps, and of rows, are bit for bit the slices of the whole window's factors."""
    window, layer = replace(WINDOW, mode=mode), 0 if edge is Edge.INPUT else 1

    def cut(factors, dim, place):
        whole = {site: factor for site, factor in factors.items() if factor.dim() == 4}
        return {
            site: factor.narrow(dim, place if factor.shape[dim] > 1 else 0, 1)
            for site, factor in whole.items()
        }

    for placement in [placement for placement in single_edge_placements() if edge in placement]:
        whole = layer_factors(placement, layer, window)
        for dim, part in (
            (0, replace(window, start=window.start + 4, time=1)),
            (1, replace(window, batch_offset=window.batch_offset + 2, batch=1)),
        ):
            found = layer_factors(placement, layer, part)
            assert list(found) == list(whole)
            for site, factor in cut(whole, dim, 4 if dim == 0 else 2).items():
                assert torch.equal(found[site], factor), placement.text
