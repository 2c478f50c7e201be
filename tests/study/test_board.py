"""How far a run is: its counts and the seconds left, learnt for each kind of trial."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from matrix import RECIPE, SLOT, entries

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.facts import facts_text
from ablate.placement import Placement
from ablate.study.board import Board
from ablate.study.entries import Entry
from ablate.study.events import (
    Assignment,
    Compiling,
    EpochDone,
    Failed,
    Finished,
    Progressed,
    Started,
)
from ablate.study.pace import Kind, Pace, expected

ENTRIES = entries((1, 2, 3))
ASSIGNMENTS = [Assignment(entry.trial, 1, Path("work")) for entry in ENTRIES]
KEYS = [entry.trial.key for entry in ENTRIES]
ROW = {"epoch": 1, "train_nll": 5.0, "valid_nll": 5.5, "seconds": 10.0}


def board(wanted: list[Entry] = ENTRIES, committed: dict[str, Any] | None = None) -> Board:
    """Trials of three epochs on two slots."""
    return Board.of({entry.trial.key: entry for entry in wanted}, committed or {}, 2)


def looped(seed: int) -> Entry:
    """A trial of another path: dropout at the state."""
    (entry,) = entries((seed,))
    placement = Placement({Edge.HIDDEN: Drop(0.5)})
    return replace(entry, trial=replace(entry.trial, placement=placement))


def ended(entry: Entry, seconds: float, **changed: Any) -> dict[str, Any]:
    """The row of a trial that ended after three epochs."""
    path = Kind.of(entry.trial, SLOT).path
    row = {"path": path, "epochs": 3, "seconds": seconds or None, "device": "cpu", "threads": 1}
    return entry.trial.columns() | row | changed


def test_time_left_is_unknown_before_an_epoch_ended() -> None:
    """Nothing is promised before anything was measured."""
    ahead = board()
    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    assert ahead.left(now=5.0) is None
    assert ahead.left_of(ahead.running.values(), now=5.0) == [None]


def test_time_left_of_a_trial_and_of_the_run() -> None:
    """A trial: its epochs ahead; the run: those of all that runs and waits, over the slots."""
    ahead = board()
    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    ahead.take(Started(ASSIGNMENTS[1], SLOT), now=0.0)
    ahead.take(EpochDone(ASSIGNMENTS[0], ROW), now=10.0)

    assert ahead.left_of(ahead.running.values(), now=14.0) == [16.0, 16.0]
    # By the measure of the first 30 s of each, of which 14 have passed for those under way.
    assert ahead.left(now=14.0) == (16 + 16 + 30) / 2

    ahead.take(Finished(ASSIGNMENTS[0], "ok", {"seconds": 40.0}, [], {}), now=30.0)
    assert (ahead.done, list(ahead.running)) == (1, [KEYS[1]])
    assert ahead.left(now=30.0) == (0 + 30) / 2


def test_time_left_in_a_cohort() -> None:
    """A trial ends by the clock; the run needs of it only its share of its companions' time."""
    ahead = board()
    for assignment in ASSIGNMENTS[:2]:
        ahead.take(Started(assignment, SLOT), now=0.0)
    for assignment in ASSIGNMENTS[:2]:
        ahead.take(EpochDone(assignment, ROW), now=20.0)

    # Epochs of 20 s in which each of the two had 10: two more of 20 s to come.
    assert ahead.left_of(ahead.running.values(), now=25.0) == [35.0, 35.0]
    # 17.5 s of each on one of the two slots, and the 30 s of the third.
    assert ahead.left(now=25.0) == (17.5 + 17.5 + 30) / 2


def test_a_share_of_an_epoch_counts() -> None:
    """Before an epoch ended two reports within it measure it; later ones move the time left."""
    ahead = board()
    for assignment in ASSIGNMENTS[:2]:
        ahead.take(Started(assignment, SLOT), now=0.0)
    # A cohort of two, which goes on in its second epoch after 5 s of reading.
    epochs = dict.fromkeys(KEYS[:2], 2)
    ahead.take(Progressed(epochs, 0.0), now=5.0)
    ahead.take(Progressed(epochs, 0.125), now=15.0)
    first = ahead.running[KEYS[0]]
    assert (first.epoch(), first.company, ahead.left(now=15.0)) == ("1.1/3", 2, None)
    ahead.take(Progressed(epochs, 0.25), now=20.0)
    # 5 s an eighth, so 40 s an epoch by the clock and 20 s of each: 1.75 epochs are left, and a
    # third trial of three.
    assert ahead.left_of(ahead.running.values(), now=22.0) == [68.0, 68.0]
    assert ahead.left(now=22.0) == (34 + 34 + 60) / 2

    for assignment in ASSIGNMENTS[:2]:
        ahead.take(EpochDone(assignment, ROW | {"epoch": 2, "seconds": 22.0}), now=49.0)
    # By the clock 44 s from the first report on: what went before was no training.
    assert (first.epoch(), first.wall, first.weight()) == ("2/3", 44.0, 0.5)
    ahead.take(Progressed(dict.fromkeys(KEYS[:2], 3), 0.5), now=60.0)
    assert ahead.left(now=61.0) == (10.5 + 10.5 + 66) / 2


