"""Executors: cohorts go out, events come back, and a worker's death costs its cohort at most."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_training import Fake, slot_environment

from ablate.errors import AblateError, WrongValue
from ablate.study.events import (
    Assignment,
    EpochDone,
    Event,
    Executor,
    Failed,
    Finished,
    Noted,
    Progressed,
    Slot,
    Started,
    Train,
)
from ablate.study.executors import InProcess, Local
from ablate.study.slots import Threads, cores, divide, named_threads
from ablate.study.worker import sparingly

SLOT = Slot("cpu", 1)


@dataclass
class Desk:
    """Hands out cohorts, an assignment again alone where its worker died, and keeps the events."""

    cohorts: deque[tuple[Assignment, ...]]
    events: list[Event] = field(default_factory=list)

    def pull(self) -> tuple[Assignment, ...]:
        return self.cohorts.popleft() if self.cohorts else ()

    def emit(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Failed) and event.died and event.assignment.attempt == 1:
            self.cohorts.append((Assignment(event.assignment.trial, 2, event.assignment.folder),))

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[Iterable[int]], Desk]:
    """A desk with an assignment for each seed, so many of them a cohort."""

    def make(seeds: Iterable[int], size: int = 1) -> Desk:
        recipe = SimpleNamespace(epochs=3)
        trials = [SimpleNamespace(key=f"k{seed}", seed=seed, recipe=recipe) for seed in seeds]
        assignments = tuple(Assignment(trial, 1, tmp_path / trial.key) for trial in trials)
        return Desk(deque(assignments[at : at + size] for at in range(0, len(assignments), size)))

    return make


def _executors(train: Train) -> list[Executor]:
    return [InProcess(train, SLOT), Local(train, (SLOT, SLOT))]


@pytest.mark.parametrize("kind", [0, 1], ids=["in-process", "local"])
def test_every_task_is_run_to_its_end(desk: Callable[..., Desk], kind: int) -> None:
    """Each assignment gives its events in order: started, its epochs, finished."""
    work = desk(range(5))
    _executors(Fake())[kind].run(work.pull, work.emit)

    for seed in range(5):
        own = [event for event in work.events if event.assignment.trial.seed == seed]
        assert [type(event) for event in own] == [Started, *[EpochDone] * 3, Finished]
        assert [event.row["epoch"] for event in own[1:4]] == [1, 2, 3]
        assert own[-1].tokens["valid"].shape == (7,)


def test_a_place_that_falls_free_stays_empty(desk: Callable[..., Desk]) -> None:
    """Four assignments in two cohorts: the second begins when all of the first have ended."""
    work = desk(range(4), 2)
    InProcess(Fake(diverges=(0,)), SLOT).run(work.pull, work.emit)

    told = [(type(event).__name__, event.assignment.trial.seed) for event in work.events]
    assert told[:6] == [
        ("Started", 0),
        ("Started", 1),
        ("EpochDone", 0),
        ("Finished", 0),
        ("EpochDone", 1),
        ("EpochDone", 1),
    ]
    assert told[7:10] == [("Finished", 1), ("Started", 2), ("Started", 3)]
    assert {event.row["cohort"] for event in work.of(Finished)} == {2}


@pytest.mark.parametrize("kind", [0, 1], ids=["in-process", "local"])
def test_an_exception_fails_all_that_have_not_ended(desk: Callable[..., Desk], kind: int) -> None:
    """Who has ended keeps its result; the others fail in company, with one traceback."""
    work = desk(range(3), 3)
    _executors(Fake(diverges=(0,), raises=(1,)))[kind].run(work.pull, work.emit)

    assert [event.assignment.trial.seed for event in work.of(Finished)] == [0]
    failed = {event.assignment.trial.seed: event for event in work.of(Failed)}
    assert failed.keys() == {1, 2}
    assert {event.company for event in failed.values()} == {2}
    assert {event.error.splitlines()[-1] for event in failed.values()} == {
        "RuntimeError: out of memory"
    }


def test_what_the_driver_raises_is_no_tasks_failure(desk: Callable[..., Desk]) -> None:
    """In this process too, a store that cannot be written ends the run."""
    work = desk([0])

    def emit(event: Event) -> None:
        if isinstance(event, Finished):
            raise AblateError("disk full")
        assert not isinstance(event, Failed)

    with pytest.raises(AblateError, match="disk full"):
        InProcess(Fake(), SLOT).run(work.pull, emit)


@pytest.mark.parametrize("kind", [0, 1], ids=["in-process", "local"])
def test_an_exception_is_the_tasks_own(desk: Callable[..., Desk], kind: int) -> None:
    """An assignment that raises fails with its words; the others do not notice."""
    work = desk(range(3))
    _executors(Fake(raises=(0,), refuses=(1,)))[kind].run(work.pull, work.emit)

    raised, refused = sorted(work.of(Failed), key=lambda event: event.assignment.trial.seed)
    assert not raised.died
    assert raised.error.startswith("Traceback")
    assert raised.error.endswith("RuntimeError: out of memory")
    assert refused.error == "the text is too short"
    assert [event.assignment.trial.seed for event in work.of(Finished)] == [2]


def test_a_dead_worker_is_replaced(desk: Callable[..., Desk]) -> None:
    """kill -9 in mid-trial is an event; handed out again, the trial goes on from its checkpoint."""
    work = desk(range(3))
    Local(Fake(dies_once=(1,)), (SLOT,)).run(work.pull, work.emit)

    (failed,) = work.of(Failed)
    assert failed.died
    assert failed.error == "its worker died (SIGKILL)"
    assert sorted(event.assignment.trial.seed for event in work.of(Finished)) == [0, 1, 2]
    epochs = [
        event.row["epoch"] for event in work.of(EpochDone) if event.assignment.trial.seed == 1
    ]
    assert epochs == [1, 2, 3]


def test_workers_are_long_lived_and_know_their_threads(desk: Callable[..., Desk]) -> None:
    """One process a slot serves all trials; its threads stand in its environment from the start."""
    before = dict(os.environ)
    work = desk(range(6))
    Local(slot_environment, (Slot("cpu", 3), Slot("cuda:1", 3))).run(work.pull, work.emit)

    seen = [event.row for event in work.of(Finished)]
    assert len({trial["process"] for trial in seen}) <= 2
    assert os.getpid() not in {trial["process"] for trial in seen}
    assert {trial["device"] for trial in seen} <= {"cpu", "cuda:1"}
    for trial in seen:
        assert trial["OMP_NUM_THREADS"] == trial["MKL_NUM_THREADS"] == "3"
        assert trial["TORCHINDUCTOR_COMPILE_THREADS"] == "1"
    assert dict(os.environ) == before


def test_a_workers_warning_is_an_event(desk: Callable[..., Desk]) -> None:
    """What a worker warns of reaches the driver instead of tearing up its terminal."""
    work = desk([0])
    Local(Fake(warns=(0,)), (SLOT,)).run(work.pull, work.emit)
    assert work.of(Noted) == [Noted("RuntimeWarning: no compiler was found")]


def test_a_worker_that_cannot_start_ends_the_run(desk: Callable[..., Desk], tmp_path: Path) -> None:
    """A process that dies before it is ready would die for ever: one error says so."""
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import os, sys\n"
        "if __name__ != '__main__': os._exit(3)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from collections import deque\n"
        "from types import SimpleNamespace\n"
        "from ablate.study.events import Slot, Assignment\n"
        "from ablate.study.executors import Local\n"
        "from fake_training import Fake\n"
        "assignments = deque([(Assignment(SimpleNamespace(key=1, seed=1), 1, None),)])\n"
        "Local(Fake(), (Slot('cpu', 1),)).run(assignments.popleft, print)\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "a worker process ended while it started (exit code 3)" in ended.stderr


def test_an_error_of_the_caller_ends_the_workers(desk: Callable[..., Desk]) -> None:
    """Where an event cannot be taken (a full disk), no worker is left behind."""
    work = desk(range(2))
    seen: list[int] = []

    def emit(event: Event) -> None:
        if isinstance(event, Finished):
            seen.append(event.row["process"])
            raise AblateError("disk full")

    with pytest.raises(AblateError, match="disk full"):
        Local(slot_environment, (SLOT, SLOT)).run(work.pull, emit)
    assert not _alive(seen[0])


def _hears_interrupts() -> None:
    # A suite that runs in the background ignores Ctrl-C, and what it starts inherits that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


DRIVER = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from fake_training import Fake
from ablate.study.events import EpochDone, Slot, Assignment
from ablate.study.executors import Local

trial = SimpleNamespace(key="k", seed=1, recipe=SimpleNamespace(epochs=10**6))
cohorts = [(Assignment(trial, 1, Path(sys.argv[1])),)]
def emit(event):
    if isinstance(event, EpochDone) and event.row["epoch"] == 2:
        children = open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read()
        print(children, flush=True)
if __name__ == "__main__":
    Local(Fake(pause=0.05), (Slot("cpu", 1),)).run(lambda: cohorts.pop() if cohorts else (), emit)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="lists children through /proc")
@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, signal.SIGINT, signal.SIGTERM],
    ids=["killed", "interrupted", "terminated"],
)
def test_no_worker_outlives_its_driver(tmp_path: Path, how: signal.Signals) -> None:
    """Killed or interrupted, a driver takes its workers with it, within moments."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "work"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=_hears_interrupts,
    ) as driver:
        assert driver.stdout is not None
        children = [int(number) for number in driver.stdout.readline().split()]
        assert children
        driver.send_signal(how)
        driver.communicate(timeout=300)
    deadline = time.monotonic() + 20
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, children))


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(("count", "threads"), [(1, 6), (2, 3), (4, 1), (9, 1)])
def test_slots_share_the_cores(monkeypatch: pytest.MonkeyPatch, count: int, threads: int) -> None:
    """Threads are cores // slots, and never none."""
    monkeypatch.setattr("ablate.study.slots.cores", lambda: 6)
    assert divide("cpu", count) == (Slot("cpu", threads),) * count


