"""One table of a cohort's masks: each trial draws from it what it draws from its own alone.

Shapes: K trials, T time, B batch, G gates, U units; 1 where an axis shares.
"""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from drawing import EDGES, seeded
from engine.case import B, D, H, T, make_case
from hypothesis import given
from hypothesis import strategies as st
from single_edges import single_edge_placements

from ablate.addresses import LIMITS, Address
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import RULES, Edge
from ablate.engine import sites
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.layers.stack import run_cohort
from ablate.engine.masks.net import NetMasks, mask
from ablate.engine.masks.table import Clock, Joined, MaskTable, Means
from ablate.engine.plan import Mode, Path
from ablate.engine.sites import site_of
from ablate.engine.window import MaskSpec, Window
from ablate.masks import Coordinates
from ablate.noise import BERNOULLI, GAUSSIAN, Noise
from ablate.placement import Placement
from ablate.schedules import ANNEALED, CONSTANT, CURRICULUM, factor_at
from ablate.testing.close import assert_close, assert_same

NET = {"inputs": D, "hidden": H, "layers": 2}
TOTAL = 7


def _window(k=0, **given):
    """Where the k-th trial stands: no two of them alike in anything."""
    stated = {"seed": 2**32 - 1 - k, "update": 5 + 3 * k, "start": 4 * k, "batch_offset": 7 * k}
    stated |= {"time": T, "batch": B, "stack": k, "dtype": torch.float64}
    return Window(**(stated | given))


def _trials(placements, **given):
    return [MaskSpec(own, _window(k, **given)) for k, own in enumerate(placements)]


def _drawn(masks, layers=2):
    """All that a net's masks multiply by, by name: [K, ...]."""
    sources = {"embedding": masks.embedding, "output": masks.output}
    tokens_TB = torch.arange(T * B, device=masks.clock.updates_K.device).view(T, B) % 5
    found = {
        name: source.draw(masks.clock, tokens_TB)
        for name, source in sources.items()
        if source is not None
    }
    for layer in range(layers):
        found |= {(layer, site): own for site, own in masks.factors(layer).items()}
    return found


def _assert_each_is_its_own(trials, **given):
    """Every trial's multipliers of the cohort are those of its own table; 1 where it has none."""
    together = _drawn(NetMasks.of(trials, **NET, **given))
    for k, trial in enumerate(trials):
        alone = _drawn(NetMasks.of([trial], **NET, **given))
        assert set(alone) <= set(together)
        for name, factor in together.items():
            own = alone[name][0] if name in alone else torch.ones((), dtype=factor.dtype)
            assert torch.equal(factor[k], own.expand_as(factor[k])), (name, trial.placement)


def _shared(sharings, rates=(0.2, 0.5, 0.7), divided=(True, False, True), noise=BERNOULLI):
    """Each trial's masks in one table, and alone: [T, B, G, U]."""
    addresses = [
        Address(seed=k, edge=Edge.RECURRENT, layer=k, start=4 * k, batch_offset=7 * k)
        for k in range(len(sharings))
    ]
    updates = [5 + 3 * k for k in range(len(sharings))]

    def table(members):
        at = Coordinates.of(
            [addresses[k] for k in members],
            [sharings[k] for k in members],
            time=T,
            batch=B,
            units=H,
        )
        own = MaskTable.of(
            at,
            noise,
            [rates[k] for k in members],
            [divided[k] for k in members],
            dtype=torch.float64,
            device="cpu",
        )
        return own.draw(Clock.at([updates[k] for k in members]))

    together = table(range(len(sharings)))
    return together, [table([k])[0] for k in range(len(sharings))]


