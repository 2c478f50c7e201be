"""A right scale is never accused, and a wrong one is never passed where it can be seen."""

import itertools

import pytest
from auditing.scaled import EDGES, HELD, HOLD_RIGHT, HOLD_WRONG, RIGHT, WRONG, DropsAt

import ablate
from ablate.auditing import audit
from ablate.auditing.tails import SELDOM, refuted
from ablate.drops import PER_STEP, Drop, Fill, Scale
from ablate.edges import RULES, Edge
from ablate.placement import Placement


def _placement(edge: str, rate: float, **how) -> Placement:
    return Placement({Edge[edge]: Drop(rate, PER_STEP, **how)})


# One rate for each edge, so that all rates and all edges are looked at: the whole matrix takes
# half an hour of one core.
RATES = (0.001, 0.005, 0.01, 0.02, 0.1, 0.9, 0.99)
SLANT = tuple(zip(EDGES, RATES, strict=True))


@pytest.mark.parametrize(("edge", "rate"), SLANT)
def test_a_right_scale_agrees_at_every_rate(edge, rate):
    """TRAIN where an edge allows it, and TEST: rate, scale and sharing are told."""
    for scale in RULES[Edge[edge]].scales:
        module = DropsAt(edge, RIGHT[scale.value.lower()](rate))
        found = audit(module, _placement(edge, rate, scale=scale))
        assert found.agrees, found
        assert [one.scale for one in found.found] == [scale.value]


@pytest.mark.parametrize(
    ("edge", "rate", "how"),
    [
        *((*at, how) for at, how in zip(SLANT, itertools.cycle(WRONG), strict=False)),
        # Where drops are few a scale that is applied twice is the hardest to tell.
        ("OUTPUT", 0.001, "twice"),
        ("HIDDEN", 0.02, "keep"),
        *(
            pytest.param(edge, rate, how, marks=pytest.mark.slow)
            for edge, rate, ways in (
                ("OUTPUT", 0.001, ("none", "times")),
                ("HIDDEN", 0.02, ("none", "twice")),
            )
            for how in ways
        ),
    ],
)
def test_a_wrong_scale_disagrees_at_every_rate(edge, rate, how):
    """None, twice, 1 - p in place of 1 / (1 - p), and the keep probability's."""
    placement = _placement(edge, rate, scale=RULES[Edge[edge]].scales[0])
    assert audit(DropsAt(edge, WRONG[how](rate)), placement).disagreements


HELD_RATES = tuple(zip(HELD, (0.001, 0.02, 0.5, 0.99), strict=True))
# Each wrong way once, like the rates, and at one half all of them.
HELD_WRONG = {0.001: ("none",), 0.02: ("swapped",), 0.5: tuple(HOLD_WRONG), 0.99: ("keep",)}


@pytest.mark.parametrize(("edge", "rate"), HELD_RATES)
def test_a_held_value_has_its_mean_in_evaluation(edge, rate):
    """The part of the old value is the rate."""
    module = DropsAt(edge, HOLD_RIGHT["mean"](rate))
    assert audit(module, _placement(edge, rate, fill=Fill.HOLD)).agrees


@pytest.mark.parametrize(
    ("edge", "rate", "how"),
    [
        pytest.param(*at, how, marks=() if how in HELD_WRONG[at[1]] else pytest.mark.slow)
        for at in HELD_RATES
        for how in HOLD_WRONG
    ],
)
def test_a_held_value_without_its_mean_in_evaluation_disagrees(edge, rate, how):
    """Another part of the old value is told; at one half the rate kept is the rate held."""
    found = audit(DropsAt(edge, HOLD_WRONG[how](rate)), _placement(edge, rate, fill=Fill.HOLD))
    assert found.agrees == (rate == 0.5 and how != "none")


@pytest.mark.slow
def test_without_a_placement_too_few_drops_leave_a_scale_undecided():
    """A right scale at 5e-5 might be one that is applied twice: no law is broken, none is held."""
    found = audit(DropsAt("OUTPUT", RIGHT["train"](5e-5)))
    assert found.disagreements == ()
    assert not found.agrees
    (sentence,) = found.undecided
    assert "cannot be told apart at rate" in sentence
    assert "decisions" in sentence
    assert "no law is broken; not everything was decided" in str(found)


@pytest.mark.slow
def test_a_drop_that_no_sample_shows_is_neither_there_nor_missing():
    """At 1e-6 nothing need drop; what is kept tells a TRAIN scale from none at 1e-4 already."""
    silent = DropsAt("HIDDEN", (0.0, 1.0, 1.0))
    found = audit(silent, _placement("HIDDEN", 1e-6, scale=Scale.TEST))
    assert (found.disagreements, found.agrees) == ((), False)
    assert "cannot be told at rate 1e-06" in found.undecided[0]
    assert audit(silent, _placement("HIDDEN", 1e-4)).disagreements