def test_slots_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """One a GPU; on the CPU one a core, up to eight."""
    monkeypatch.setattr("ablate.study.slots.gpus", lambda: 2)
    monkeypatch.setattr("ablate.study.slots.cores", lambda: 32)
    assert divide("cuda") == (Slot("cuda:0", 16), Slot("cuda:1", 16))
    assert divide("cuda:1") == (Slot("cuda:1", 32),)
    assert divide("cuda", 4)[2:] == (Slot("cuda:0", 8), Slot("cuda:1", 8))
    assert divide("cpu") == (Slot("cpu", 4),) * 8


@pytest.mark.parametrize(
    ("count", "threads", "slots"),
    [
        pytest.param(None, 1, (1,) * 6, id="one-a-core"),
        pytest.param(None, 2, (2,) * 3, id="as-many-as-have-cores"),
        pytest.param(None, 4, (4,), id="what-is-left-over-rests"),
        pytest.param(None, 9, (9,), id="more-than-there-are"),
        pytest.param(2, 1, (1,) * 2, id="both-named"),
        pytest.param(4, 3, (3,) * 4, id="both-named-beyond-the-cores"),
    ],
)
def test_slots_have_the_threads_that_are_named(
    monkeypatch: pytest.MonkeyPatch, count: int | None, threads: int, slots: tuple[int, ...]
) -> None:
    """Each slot has as many; without a number of slots there are as many as have cores for them."""
    monkeypatch.setattr("ablate.study.slots.cores", lambda: 6)
    assert divide("cpu", count, threads=threads) == tuple(Slot("cpu", one) for one in slots)
    monkeypatch.setattr("ablate.study.slots.gpus", lambda: 2)
    assert divide("cuda", threads=threads) == (Slot("cuda:0", threads), Slot("cuda:1", threads))


