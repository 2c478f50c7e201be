"""The driver: what is missing is run, once; what fails is recorded; what is killed goes on."""

import dataclasses
import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest
from fake_training import Fake
from matrix import entries, fill, new_store
from rich.console import Console

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.facts import facts_text
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.store import Store
from ablate.store.listing import count_trials
from ablate.study.cohorts import Cohorts
from ablate.study.driver import Failure, Summary, run
from ablate.study.entries import Entry
from ablate.study.events import Slot
from ablate.study.executors import Local


def _attempts(store: Store) -> list[tuple[int, int, str]]:
    rows = store.trials().to_pylist()
    return sorted((row["seed"], row["attempt"], row["status"]) for row in rows)


def _longer(wanted: list[Entry], epochs: int) -> list[Entry]:
    recipe = wanted[0].trial.recipe.model_copy(update={"epochs": epochs})
    return [
        dataclasses.replace(entry, trial=dataclasses.replace(entry.trial, recipe=recipe))
        for entry in wanted
    ]


def test_a_run_fills_the_store(tmp_path: Path) -> None:
    """Every trial has its row, its curve, its tokens and its name, and no checkpoint is left."""
    store, wanted = new_store(tmp_path), entries((1, 2), (0.5, 0.25))
    summary, lines = fill(store, wanted)

    assert summary == Summary(trained=4, diverged=0, failures=())
    assert store.committed().keys() == {entry.trial.key for entry in wanted}
    row = store.committed()[wanted[1].trial.key]
    assert row["placement"] == wanted[1].trial.placement.text
    assert (row["seed"], row["attempt"], row["valid_nll_last"]) == (1, 1, 4.71)
    assert store.epochs().num_rows == 4 * 3
    assert store.tokens().num_rows == 4 * 7
    names = [(c["label"], c["seed"], c["position"]) for c in store.cells().to_pylist()]
    assert names == [
        ("input 0.5", 1, 0),
        ("input 0.25", 1, 1),
        ("input 0.5", 2, 0),
        ("input 0.25", 2, 1),
    ]
    assert store.checkpointed() == ()
    assert lines[0] == "[0/4] input 0.5, seed 1: started on cpu, 1 thread(s)"
    assert lines[4] == "[1/4] input 0.5, seed 1: finished in -, perplexity valid 111.1 test -"


def test_the_same_run_again_trains_nothing(tmp_path: Path) -> None:
    """A second run finds everything done, and touches no file of the store."""
    store, wanted = new_store(tmp_path), entries((1, 2))
    fill(store, wanted)
    before = {path: path.stat().st_ino for path in store.folder.rglob("*.parquet")}

    assert fill(store, wanted, Fake(raises=(1, 2))) == (Summary(0, 0, ()), [])
    assert {path: path.stat().st_ino for path in store.folder.rglob("*.parquet")} == before


def test_more_seeds_and_rates_add_only_the_new(tmp_path: Path) -> None:
    """A grown matrix keeps what it has, and old names that are no longer asked for."""
    store = new_store(tmp_path)
    fill(store, entries((1, 2), (0.5,)))
    summary, _ = fill(store, entries((1, 2, 3), (0.5, 0.25)))
    assert summary.trained == 4
    assert len(store.committed()) == store.cells().num_rows == 6

    fill(store, entries((4,), (0.5,)))
    assert store.cells().num_rows == 7


def test_two_names_for_one_placement_are_one_trial(tmp_path: Path) -> None:
    """It is trained once and known under both names."""
    store = new_store(tmp_path)
    (one,) = entries([1])
    other = dataclasses.replace(one, strategy="vertical", label="vertical 0.5", position=1)
    summary, _ = fill(store, [one, other])

    assert summary.trained == 1
    rows = store.cells().to_pylist()
    assert [row["strategy"] for row in rows] == ["input", "vertical"]
    assert {row["key"] for row in rows} == set(store.committed())


def test_an_error_is_recorded_and_tried_by_the_next_run(tmp_path: Path) -> None:
    """A trial that raises fails once a run, with its traceback; its last epoch is kept."""
    store, wanted = new_store(tmp_path), entries((1, 2))
    summary, _ = fill(store, wanted, Fake(raises=(1,)))

    (failure,) = summary.failures
    assert summary.trained == 1
    assert failure.name == "input 0.5, seed 1"
    assert failure.error.endswith("RuntimeError: out of memory")
    assert _attempts(store) == [(1, 1, "failed"), (2, 1, "ok")]
    errors = pc.drop_null(store.trials().column("error")).to_pylist()  # pyright: ignore
    assert errors == [failure.error]
    assert store.checkpointed() == (wanted[0].trial.key,)

    summary, lines = fill(store, wanted)
    assert summary == Summary(1, 0, ())
    assert _attempts(store) == [(1, 1, "failed"), (1, 2, "ok"), (2, 1, "ok")]
    assert "attempt 2" in lines[0]
    assert "epoch 2/3" in lines[1]


