"""The cohorts of a job: measured for each kind, pinned, or not worth a question."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import write_file, write_texts

from ablate.study import estimate, messages
from ablate.study.cohorts import size_cohorts
from ablate.study.job import Job, Order, prepare
from ablate.training.cohort_sizes import Probe
from ablate.training.fastest_precision import Measured

# Four trials outside the loop, two that act on the cell inside it.
STRATEGIES = '[{name = "none"}, {name = "zaremba2014"}, {name = "moon2015"}]'

Make = Callable[..., Job]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Prepare the study, with options of `ablate run` changed."""
    monkeypatch.setattr("ablate.study.job.cores", lambda: 1)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    text = write_texts(tmp_path / "text")

    def prepared(*, precision: str = "fp32", slots: int = 0, **options: object) -> Job:
        own = {"seeds": 2, "precision": f'"{precision}"', "strategies": STRATEGIES}
        study = write_file(tmp_path / "sizes.toml", text, **own)
        order = {"results": tmp_path / "results", "device": "cpu", "slots": slots} | options
        return prepare(Order(study=str(study), **order))

    return prepared


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """Stand in for the probe: cohorts of up to two pay; what was asked is kept."""
    asked: list[tuple[int, list[int]]] = []

    def measure(trials, corpus, sizes, *, device, threads):
        asked.append((len(trials), list(sizes)))
        return Probe({size: 0.04 if size == 1 else 0.025 for size in sizes})

    monkeypatch.setattr("ablate.training.cohort_sizes.time_cohorts", measure)
    monkeypatch.setattr("ablate.training.cohort_sizes.free_bytes", lambda device: 2**34)
    return asked


def test_each_kind_is_measured(make: Make, probed: list[tuple[int, list[int]]]) -> None:
    """Four of the one kind and two of the other, each up to the size that holds them all."""
    sizes = size_cohorts(make())
    assert probed == [(4, [1, 2, 4]), (2, [1, 2])]
    assert [(kind.label, len(kind.entries), kind.size) for kind in sizes.kinds] == [
        ("none", 4, 2),
        ("moon2015 .25", 2, 2),
    ]
    held = sizes.holds
    assert held is not None
    assert held > 100
    assert list(messages.cohorts(sizes)) == [
        "cohorts: 2 at once of 4 trial(s) such as 'none': 40, 25, 25 ms an update and trial at "
        f"1, 2, 4; a slot's memory holds {held}",
        "cohorts: 2 at once of 2 trial(s) such as 'moon2015 .25': 40, 25 ms an update and trial "
        f"at 1, 2; a slot's memory holds {held}",
    ]


def test_a_busy_machine_is_said_and_not_believed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four that wait four train at once, though one was measured; the estimate says so too."""

    def measure(trials, corpus, sizes, *, device, threads):
        return Probe({1: 2.47}, busy=True)

    monkeypatch.setattr("ablate.training.cohort_sizes.time_cohorts", measure)
    monkeypatch.setattr("ablate.training.cohort_sizes.free_bytes", lambda device: 2**34)
    job = make()
    sizes = size_cohorts(job)
    assert [(kind.size, kind.busy) for kind in sizes.kinds] == [(4, True), (2, True)]
    *lines, warning = messages.cohorts(sizes)
    assert all("2.47e+03 ms an update and trial at 1 on a busy machine" in line for line in lines)
    assert warning.startswith("warning: the machine is busy, at the second try too")
    assert "up to 4 are trained at once" in warning
    found = estimate.estimate(job, sizes)
    assert found is not None
    assert found.busy
    assert "busy" in messages.expected(found, 1)


def test_a_slot_for_each_trial_asks_nothing(
    make: Make, probed: list[tuple[int, list[int]]]
) -> None:
    """With as many slots as trials of a kind, one of them stands alone: no probe runs."""
    job = make(slots=2, strategies=("moon2015",))
    sizes = size_cohorts(job)
    assert probed == []
    assert [kind.size for kind in sizes.kinds] == [1]
    assert list(messages.cohorts(sizes)) == [
        "cohorts: each trial alone, since there is a slot for each of its kind"
    ]


def test_a_pinned_size_is_taken_as_it_is(make: Make, probed: list[tuple[int, list[int]]]) -> None:
    """No memory is counted and nothing is measured."""
    sizes = size_cohorts(make(), 3)
    assert probed == []
    assert sizes.cohorts.pinned == 3
    assert list(messages.cohorts(sizes)) == ["cohorts: 3 trial(s) at once in each slot, as asked"]


def test_the_estimate_counts_the_cohorts(make: Make, probed: list[tuple[int, list[int]]]) -> None:
    """Each kind's trials at its measured share, over the slots; a pinned size is measured."""
    job = make()
    found = estimate.estimate(job, size_cohorts(job))
    assert found is not None
    assert found.update == pytest.approx(0.025)
    assert found.seconds == pytest.approx(6 * estimate.trial_seconds(job, 0.025))

    probed.clear()
    alone = estimate.estimate(job, size_cohorts(job, 1))
    assert alone is not None
    assert probed == [(4, [1]), (2, [1])]
    assert alone.seconds == pytest.approx(6 * estimate.trial_seconds(job, 0.04))