def test_a_failure_leaves_the_trial_undone() -> None:
    """A failed attempt stops running and is done nowhere; whoever retries it says that it waits."""
    ahead = board()
    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    ahead.take(Failed(ASSIGNMENTS[0], "its worker died (SIGKILL)", died=True), now=1.0)
    assert (ahead.done, ahead.running, list(ahead.waiting)) == (0, {}, KEYS[1:])


def test_trials_that_join_are_counted() -> None:
    """What a run expects later waits like all others, under its name."""
    ahead = board(ENTRIES[:2], {KEYS[0]: ended(ENTRIES[0], 30.0)})
    assert (ahead.done, ahead.total, list(ahead.waiting)) == (1, 2, [KEYS[1]])
    ahead.expect([ENTRIES[2]])
    assert (ahead.total, list(ahead.waiting)) == (3, KEYS[1:])
    assert ahead.names[KEYS[2]] == "input 0.5, seed 3"


def test_what_a_trial_waits_for_goes_with_its_next_update() -> None:
    """A kernel is being compiled until the cohort is heard of again."""
    ahead = board()
    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    ahead.take(Progressed({KEYS[0]: 1}, 0.0), now=1.0)
    ahead.take(Compiling((KEYS[0],), "the softmax"), now=2.0)
    assert ahead.running[KEYS[0]].compiling == "the softmax"
    ahead.take(Progressed({KEYS[0]: 1}, 0.1), now=9.0)
    assert ahead.running[KEYS[0]].compiling is None


def test_each_kind_has_its_own_pace() -> None:
    """Of a kind that ended epochs here their median, else the store's, else the mean of others."""
    slow, other_net = looped(1), entries((4,))[0]
    wide = other_net.trial.net.model_copy(update={"hidden": 8})
    other_net = replace(other_net, trial=replace(other_net.trial, net=wide))
    done = [ended(looped(8), 60.0), ended(looped(9), 66.0), ended(looped(10), 90.0)]
    done += [ended(entries((7,))[0], 300.0)]
    wanted = [ENTRIES[0], ENTRIES[1], slow, other_net]
    ahead = board(wanted, {row["key"]: row for row in done})

    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    # The store's: 100 s an epoch of the first kind, 22 s of the looped one (the median of 20, 22,
    # 30), and their mean 61 s of the net that nobody has trained.
    assert ahead.left(now=0.0) == 3 * (100 + 100 + 22 + 61) / 2

    ahead.take(EpochDone(ASSIGNMENTS[0], ROW), now=10.0)
    # This run: 10 s of the first kind.
    assert ahead.left(now=10.0) == (20 + 3 * (10 + 22 + 16)) / 2


def test_a_pace_is_the_median_of_the_latest_epochs() -> None:
    """An epoch in which kernels were compiled is outvoted from the second one on, and forgotten."""
    pace = Pace({"a": 7.0, "b": 5.0})
    assert pace.known() == {"a": 7.0, "b": 5.0}
    pace.take("a", 100.0)
    assert pace.known() == {"a": 100.0, "b": 5.0}
    pace.take("a", 10.0)
    assert pace.known()["a"] == 10.0
    for _ in range(25):
        pace.take("a", 12.0)
    assert pace.known()["a"] == 12.0
    assert expected("b", pace.known()) == 5.0
    assert expected("c", pace.known()) == 8.5
    assert expected("c", {}) is None


def test_another_machine_or_recipe_says_nothing_of_this_one() -> None:
    """A row is of a trial's kind where path, net, windows, device and threads agree."""
    (entry,) = entries((1,))
    kind = Kind.of(entry.trial, SLOT)
    assert Kind.of_row(ended(entry, 30.0)) == kind
    longer = facts_text(RECIPE.model_copy(update={"unroll": 6}))
    for changed in ({"threads": 2}, {"device": "NVIDIA H100"}, {"path": "x"}, {"recipe": longer}):
        assert Kind.of_row(ended(entry, 30.0, **changed)) != kind
    faster = facts_text(RECIPE.model_copy(update={"learning_rate": 9.0, "epochs": 5}))
    assert Kind.of_row(ended(entry, 30.0, recipe=faster)) == kind
    # Rows without a time, such as those of older stores, say nothing.
    assert Pace.of([ended(entry, 0.0), ended(entry, 30.0, path=None)]).known() == {}