def test_a_dead_worker_costs_an_attempt(tmp_path: Path) -> None:
    """Its death has a row of its own; the next attempt goes on from the checkpoint."""
    store, wanted = new_store(tmp_path), entries((1, 2, 3))
    summary, lines = fill(store, wanted, Fake(dies_once=(2,)), slots=2)

    assert summary == Summary(3, 0, ())
    assert _attempts(store) == [(1, 1, "ok"), (2, 1, "failed"), (2, 2, "ok"), (3, 1, "ok")]
    assert sum("input 0.5, seed 2: failed: its worker died (SIGKILL)" in x for x in lines) == 1
    assert sum("input 0.5, seed 2: epoch 1/3" in line for line in lines) == 1


def test_retries_are_counted(tmp_path: Path) -> None:
    """A trial that always kills its worker is given up after two retries; the rest is trained."""
    store = new_store(tmp_path)
    always = Fake(dies_always=(1,))
    wanted = _longer(entries((1, 2)), 9)
    summary, _ = fill(store, wanted, always, slots=1)

    failure = Failure("input 0.5, seed 1", "its worker died (SIGKILL)")
    assert summary == Summary(1, 0, (failure,))
    assert _attempts(store) == [(1, n, "failed") for n in (1, 2, 3)] + [(2, 1, "ok")]


@pytest.mark.parametrize("slots", [0, 2], ids=["in-process", "local"])
def test_cohorts_share_a_worker(tmp_path: Path, slots: int) -> None:
    """Three at once where seven wait: the first, the next, and one alone; nobody joins later."""
    store, wanted = new_store(tmp_path), entries(range(7))
    summary, lines = fill(store, wanted, Fake(diverges=(1,)), slots=slots, cohort=3)

    assert summary == Summary(7, 1, ())
    rows = {row["seed"]: row for row in store.committed().values()}
    assert [row["cohort"] for _, row in sorted(rows.items())] == [3] * 6 + [1]
    if not slots:
        assert [line[-30:] for line in lines[:3]] == [
            f"seed {seed}: started on cpu, 1 thread(s)"[-30:] for seed in range(3)
        ]


def test_cohorts_are_as_even_as_they_can_be(tmp_path: Path) -> None:
    """Thirteen trials on two slots: seven and six, whichever of them begins first."""
    store, wanted = new_store(tmp_path), entries(range(13))
    console = Console(file=io.StringIO())
    kind = Cohorts().kind(wanted[0].trial)
    executor = Local(Fake(), (Slot("cpu", 1), Slot("cuda:1", 1)))
    run(wanted, store, executor, slots=2, console=console, cohorts=Cohorts({kind: 8}))
    rows = sorted((row["seed"], row["device"], row["cohort"]) for row in store.trials().to_pylist())
    assert rows == [(s, "cpu", 7) for s in range(7)] + [(s, "cuda:1", 6) for s in range(7, 13)]


def test_a_cohort_is_of_one_kind(tmp_path: Path) -> None:
    """Trials of another net never join, whatever waits; within a seed each kind stands together."""
    store = new_store(tmp_path)
    small = entries((1, 2), (0.5, 0.25))
    wide = [
        dataclasses.replace(
            entry, label="wide", trial=dataclasses.replace(entry.trial, net=Net(layers=1, hidden=5))
        )
        for entry in entries((1, 2), (0.75,))
    ]
    mixed = [small[0], wide[0], small[1], small[2], wide[1], small[3]]
    summary, lines = fill(store, mixed, cohort=3)

    assert summary.trained == 6
    started = [line.split("] ")[1].split(": ")[0] for line in lines if "started" in line]
    assert started == [
        "input 0.5, seed 1",
        "input 0.25, seed 1",
        "input 0.5, seed 2",
        "wide, seed 1",
        "wide, seed 2",
        "input 0.25, seed 2",
    ]
    rows = store.committed().values()
    assert {row["cohort"] for row in rows if row["net"] == facts_text(wide[0].trial.net)} == {2}


def test_companions_sample_inside_the_same_steps(tmp_path: Path) -> None:
    """Before any other of their kind, from a later seed too; the others make the next cohort."""
    store = new_store(tmp_path)
    within = [
        dataclasses.replace(
            entry,
            label=label,
            trial=dataclasses.replace(entry.trial, placement=Placement({edge: Drop(0.25)})),
        )
        for edge, label in ((Edge.RECURRENT, "recurrent"), (Edge.UPDATE, "update"))
        for entry in entries((1, 2))
    ]
    mixed = sorted(within, key=lambda entry: entry.trial.seed)
    _, lines = fill(store, mixed, cohort=2)
    started = [line.split("] ")[1].split(": ")[0] for line in lines if "started" in line]
    assert started == ["recurrent, seed 1", "recurrent, seed 2", "update, seed 1", "update, seed 2"]