def test_the_estimate_counts_what_a_search_will_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probed: list[tuple[int, list[int]]]
) -> None:
    """Of eight trials of a sampler that learns one is known."""
    monkeypatch.setattr("ablate.study.job.cores", lambda: 1)
    path = write_file(
        tmp_path / "tuned.toml",
        write_texts(tmp_path / "text"),
        strategies='[{name = "zaremba2014"}]',
        tune='{trials = 6, then = 2, sampler = "tpe"}',
    )
    path.write_text(path.read_text().replace("seeds = 1\n", ""))
    job = prepare(Order(study=str(path), results=tmp_path / "results", device="cpu", slots=0))
    found = estimate.estimate(job, size_cohorts(job))
    assert found is not None
    assert found.seconds == pytest.approx(8 * estimate.trial_seconds(job, 0.04))


def test_a_run_says_how_many_workers_start(make: Make, probed: list[tuple[int, list[int]]]) -> None:
    """One a cohort, up to one a slot; where no kind is crowded nothing is timed, nor said to be."""
    few = make(slots=8)
    assert list(messages.probing(few, None)) == []
    assert "starting 6 worker(s)" in next(messages.starting(few, size_cohorts(few)))
    crowded = make(slots=3)
    assert "timing a few updates" in next(messages.probing(crowded, None))
    assert probed == []
    together = size_cohorts(crowded, 4)
    assert "starting 2 worker(s)" in next(messages.starting(crowded, together))


def test_precision_is_settled_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is measured on the first slot, said with its ratio, and part of every key."""
    asked = []

    def measure(device: str, threads: int) -> Measured:
        asked.append((device, threads))
        return Measured("bf16", 6.12)

    monkeypatch.setattr("ablate.study.job.fastest_precision", measure)
    job = make(precision="auto")
    assert asked == [("cpu", 1)]
    assert {entry.trial.precision for entry in job.entries} == {"bf16"}
    assert (
        "precision: bf16 (auto: bfloat16 products measured 6.1 times as fast as float32 here)"
        in list(messages.introduction(job))
    )
    for settings in ((), ("precision=fp32",)):
        own = make(precision="auto" if settings else "fp32", settings=settings)
        assert {entry.trial.precision for entry in own.entries} == {"fp32"}
        assert "precision: fp32" in list(messages.introduction(own))
    assert asked == [("cpu", 1)]


@pytest.mark.parametrize(
    ("variable", "options", "threads", "said"),
    [
        pytest.param(None, {}, 1, "1 thread(s) each", id="nobody"),
        pytest.param(
            "3", {}, 3, "3 thread(s) each (OMP_NUM_THREADS; that is 3 on 1", id="variable"
        ),
        pytest.param("3", {"threads": 1}, 1, "1 thread(s) each (--threads)", id="option"),
        pytest.param("1", {}, 1, "1 thread(s) each (OMP_NUM_THREADS)", id="as-by-default"),
        pytest.param("1", {"slots": 2}, 1, "(OMP_NUM_THREADS; that is 2 on 1 core(s))", id="slots"),
    ],
)
def test_a_run_says_who_named_its_threads(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    options: dict[str, int],
    threads: int,
    said: str,
) -> None:
    """In this process and in slots alike; and where they are more than there are cores."""
    monkeypatch.setattr("ablate.study.messages.cores", lambda: 1)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    job = make(**options)
    assert {slot.threads for slot in job.slots} == {threads}
    (line,) = [line for line in messages.introduction(job) if "thread(s)" in line]
    assert said in line
    assert line.endswith(("each", ")"))


def test_a_run_warns_of_what_acts_nowhere(make: Make) -> None:
    """Strategy, edge and the net's layers; a strategy of which the rest acts is told apart."""
    job = make(strategies=("none", "interlayer", "zaremba2014"))
    lines = list(messages.introduction(job))
    (warning,) = [line for line in lines if line.startswith("warning: 'interlayer .25' drops")]
    assert "INTERLAYER alone, which has no place in a net of 1 layer" in warning
    assert "its trials are those of 'none'" in warning
    assert (
        "'zaremba2014 .5' drops at INTERLAYER too, which has no place in a net of 1 layer" in lines
    )
    two = make(strategies=("interlayer", "zaremba2014"), settings=("net.layers=2",))
    assert not any("INTERLAYER" in line for line in messages.introduction(two))
