"""Cohorts: which trials are of one kind, how many train at once, and who with whom."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
from matrix import entries

from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.model.net import Net
from ablate.noise import Noise
from ablate.placement import Placement
from ablate.schedules import CURRICULUM
from ablate.study.cohorts import Cohorts, balanced, in_order
from ablate.study.entries import Entry


@pytest.mark.parametrize(
    ("waiting", "slots", "most", "size"),
    [
        pytest.param(28, 2, 16, 14, id="one-round"),
        pytest.param(28, 2, 8, 7, id="two-even-rounds"),
        pytest.param(9, 2, 8, 5, id="one-place-empty"),
        pytest.param(17, 1, 16, 9, id="no-round-of-one"),
        pytest.param(3, 8, 16, 1, id="a-slot-each"),
        pytest.param(5, 2, 1, 1, id="alone"),
        pytest.param(0, 2, 8, 1, id="none"),
    ],
)
def test_rounds_are_few_and_even(waiting: int, slots: int, most: int, size: int) -> None:
    """The fewest rounds that the largest cohort allows, each as full as the others."""
    assert balanced(waiting, slots, most) == size


def test_places_by_kind_or_pinned() -> None:
    """A kind has its own largest cohort, any other is trained alone; a pinned size is for all."""
    measured = Cohorts({"a": 4})
    assert (measured.places("a", 7, 1), measured.places("b", 7, 1)) == (4, 1)
    assert Cohorts(pinned=6).places("a", 2, 2) == 6


def _entry(placement: Placement, *, seed: int = 1, hidden: int = 4) -> Entry:
    (entry,) = entries([seed])
    trial = replace(entry.trial, placement=placement, net=Net(layers=1, hidden=hidden))
    return replace(entry, trial=trial)


OUTSIDE = Placement({Edge.INPUT: Drop(0.5)})
INSIDE = Placement({Edge.CELL: Drop(0.25)})
APART = Placement({Edge.RECURRENT: Drop(0.25, Sharing(time=ALL, gate=1))})


def test_what_makes_a_kind() -> None:
    """Net, windows, epochs, precision, corpus and the engine's path do; what a trial has for itself
    does not: seed, rate, and of its recipe all but the windows."""
    kind, one = Cohorts().kind, _entry(OUTSIDE).trial
    assert kind(one) == kind(_entry(Placement({Edge.OUTPUT: Drop(0.1)}), seed=9).trial)
    for other in (
        _entry(OUTSIDE, hidden=5).trial,
        _entry(INSIDE).trial,
        _entry(APART).trial,
        replace(one, precision="bf16"),
        replace(one, corpus_digest="d2"),
        *(
            replace(one, recipe=one.recipe.model_copy(update={name: 9}))
            for name in ("unroll", "batch", "epochs", "train_eval_tokens", "evaluation_streams")
        ),
    ):
        assert kind(other) != kind(one)
    assert kind(replace(one, corpus="elsewhere")) == kind(one)
    own = {"learning_rate": 0.3, "hold": 1, "divide": 3.0, "clip": 0.2, "init": 0.4}
    recipe = one.recipe.model_copy(update=own | {"headline": "best"})
    assert kind(replace(one, recipe=recipe)) == kind(one)


@dataclass(frozen=True)
class Uniform(Noise):
    """A plugin's noise: nobody says that it keeps its mean at a lower rate."""

    name: str = "UNIFORM"

    def mean(self, rate: float) -> float:
        return 1.0

    def variance(self, rate: float) -> float:
        return rate / (1 - rate)

    def multiplier(self, word: Any, rate: float) -> Any:
        return 1 + (3 * rate / (1 - rate)) ** 0.5 * ((2 * word.double() + 1) / 2**32 - 1)


def test_a_schedule_that_evaluates_otherwise_is_a_kind() -> None:
    """Its evaluation runs inside the loop, where its companions' would not."""
    noisy = {Edge.INPUT: Drop(0.5, noise=Uniform())}
    kinds = [
        Cohorts().kind(_entry(placement).trial)
        for placement in (OUTSIDE, Placement(noisy), Placement(noisy, CURRICULUM))
    ]
    assert kinds[0] == kinds[1] != kinds[2]


def test_kinds_stand_together_within_a_seed() -> None:
    """Seeds stay outermost in their given order, and trials of one kind in theirs."""
    wanted = [_entry(p, seed=s) for s in (7, 3) for p in (OUTSIDE, INSIDE, Placement(), INSIDE)]
    kinds = {entry.trial.key: Cohorts().kind(entry.trial) for entry in wanted}
    ordered = [(entry.trial.seed, entry.trial.placement) for entry in in_order(wanted, kinds)]
    own = [OUTSIDE, Placement(), INSIDE, INSIDE]
    assert ordered == [(7, p) for p in own] + [(3, p) for p in own]


def _formed(wanted: list[Entry], size: int) -> list[list[tuple[int, Placement]]]:
    cohorts = Cohorts(pinned=size).formed(wanted, slots=1)
    return [[(entry.trial.seed, entry.trial.placement) for entry in each] for each in cohorts]


HIDDEN, UPDATE = (Placement({edge: Drop(0.25)}) for edge in (Edge.HIDDEN, Edge.UPDATE))


def test_cohorts_come_in_the_order_of_their_first_trials() -> None:
    """Seed by seed and kind by kind, a cohort stands where the first of its trials would."""
    wanted = [_entry(p, seed=s) for s in (7, 3) for p in (OUTSIDE, INSIDE, Placement())]
    assert _formed(wanted, 1) == [[(s, p)] for s in (7, 3) for p in (OUTSIDE, Placement(), INSIDE)]
    assert _formed(wanted, 3) == [
        [(7, OUTSIDE), (7, Placement()), (3, OUTSIDE)],
        [(7, INSIDE), (3, INSIDE)],
        [(3, Placement())],
    ]


def test_who_samples_inside_the_same_steps_goes_first() -> None:
    """From a later seed too; places that are left go to others of the kind."""
    wanted = [_entry(p, seed=s) for s in (1, 2) for p in (UPDATE, HIDDEN)]
    assert _formed(wanted, 2) == [[(1, p), (2, p)] for p in (UPDATE, HIDDEN)]
    assert _formed(wanted, 3) == [[(1, UPDATE), (2, UPDATE), (1, HIDDEN)], [(2, HIDDEN)]]


@pytest.mark.parametrize("size", [None, 1, 2, 5, 64])
@pytest.mark.parametrize("slots", [1, 3])
def test_each_trial_is_in_one_cohort_of_its_kind(size: int | None, slots: int) -> None:
    """None is lost, none comes twice, and no cohort has more places than its kind."""
    placements = (OUTSIDE, INSIDE, HIDDEN, UPDATE, Placement(), APART)
    wanted = [_entry(p, seed=s, hidden=h) for s in (1, 2, 3) for p in placements for h in (4, 5)]
    kind = Cohorts().kind
    counts = Counter(kind(entry.trial) for entry in wanted)
    cohorts = Cohorts({each: 4 for each in counts}, size)
    found = list(cohorts.formed(wanted, slots))
    assert sorted(e.trial.key for each in found for e in each) == sorted(
        e.trial.key for e in wanted
    )
    for each in found:
        (own,) = {kind(entry.trial) for entry in each}
        assert 1 <= len(each) <= cohorts.places(own, counts[own], slots)