def test_a_rate_beside_the_placements_is_told_by_its_scale():
    """A rate of .011 may count as one of .01, but its kept values are not multiplied by 1/.99."""
    found = audit(DropsAt("INPUT", RIGHT["train"](0.011)), _placement("INPUT", 0.01))
    assert any("not that of rate 0.01" in sentence for sentence in found.disagreements)


def test_our_own_module_at_a_small_rate_agrees():
    """`ablate audit zaremba2014 --set rate=0.005 --layers 1`."""
    placement = ablate.strategies.get("zaremba2014").place(rate=0.005)
    found = audit(ablate.LSTM(6, 8, placement=placement, seed=0), placement)
    assert found.agrees
    assert {one.scale for one in found.found} == {"TRAIN"}


@pytest.mark.parametrize(
    ("gain", "how", "right"),
    [
        pytest.param(6**0.5, RIGHT["train"], True, id="root-of-the-width"),
        pytest.param(-0.5, RIGHT["test"], True, id="test"),
        pytest.param(2.5, WRONG["none"], False, id="none"),
        pytest.param(2.5, WRONG["twice"], False, id="twice"),
    ],
)
def test_a_factor_of_training_and_evaluation_is_no_scale(gain, how, right):
    """`embedding * sqrt(d)` before a right mask leaves it right, and a wrong one wrong."""
    rate, kept, still = how(0.4)
    module = DropsAt("INPUT", (rate, gain * kept, gain * still))
    found = audit(module, _placement("INPUT", 0.4))
    assert found.agrees == right, found
    assert not right or f"x {gain * still:.4g}" in str(found)


def test_a_factor_alone_is_no_mask():
    """Nothing drops, whatever a placement says."""
    module = DropsAt("INPUT", (0.0, 2.5, 2.5))
    assert audit(module, Placement()).agrees
    (sentence,) = audit(module, _placement("INPUT", 0.4)).disagreements
    assert "nothing drops" in sentence


def test_tails_are_exact():
    """Ten of ten at one in ten is 1e-10; what none, one and all rule out needs no table."""
    assert refuted(10, 10, 0.1)
    assert not refuted(5, 5, 0.1)
    assert refuted(1, 10, 0.0)
    assert not refuted(0, 10, 0.0)
    assert refuted(9, 10, 1.0)
    assert refuted(0, 1000, 0.02) == (0.98**1000 < SELDOM)


def _of_weight_and_state(weight: Scale, state: Scale, rates: tuple[float, float]) -> Placement:
    return Placement(
        {Edge.WEIGHT: Drop(rates[0], scale=weight), Edge.RECURRENT: Drop(rates[1], scale=state)}
    )


@pytest.mark.parametrize(
    ("weight", "state", "rates"),
    [
        (Scale.TRAIN, Scale.TRAIN, (0.5, 0.3)),
        *(
            pytest.param(weight, state, rates, marks=pytest.mark.slow)
            for weight, state, rates in (
                (Scale.TRAIN, Scale.TEST, (0.5, 0.3)),
                (Scale.TEST, Scale.TRAIN, (0.5, 0.5)),
                (Scale.TEST, Scale.TEST, (0.3, 0.5)),
            )
        ),
    ],
)
def test_two_scales_of_which_the_product_alone_is_seen(weight, state, rates):
    """Our own module agrees, whichever two scales they are."""
    placement = _of_weight_and_state(weight, state, rates)
    found = audit(ablate.LSTM(5, 8, placement=placement, seed=4), placement)
    assert found.agrees, found
    assert {one.edge: one.scale for one in found.found} == {
        Edge.WEIGHT: weight.value,
        Edge.RECURRENT: state.value,
    }


@pytest.mark.slow
@pytest.mark.parametrize("state", [Scale.TRAIN, Scale.TEST], ids=str)
def test_a_state_of_another_scale_or_rate_is_told_beside_a_weight(state):
    """At rates that differ: at equal ones TRAIN and TEST are one function with TEST and TRAIN."""
    module = ablate.LSTM(
        5, 8, placement=_of_weight_and_state(Scale.TRAIN, state, (0.5, 0.3)), seed=4
    )
    other = Scale.TEST if state is Scale.TRAIN else Scale.TRAIN
    wrong = _of_weight_and_state(Scale.TRAIN, other, (0.5, 0.3))
    (sentence,) = audit(module, wrong).disagreements
    assert sentence.startswith(f"RECURRENT at layer 0: the scale is {state.value}; ")
    assert audit(module, _of_weight_and_state(Scale.TRAIN, state, (0.5, 0.1))).disagreements


@pytest.mark.slow
def test_without_a_placement_the_likeliest_scales_are_told():
    """Both TRAIN, at equal rates too; nothing is accused."""
    placement = _of_weight_and_state(Scale.TRAIN, Scale.TRAIN, (0.5, 0.5))
    found = audit(ablate.LSTM(5, 8, placement=placement, seed=4))
    assert found.agrees, found
    assert [one.scale for one in found.found] == ["TRAIN", "TRAIN"]