@pytest.mark.parametrize("slots", [0, 1], ids=["in-process", "local"])
def test_who_fails_with_companions_is_tried_alone(tmp_path: Path, slots: int) -> None:
    """An exception fails the whole cohort; each goes on alone, and only the culprit is given up."""
    store = new_store(tmp_path)
    summary, lines = fill(store, entries((1, 2, 3)), Fake(raises=(2,)), slots=slots, cohort=3)

    assert [failure.name for failure in summary.failures] == ["input 0.5, seed 2"]
    assert summary.trained == 2
    assert _attempts(store) == [
        (1, 1, "failed"),
        (1, 2, "ok"),
        (2, 1, "failed"),
        (2, 2, "failed"),
        (3, 1, "failed"),
        (3, 2, "ok"),
    ]
    rows = store.trials().to_pylist()
    assert {(row["attempt"], row["cohort"]) for row in rows} == {(1, 3), (2, 1)}
    assert sum("failed beside 2 other(s), is tried alone: RuntimeError" in x for x in lines) == 3
    # Seed 1 had ended an epoch before seed 2 raised, and goes on from there.
    assert sum("input 0.5, seed 1: epoch 1/3" in line for line in lines) == 1


def test_who_fails_in_company_alone_is_trained(tmp_path: Path) -> None:
    """What only goes wrong together (memory, say) leaves no failure behind."""
    store = new_store(tmp_path)
    summary, _ = fill(store, entries(range(4)), Fake(raises_crowded=(0,)), cohort=4)
    assert summary == Summary(4, 0, ())
    assert {row["cohort"] for row in store.committed().values()} == {1}


def test_a_dead_worker_costs_its_cohort_an_attempt(tmp_path: Path) -> None:
    """Each goes on alone; the death counts against none of them, only further ones do."""
    store = new_store(tmp_path)
    fake = Fake(dies_crowded=(2,), dies_always=(3,))
    summary, lines = fill(store, _longer(entries((1, 2, 3)), 9), fake, slots=1, cohort=3)

    failure = Failure("input 0.5, seed 3", "its worker died (SIGKILL)")
    assert summary == Summary(2, 0, (failure,))
    assert _attempts(store) == [
        (1, 1, "failed"),
        (1, 2, "ok"),
        (2, 1, "failed"),
        (2, 2, "ok"),
        *((3, attempt, "failed") for attempt in (1, 2, 3, 4)),
    ]
    assert sum("failed beside 2 other(s), is tried alone: its worker died" in x for x in lines) == 3


def test_a_free_slot_takes_what_failed_elsewhere(tmp_path: Path) -> None:
    """A slot that had nothing left to do is there for the trials that are tried again."""
    store = new_store(tmp_path)
    executor = Local(Fake(raises_crowded=(0,)), (Slot("cpu", 1), Slot("cuda:1", 1)))
    run(
        entries(range(3)),
        store,
        executor,
        slots=2,
        console=Console(file=io.StringIO()),
        cohorts=Cohorts(pinned=3),
    )
    device = {row["seed"]: row["device"] for row in store.committed().values()}
    assert device.keys() == {0, 1, 2}
    assert device[0] == "cuda:1"


def test_divergence_is_a_result(tmp_path: Path) -> None:
    """It is committed with its curve, counted, and not run again."""
    store, wanted = new_store(tmp_path), entries((1, 2))
    summary, lines = fill(store, wanted, Fake(diverges=(2,)))

    assert summary == Summary(trained=2, diverged=1, failures=())
    row = store.committed()[wanted[1].trial.key]
    assert (row["status"], row["valid_nll_last"]) == ("diverged", None)
    assert store.epochs().num_rows == 3 + 1
    assert lines[-1] == "[2/2] input 0.5, seed 2: diverged in epoch 1"
    assert fill(store, wanted)[0].trained == 0