@pytest.mark.parametrize(
    ("asked", "variable", "named"),
    [
        (None, None, None),
        (None, "3", Threads(3, "OMP_NUM_THREADS")),
        (None, " 3 ", Threads(3, "OMP_NUM_THREADS")),
        (None, "4,2,1", Threads(4, "OMP_NUM_THREADS")),
        (2, "3", Threads(2, "--threads")),
        (2, None, Threads(2, "--threads")),
        (None, "", None),
        (None, "0", None),
        (None, "-1", None),
        (None, "many", None),
        (None, "2 or 3", None),
    ],
)
def test_threads_are_the_users(
    asked: int | None, variable: str | None, named: Threads | None
) -> None:
    """The option goes before the variable, whose first number counts; another word counts not."""
    environment = {} if variable is None else {"OMP_NUM_THREADS": variable}
    assert named_threads(asked, environment) == named


@pytest.mark.parametrize(
    ("device", "count", "kind", "given"),
    [
        pytest.param("cuda", None, AblateError, "cuda", id="no-gpu"),
        pytest.param("gpu", None, AblateError, "gpu", id="device"),
        pytest.param("cpu", -1, WrongValue, -1, id="count"),
    ],
)
def test_slots_that_do_not_exist(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    count: int | None,
    kind: type[AblateError],
    given: object,
    refused: Callable[..., Any],
) -> None:
    """A wrong device or number of slots is one sentence."""
    monkeypatch.setattr("ablate.study.slots.gpus", lambda: 0)
    with refused(kind, given=given):
        divide(device, count)


def test_cores_are_counted() -> None:
    """At least one core, and no more than the machine has."""
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_at_most_one_report_a_second() -> None:
    """The first one, which says from where a trial goes on, and then one a second."""
    told: list[Event] = []
    times = iter((0.0, 0.5, 1.0, 1.9, 2.5))
    on_share = sparingly(told.append, lambda: next(times))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        on_share({"k1": 2}, share)
    assert told == [Progressed({"k1": 2}, share) for share in (0.0, 0.5, 1.0)]


def test_a_worker_has_its_threads_before_it_has_torch() -> None:
    """What reads a cohort that was sent, its trials included, is there without torch."""
    code = (
        "import sys, ablate.study.worker, ablate.study.entries, ablate.strategies; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