_EXTENTS = (1, 2, 3, ALL)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "time": st.sampled_from(_EXTENTS),
                "batch": st.sampled_from(_EXTENTS),
                "gate": st.sampled_from((1, ALL)),
                "update": st.sampled_from(_EXTENTS),
            }
        ),
        min_size=3,
        max_size=3,
    ),
    st.sampled_from(_EXTENTS),
    st.sampled_from((BERNOULLI, GAUSSIAN)),
)
@seeded(100)
def test_trials_that_share_otherwise_draw_as_alone(extents, unit, noise):
    """Sharings over every axis, rates, seeds, layers, starts, offsets and updates, side by side."""
    together, alone = _shared([Sharing(unit=unit, **own) for own in extents], noise=noise)
    for made, own in zip(together, alone, strict=True):
        assert torch.equal(made, own.expand_as(made))


@pytest.mark.parametrize(
    ("axis", "dim"), [("time", 1), ("batch", 2), ("gate", 3), ("unit", 4)], ids=lambda x: str(x)
)
def test_an_axis_that_all_share_has_length_1(axis, dim):
    """And its whole length where one trial of the cohort does not share it."""
    each, whole = Sharing(time=1, batch=1, gate=1, unit=1), {"time": T, "batch": B, "gate": 4}
    shared = replace(each, **{axis: ALL})
    together, _ = _shared([shared] * 3)
    assert together.shape[dim] == 1
    assert [size for at, size in enumerate(together.shape) if at not in (0, dim)] == [
        size for name, size in (whole | {"unit": H}).items() if name != axis
    ]
    if axis != "unit":
        mixed, _ = _shared([shared, each, shared])
        assert mixed.shape[dim] == whole[axis]