def test_a_damaged_trial_is_trained_again_and_only_that(tmp_path: Path) -> None:
    """The run after the damage names it, sets it aside and goes on."""
    store, wanted = new_store(tmp_path), entries((1, 2))
    fill(store, wanted)
    path = store.folder / "trials" / f"{wanted[0].trial.key}-1.parquet"
    path.write_bytes(path.read_bytes()[:-9])

    summary, lines = fill(store, wanted)

    assert "now set aside in" in lines[0]
    assert "(attempt 1 at 'input 0.5', seed 1)" in lines[0]
    assert summary.trained == 1
    assert _attempts(store) == [(1, 2, "ok"), (2, 1, "ok")]


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        pytest.param((1,), ", and what they held is trained again", id="asked"),
        pytest.param((3,), "; not trained again: what was asked for with other options", id="not"),
        pytest.param((1, 3), ", and what they held is trained again, but for what was", id="both"),
    ],
)
def test_what_was_set_aside_and_is_not_asked_for_is_named(
    tmp_path: Path, lost: tuple[int, ...], said: str
) -> None:
    """A run trains again what it asks for; of the rest it says who must ask."""
    store, wanted = new_store(tmp_path), entries((1, 2, 3))
    fill(store, wanted)
    for entry in (entry for entry in wanted if entry.trial.seed in lost):
        path = store.folder / "tokens" / f"{entry.trial.key}-1.parquet"
        path.write_bytes(path.read_bytes()[:-9])

    summary, lines = fill(store, wanted[:2])

    assert f"; everything else is whole{said}" in lines[0]
    again = lines[0].split("whole")[-1]
    assert ("'input 0.5', seed 3" in again, "seed 1" in again) == (3 in lost, False)
    assert summary.trained == len(set(lost) & {1, 2})


def test_lost_names_come_back_and_what_has_none_is_named(tmp_path: Path) -> None:
    """The run after it names what it asks for, trains nothing, and counts what nobody names."""
    store = new_store(tmp_path)
    fill(store, entries((1, 2, 3)))
    (store.folder / "cells.parquet").unlink()

    summary, lines = fill(store, entries((1, 2)))

    assert summary.trained == 0
    assert lines[0].endswith("it is missing; everything else is whole")
    assert "without a name, which stand in no table: 1 ('INPUT, seed 3')" in lines[1]
    assert count_trials(store).unnamed == lines[1]
    assert fill(store, entries((1, 2, 3))) == (Summary(0, 0, ()), [])
    assert store.cells().num_rows == 3


def test_an_error_that_is_no_text_ends_its_trial_alone(tmp_path: Path) -> None:
    """What UTF-8 has no bytes for is written out, in the store and on the screen."""
    store = new_store(tmp_path)
    fake = Fake(raises=(1,), says="no file 'a\udcffb' \ud800")
    summary, lines = fill(store, entries((1, 2)), fake)

    assert (summary.trained, len(summary.failures)) == (1, 1)
    assert store.trials().column("error").to_pylist().count(None) == 1
    said = "no file 'a\\udcffb' \\ud800"
    assert said in summary.failures[0].error
    assert any(said in line for line in lines)
    assert "\n".join(lines).encode()


def test_a_checkpoint_of_a_committed_trial_goes(tmp_path: Path) -> None:
    """A driver killed between a commit and its tidying leaves no folder for ever."""
    store, wanted = new_store(tmp_path), entries([1])
    fill(store, wanted)
    store.work(wanted[0].trial.key).mkdir(parents=True)
    fill(store, wanted)
    assert store.checkpointed() == ()


def test_a_second_driver_is_refused(tmp_path: Path) -> None:
    """Two drivers on one folder would train everything twice."""
    store = new_store(tmp_path)
    with store.lock(), pytest.raises(AblateError) as held:
        fill(store, entries([1]))
    assert held.value.given == store.folder


DRIVER = """
import sys
from pathlib import Path
from fake_training import Fake
from matrix import entries, fill, new_store
from rich.console import Console

if __name__ == "__main__":
    store = new_store(Path(sys.argv[1]))
    print("ready", flush=True)
    fill(store, entries(range(6)), Fake(pause=0.02, diverges=(3,)), slots=2, cohort=2)
"""


def _rows(store: Store) -> list[tuple[object, ...]]:
    rows = sorted(store.committed().values(), key=lambda row: row["seed"])
    return [(row["seed"], row["status"], row["epochs"], row["valid_nll_last"]) for row in rows]


def test_law_7_a_driver_killed_at_drawn_moments(tmp_path: Path) -> None:
    """Killed again and again, each run goes on; in the end the store equals one never stopped."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    store, wanted = new_store(tmp_path), entries(range(6))
    drawn, held = random.Random(7), 0
    for _ in range(3):
        command = [sys.executable, script, tmp_path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as driver:
            assert driver.stdout is not None
            assert driver.stdout.readline() == b"ready\n"
            time.sleep(drawn.uniform(0.3, 2.5))
            driver.send_signal(signal.SIGKILL)
        store.check()
        committed = store.committed()
        assert len(committed) >= held
        held = len(committed)
        # A trial that diverged has one epoch and no tokens; every other has three and seven.
        whole = sum(row["status"] == "ok" for row in committed.values())
        assert store.epochs().num_rows == 3 * whole + (held - whole)
        assert store.tokens().num_rows == 7 * whole
    fill(store, wanted, Fake(diverges=(3,)))

    other = new_store(tmp_path / "never stopped")
    fill(other, wanted, Fake(diverges=(3,)))
    assert _rows(store) == _rows(other)
    assert store.tokens().to_pylist() == other.tokens().to_pylist()