@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_a_cohort_draws_what_each_trial_draws_alone(edge):
    """Every edge, in one cohort: with every sharing, fill, scale and noise, and without it."""
    placements = [own for own in single_edge_placements() if edge in own]
    chosen = [*placements[:: max(1, len(placements) // 12)], Placement()]
    _assert_each_is_its_own(_trials(chosen))


UNLIKE = [
    pytest.param([Drop(0.3), Drop(0.4, Sharing(unit=2)), Drop(0.6, Sharing(unit=ALL))], id="units"),
    pytest.param([Drop(0.3, noise=GAUSSIAN), Drop(0.3), Drop(0.5, noise=GAUSSIAN)], id="noises"),
    pytest.param([Drop(0.3), Drop(0.3, fill=Fill.HOLD), Drop(0.3, Sharing(time=ALL))], id="fills"),
]


@pytest.mark.parametrize("drops", UNLIKE)
def test_tables_side_by_side_draw_what_each_draws(drops):
    """Other divisors of the units, noises and fills; who has no such drop is multiplied by 1."""
    placements = [Placement({Edge.HIDDEN: drop}) for drop in drops]
    trials = _trials([placements[0], Placement(), *placements[1:]])
    _assert_each_is_its_own(trials)
    sources = [own.source for own in NetMasks.of(trials, **NET).layers[0]]
    assert all(isinstance(source, Joined) for source in sources)


def test_words_of_the_text_decide_in_their_own_trials():
    """A trial that drops by word beside one that drops by place, in one table."""
    drops = (
        Drop(0.4, Sharing(time=ALL, word=1)),
        Drop(0.4, Sharing(time=1, word=ALL)),
        Drop(0.4, Sharing(time=ALL, word=1, batch=ALL)),
    )
    trials = _trials([Placement({Edge.EMBEDDING: drop}) for drop in drops])
    assert isinstance(NetMasks.of(trials, **NET).embedding, MaskTable)
    _assert_each_is_its_own(trials)


SCHEDULED = [
    pytest.param(Placement({Edge.HIDDEN: Drop((0.3, 0.6))}), id="BERNOULLI"),
    pytest.param(Placement({Edge.RECURRENT: Drop(0.5, fill=Fill.HOLD)}), id="HOLD"),
    pytest.param(Placement({Edge.INPUT | Edge.OUTPUT: Drop(0.5, noise=GAUSSIAN)}), id="GAUSSIAN"),
    pytest.param(Placement({Edge.EMBEDDING: Drop(0.5), Edge.WEIGHT: Drop(0.4)}), id="weights"),
    pytest.param(Placement({Edge.HIDDEN: Drop(2.0**-31)}), id="almost-never"),
]


def _clock(trials, update):
    """The clock of these trials at an update, with the factor of every other one beside."""
    factors = [
        [factor_at(own.schedule, number, TOTAL) for number in range(TOTAL + 1)]
        if own.schedule != CONSTANT
        else [1.0]
        for own, _ in trials
    ]
    return Clock.at([update] * len(trials), factors=factors)


@pytest.mark.parametrize("placement", SCHEDULED)
def test_a_schedule_on_the_device_is_the_placement_of_its_moment(placement):
    """At every update, rate 0 at either end included: bits of `Placement.at`, schedules mixed."""
    own = [placement, Placement(placement, CURRICULUM), Placement(placement, ANNEALED)]
    masks = NetMasks.of(_trials(own, update=0), **NET, clock=_clock(_trials(own), 0))
    for update in range(TOTAL + 1):
        drawn = _drawn(masks)
        for k, trial in enumerate(_trials(own, update=update)):
            at = MaskSpec(trial.placement.at(update, TOTAL), trial.window)
            alone = _drawn(NetMasks.of([at], **NET))
            for name, factor in drawn.items():
                wanted = alone[name][0] if name in alone else torch.ones((), dtype=factor.dtype)
                assert torch.equal(factor[k], wanted.expand_as(factor[k])), (name, update, k)
        masks.clock.advance()


@dataclass(frozen=True, slots=True)
class Odds(Noise):
    """A noise of numbers alone, undefined at a rate of 0: it divides by the rate."""

    name: str = "ODDS"

    def multiplier(self, word, rate):
        return word.double() / 2**32 * math.sqrt((1.0 - rate) / rate)


def test_a_rate_that_a_schedule_makes_0_drops_nothing():
    """Multipliers are 1 to the bit, whatever a noise would make of a rate of 0."""
    for noise in (BERNOULLI, GAUSSIAN, Odds()):
        placement = Placement({Edge.HIDDEN: Drop(0.5, noise=noise)}, CURRICULUM)
        masks = NetMasks.of(_trials([placement]), **NET, clock=_clock(_trials([placement]), 0))
        assert torch.equal(
            masks.factors(0)[site_of(Edge.HIDDEN)], torch.ones(1, T, B, 1, H).double()
        )
        masks.clock.advance()
        assert not torch.equal(
            masks.factors(0)[site_of(Edge.HIDDEN)], torch.ones(1, T, B, 1, H).double()
        )


def test_a_clock_that_goes_on_is_a_new_one():
    """Each update's masks from one table, and from tables made for that update."""
    drops = {
        Edge.INPUT: Drop(0.3),
        Edge.WEIGHT: Drop(0.5, Sharing(update=2)),
        Edge.CELL: Drop(0.4, Sharing(update=ALL)),
        Edge.EMBEDDING | Edge.OUTPUT: Drop(0.3),
    }
    trials = _trials([Placement(drops), Placement()])
    masks = NetMasks.of(trials, **NET)
    for number in range(5):
        later = [
            MaskSpec(own, replace(window, update=window.update + number)) for own, window in trials
        ]
        assert_same(_drawn(masks), _drawn(NetMasks.of(later, **NET)), number)
        assert masks.clock.updates_K.tolist() == [window.update for _, window in later]
        masks.clock.advance()


def test_updates_share_as_each_trial_says():
    """`update=n` keeps one decision for n windows; ALL keeps it for good."""
    extents = (1, 3, ALL)
    placements = [Placement({Edge.UPDATE: Drop(0.5, Sharing(update=n))}) for n in extents]
    masks = NetMasks.of(_trials(placements, update=0), **NET)
    drawn = []
    for _ in range(7):
        drawn.append(masks.factors(0)[site_of(Edge.UPDATE)])
        masks.clock.advance()
    for k, numbers in enumerate(([0, 1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1, 2], [0] * 7)):
        first = [numbers.index(number) for number in numbers]
        assert all(torch.equal(drawn[u][k], drawn[v][k]) for u, v in enumerate(first))
        different = {tuple(drawn[update][k].flatten().tolist()) for update in range(7)}
        assert len(different) == len(set(numbers))
        wanted = mask(placements[k][Edge.UPDATE], Edge.UPDATE, 0, H, _window(k, update=numbers[4]))
        if extents[k] == 1:
            assert torch.equal(drawn[4][k], wanted)


_CONSTANT = Sharing(time=ALL, batch=ALL, gate=1)
_APART = Sharing(gate=1)

FOLDED = [
    pytest.param([Placement({Edge.RECURRENT: Drop(0.4, _CONSTANT)})], {sites.WEIGHT}, id="alone"),
    pytest.param(
        [
            Placement({Edge.RECURRENT: Drop(0.4, _CONSTANT)}),
            Placement({Edge.RECURRENT: Drop(0.4, _APART)}),
        ],
        {sites.WEIGHT, sites.RECURRENT},
        id="beside-one-that-does-not-fold",
    ),
    pytest.param(
        [
            Placement({Edge.RECURRENT: Drop(0.4, _CONSTANT), Edge.WEIGHT: Drop(0.5)}),
            Placement({Edge.WEIGHT: Drop(0.3)}),
            Placement({Edge.RECURRENT: Drop(0.4, fill=Fill.HOLD)}),
            Placement(),
        ],
        {sites.WEIGHT, sites.STATE_HOLD},
        id="beside-WEIGHT",
    ),
    pytest.param(
        [
            Placement({Edge.INPUT | Edge.INTERLAYER: Drop(0.4, _CONSTANT)}),
            Placement({Edge.INPUT | Edge.INTERLAYER: Drop(0.4)}),
        ],
        {sites.INPUT_WEIGHT, sites.INPUT},
        id="INPUT",
    ),
]


def _net(trials):
    """Inputs, states and weights of each trial, K in front."""
    cases = [make_case(2, seed=k) for k in range(trials)]
    x = torch.stack([case.x_TBD.detach() for case in cases])
    state = tuple(
        torch.stack([case.state[part].detach() for case in cases], dim=1) for part in range(2)
    )
    layers = zip(*(case.weights for case in cases), strict=True)
    weights = [
        LayerWeights(*(torch.stack([w.detach() for w in own]) for own in zip(*layer, strict=True)))
        for layer in layers
    ]
    return x, state, weights


def _named(out):
    return dict(zip("ysc", (out.y_KTBH, *out.state), strict=True))


@pytest.mark.parametrize(("placements", "expected_sites"), FOLDED)
def test_a_folded_mask_is_the_unfolded_product(placements, expected_sites):
    """What is constant over window and batch moves into its trial's columns of the weight."""
    trials, net = _trials(placements), _net(len(placements))
    folded, plain = (NetMasks.of(trials, **NET, fold=fold) for fold in (True, False))
    assert set(folded.factors(0)) == expected_sites
    made, expected = (_named(run_cohort(*net, masks)) for masks in (folded, plain))
    assert_close(made, expected)
    names = {sites.WEIGHT: "RECURRENT", sites.INPUT_WEIGHT: "INPUT"}
    for site, edge in names.items():
        factor = folded.factors(0).get(site)
        if factor is None or Edge[edge] not in placements[0]:
            continue
        units = D if edge == "INPUT" else H
        drop = placements[0][Edge[edge]]
        wanted = mask(drop, Edge[edge], 0, units, _window())[0].permute(1, 0, 2)
        if Edge.WEIGHT in placements[0]:
            wanted = wanted * mask(placements[0][Edge.WEIGHT], Edge.WEIGHT, 0, H, _window())
        assert torch.equal(factor[0], wanted.expand_as(factor[0]))


def test_a_hook_keeps_masks_where_they_are_drawn():
    """Without folding a constant mask stays what its edge multiplies by."""
    placement = Placement({Edge.RECURRENT | Edge.INPUT: Drop(0.4, _CONSTANT)})
    masks = NetMasks.of(_trials([placement]), **NET, fold=False)
    shapes = {site: tuple(factor.shape) for site, factor in masks.factors(0).items()}
    assert shapes == {sites.INPUT: (1, 1, 1, 4, D), sites.RECURRENT: (1, 1, 1, 4, H)}


def test_the_evaluation_draws_nothing(monkeypatch):
    """Every source is a table of means, and no update or word changes it."""
    monkeypatch.setattr(Coordinates, "of", lambda *_, **__: pytest.fail("something was drawn"))
    for placement in single_edge_placements():
        masks = NetMasks.of(_trials([placement, Placement()], mode=Mode.MEAN), **NET)
        sources = [masks.embedding, masks.output]
        sources += [own.source for layer in masks.layers for own in layer]
        assert all(source is None or isinstance(source, Means) for source in sources)
        before = _drawn(masks)
        masks.clock.advance()
        assert_same(_drawn(masks), before)


@pytest.mark.parametrize("first", [0, 1, 5, 6])
def test_a_decision_begins_in_each_trial_by_its_own_divisor(first):
    """BEGIN scales the carried cell where a decision begins after step 0, READ every read."""
    extents = (3, ALL, 1, 2, 3)
    own = [Placement({Edge.CELL: Drop(0.25, Sharing(time=extent))}) for extent in extents]
    trials = [
        MaskSpec(placement, _window(k, mode=Mode.MEAN, start=first + k))
        for k, placement in enumerate([*own, Placement()])
    ]
    masks = NetMasks.of(trials, **NET)
    factors = {site: factor.flatten(1).tolist() for site, factor in masks.factors(1).items()}
    begins = [
        [
            0.75 if extent not in (1, ALL) and t and t % extent == 0 else 1.0
            for t in range(first + k, first + k + T)
        ]
        for k, extent in enumerate((*extents, ALL))
    ]
    assert factors == {
        sites.BEGIN: begins,
        site_of(Edge.CELL): [[1.0], [1.0], [0.75], [1.0], [1.0], [1.0]],
        sites.READ: [[0.75], [0.75], [1.0], [0.75], [0.75], [1.0]],
    }


def test_nothing_is_asked_of_the_device():
    """A device that has shapes alone gives masks of these shapes."""
    drops = {
        Edge.EMBEDDING: Drop(0.3),
        Edge.INPUT: Drop(0.3, noise=GAUSSIAN),
        Edge.WEIGHT: Drop(0.3),
        Edge.RECURRENT: Drop(0.3, Sharing(update=3)),
        Edge.CARRY: Drop(0.3, fill=Fill.HOLD),
        Edge.OUTPUT: Drop(0.3, Sharing(unit=2)),
    }
    own = [Placement(drops, CURRICULUM), Placement(drops), Placement({Edge.OUTPUT: Drop(0.2)})]
    trials = _trials(own, device="meta")
    clock = Clock.at([3, 4, 5], device="meta", factors=[[0.0, 0.5, 1.0], [1.0], [1.0]])
    masks = NetMasks.of(trials, **NET, clock=clock, words=LIMITS["word"])
    tokens_TB = torch.zeros(T, B, dtype=torch.int64, device="meta")
    for _ in range(2):
        x = torch.zeros(3, T, B, D, dtype=torch.float64, device="meta")
        assert masks.drop_words(x, tokens_TB).shape == x.shape
        assert masks.drop_output(x.new_zeros(3, T, B, H)).shape == (3, T, B, H)
        assert {site: tuple(factor.shape) for site, factor in masks.factors(0).items()} == {
            sites.INPUT: (3, T, B, 1, D),
            sites.WEIGHT: (3, 4, H, H),
            sites.RECURRENT: (3, T, B, 1, H),
            site_of(Edge.CARRY, Fill.HOLD): (3, T, B, 1, H),
        }
        masks.clock.advance()


def test_trials_may_scale_and_fill_one_edge_otherwise():
    """TRAIN beside TEST in one table; ZERO beside HOLD at a site each."""
    drops = (
        Drop(0.5, scale=Scale.TRAIN),
        Drop(0.5, scale=Scale.TEST),
        Drop(0.5, fill=Fill.HOLD),
    )
    trials = _trials([Placement({Edge.HIDDEN: drop}) for drop in drops])
    factors = NetMasks.of(trials, **NET).factors(0)
    zeroed, held = factors[site_of(Edge.HIDDEN)], factors[site_of(Edge.HIDDEN, Fill.HOLD)]
    assert [set(own.flatten().tolist()) for own in zeroed] == [{0.0, 2.0}, {0.0, 1.0}, {1.0}]
    assert [set(own.flatten().tolist()) for own in held] == [{1.0}, {1.0}, {0.0, 1.0}]


def test_every_rule_has_a_table():
    """Each edge with each of its fills and noises comes out of a cohort as one of these sources."""
    placements = [
        Placement({edge: Drop(0.3, fill=fill)})
        for edge, rule in RULES.items()
        for fill in rule.fills
    ]
    masks = NetMasks.of(_trials(placements), **NET)
    found = {own.site for layer in masks.layers for own in layer}
    inside = RULES.keys() - {Edge.EMBEDDING, Edge.OUTPUT}
    assert found == {site_of(edge, fill) for edge in inside for fill in RULES[edge].fills}
    assert masks.embedding is not None
    assert masks.output is not None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("noise", [BERNOULLI, GAUSSIAN], ids=lambda noise: noise.name)
def test_a_gpu_draws_a_cohorts_masks_as_the_cpu(noise):
    """Bernoulli's bit for bit at every update of a schedule, another noise's to two ulp."""
    drops = {
        edge: Drop(0.4, noise=noise)
        for edge, rule in RULES.items()
        if rule.noise or noise == BERNOULLI
    }
    own = [Placement(drops, CURRICULUM), Placement(drops), Placement()]
    factors = [[factor_at(CURRICULUM, update, TOTAL) for update in range(TOTAL)], [1.0], [1.0]]
    cpu, gpu = (
        NetMasks.of(
            _trials(own, device=device, dtype=torch.float32),
            **NET,
            clock=Clock.at([0, 3, 5], device=device, factors=factors),
        )
        for device in ("cpu", "cuda")
    )
    exact = noise == BERNOULLI
    for _ in range(TOTAL):
        here, there = _drawn(cpu), _drawn(gpu)
        assert list(here) == list(there)
        for name, factor in here.items():
            rtol = 0.0 if exact else 2.0**-22
            torch.testing.assert_close(there[name].cpu(), factor, rtol=rtol, atol=0.0)
        cpu.clock.advance()
        gpu.clock.advance()


def test_a_library_takes_a_cohorts_masks_as_the_loop_does():
    """Masks outside the loop, folded or not: both paths give the same numbers."""
    own = [
        Placement({Edge.INPUT: Drop(0.4), Edge.WEIGHT: Drop(0.3)}),
        Placement({Edge.RECURRENT: Drop(0.4, _CONSTANT)}),
        Placement(),
    ]
    masks, net = NetMasks.of(_trials(own), **NET), _net(3)
    made, expected = (_named(run_cohort(*net, masks, path)) for path in (Path.LIBRARY, Path.LOOPED))
    assert_close(made, expected)
