"""Plugins of a study: named in its file, loaded by its workers, kept as provenance."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_training import Fake
from matrix import SLOT, fill, new_store

from ablate.data import load_corpus
from ablate.errors import AblateError
from ablate.report import results
from ablate.store.studies import find_question
from ablate.strategies import get
from ablate.strategies.plugins import load_file
from ablate.study.changes import change, select
from ablate.study.entries import enumerate_trials
from ablate.study.events import Assignment, Event, Finished
from ablate.study.executors import Local
from ablate.study.file import read_study
from ablate.study.job import Order, prepare
from ablate.study.messages import introduction
from ablate.study.schema import StudyMistakes

MINE = """
from dataclasses import dataclass
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.noise import Noise
from ablate.placement import Placement
from ablate.strategies import Rate, strategy


@dataclass(frozen=True)
class Ones(Noise):
    name: str = "ONES"

    def mean(self, rate):
        return 1.0

    def variance(self, rate):
        return 0.0

    def multiplier(self, word, rate):
        return 0.0 * word + 1.0


@strategy(dial="rate")
def mine(rate: Rate = 0.2) -> Placement:
    "Multiply by one."
    return Placement({Edge.OUTPUT: Drop(rate, noise=Ones())})
"""

STUDY = """
question = "Does mine help?"
baseline = "mine .2"
plugins = ["sub/mine.py"]

[profiles.quick]
corpus = "toy"
preset = "zaremba-small"
precision = "fp32"
seeds = 1
strategies = [{name = "mine", rate = [0.2, 0.4]}]
"""


pytestmark = pytest.mark.usefixtures("own_strategies")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file beside the folder of its plugin."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.py").write_text(MINE)
    path = tmp_path / "own.toml"
    path.write_text(STUDY)
    return path


def edit(study: Path, **changes: str) -> None:
    """Replace the lines `name = value` of the study."""
    text = study.read_text()
    for name, value in changes.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{name} ="))
        text = text.replace(line, f"{name} = {value}")
    study.write_text(text)


def test_a_study_brings_its_strategies(study: Path) -> None:
    """The path is relative to the study file, wherever one stands; a change keeps that."""
    found = read_study(study)
    assert [plugin.path for plugin in found.plugins] == [study.parent / "sub" / "mine.py"]
    assert found.profile().baseline == "mine .2"
    assert change(found, "quick", {"seeds": 2}).plugins == found.plugins


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param('["nope.py"]', "plugins[0]", id="missing"),
        pytest.param('"sub/mine.py"', "plugins", id="text"),
        pytest.param("3", "plugins", id="number"),
        pytest.param('["sub/mine.py", ""]', "plugins", id="empty-path"),
        pytest.param('["sub"]', "plugins[0]", id="folder"),
        pytest.param('["a\\u0000.py"]', "plugins[0]", id="zero-byte"),
    ],
)
def test_a_wrong_plugin_is_one_mistake(
    study: Path, value: str, path: str, refused: Callable[..., Any]
) -> None:
    """What its strategies would have been is no mistake on top of it."""
    edit(study, plugins=value)
    with refused(StudyMistakes, paths=(path,)):
        read_study(study)


def test_all_broken_plugins_are_named_beside_other_mistakes(
    study: Path, refused: Callable[..., Any]
) -> None:
    """One sentence each; the good one among them is no mistake, nor is a strategy of a bad one."""
    (study.parent / "zero.py").write_text("x = 1 / 0\n")
    (study.parent / "twice.py").write_text(MINE)
    edit(study, seeds="0", plugins='["zero.py", "sub/mine.py", "twice.py"]')
    with refused(StudyMistakes, paths=("plugins[0]", "plugins[2]", "profiles.quick.seeds")):
        read_study(study)


def test_the_question_is_read_without_the_plugins(study: Path) -> None:
    """A report of old results runs nobody's code."""
    (study.parent / "sub" / "mine.py").write_text("raise SystemExit\n")
    assert find_question(str(study)) == "Does mine help?"
    assert find_question("no-such-study") is None


def test_a_job_has_the_plugins_of_the_study_and_of_the_order(study: Path) -> None:
    """Each once; the run says where they come from and what they bring."""
    (study.parent / "more.py").write_text(MINE.replace("mine(", "more("))
    files = (study.parent / "more.py", study.parent / "sub" / "mine.py")
    order = Order(study=str(study), plugins=files, strategies=("more",), results=study.parent)
    job = prepare(order)
    assert [plugin.path for plugin in job.plugins] == list(files)
    lines = list(introduction(job))
    assert lines[1] == f"plugin {job.plugins[0].text} from {files[0]}: more"
    assert isinstance(job.executor(), Local)
    assert job.executor().plugins == job.plugins  # type: ignore[union-attr]


def test_a_broken_noise_stops_a_study_before_it_trains(
    study: Path, refused: Callable[..., Any]
) -> None:
    """One sentence for the study, not one traceback for each trial."""
    broken = MINE.replace("0.0 * word + 1.0", "0.0 * word + float('nan')")
    (study.parent / "sub" / "mine.py").write_text(broken)
    with refused():
        enumerate_trials(read_study(study).profile(), load_corpus("toy"))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Drop(3 * rate)", id="refused"),
        pytest.param("Drop(rte)", id="raises"),
        pytest.param('Drop(rate, noise=Ones("a;b"))', id="text"),
    ],
)
def test_a_strategy_that_makes_no_placement_is_a_mistake(
    study: Path, line: str, refused: Callable[..., Any]
) -> None:
    """With its name and the point at which it broke, beside the study's other mistakes."""
    broken = MINE.replace("Drop(rate, noise=Ones())", line)
    (study.parent / "sub" / "mine.py").write_text(broken)
    edit(study, seeds="0")
    with refused(StudyMistakes, paths=("profiles.quick.seeds", "profiles.quick.strategies[0]")):
        read_study(study)


@pytest.mark.parametrize(
    "factor", [pytest.param("2.0", id="outside"), pytest.param("1 / 0", id="raises")]
)
def test_a_broken_schedule_stops_a_study_before_it_trains(
    study: Path, factor: str, refused: Callable[..., Any]
) -> None:
    """It is asked at the start, half way and at the end of what is to be trained."""
    own = (
        "from ablate.schedules import Schedule\n\n\nclass Odd(Schedule):\n"
        f"    def factor(self, update, total):\n        return {factor}\n\n\n@strategy"
    )
    broken = MINE.replace("@strategy", own).replace("Ones())})", 'Ones())}, Odd("ODD"))')
    (study.parent / "sub" / "mine.py").write_text(broken)
    with refused():
        enumerate_trials(read_study(study).profile(), load_corpus("toy"))


def test_a_key_knows_the_plugins_source(study: Path) -> None:
    """Another source is another trial, whatever the names."""
    corpus = load_corpus("toy")
    before = enumerate_trials(read_study(study).profile(), corpus)
    again = enumerate_trials(read_study(study).profile(), corpus)
    assert [entry.trial.key for entry in again] == [entry.trial.key for entry in before]
    (study.parent / "sub" / "mine.py").write_text(MINE + "# more\n")
    after = enumerate_trials(read_study(study).profile(), corpus)
    assert [entry.label for entry in after] == [entry.label for entry in before]
    assert not {entry.trial.key for entry in after} & {entry.trial.key for entry in before}


def test_an_edited_plugin_takes_the_place_of_its_old_self(study: Path, tmp_path: Path) -> None:
    """One point run again at one seed has that seed alone; the other point keeps both."""
    corpus, store = load_corpus("toy"), new_store(tmp_path)
    fill(
        store, enumerate_trials(change(read_study(study), "quick", {"seeds": 2}).profile(), corpus)
    )
    (study.parent / "sub" / "mine.py").write_text(MINE + "# more\n")
    again = select(read_study(study).profile(), ["mine .2"])
    summary, lines = fill(store, enumerate_trials(again, corpus))

    assert summary.trained == 1
    assert lines[0] == (
        "2 trials of an earlier version of 'mine .2' are left out; the store keeps them"
    )
    frame = results("study", results=tmp_path)
    assert frame.groupby("label")["seed"].agg(list).to_dict() == {"mine .2": [1], "mine .4": [1, 2]}
    assert frame.groupby("label")["placement"].nunique().tolist() == [1, 1]


def test_a_plugin_that_broke_is_loaded_again_once_it_is_mended(study: Path) -> None:
    """As in a notebook, where a mistake is undone."""
    read_study(study)
    (study.parent / "sub" / "mine.py").write_text(MINE + "def\n")
    with pytest.raises(AblateError, match="could not be loaded"):
        read_study(study)
    (study.parent / "sub" / "mine.py").write_text(MINE)
    assert read_study(study).profile().baseline == "mine .2"
    assert get("mine").name == "mine"


def test_a_plugin_may_lie_in_a_folder_of_any_name(study: Path) -> None:
    """Names of folders are bytes, and need not be UTF-8."""
    folder = Path(os.fsdecode(os.fsencode(study.parent) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "mine.py").write_text(MINE)
    assert load_file(folder / "mine.py").module.startswith("ablate_plugin_mine_")


def test_the_plugin_of_a_trial_is_stored(study: Path, tmp_path: Path) -> None:
    """Name and digest stand in its row, of an attempt that failed too."""
    found = read_study(study)
    entries = enumerate_trials(found.profile(), load_corpus("toy"))
    store = new_store(tmp_path)
    fill(store, entries[:1])
    fill(store, entries[1:], Fake(raises=(1,)))
    rows = store.trials().to_pylist()
    assert sorted(row["status"] for row in rows) == ["failed", "ok"]
    assert {row["plugin"] for row in rows} == {found.plugins[0].text}


def cohorts(study: Path, seeds: int) -> deque[tuple[Assignment]]:
    """Cohorts of one assignment, whose placement holds what the plugin defines."""
    load_file(study.parent / "sub" / "mine.py")
    placement = get("mine").place()
    trials = [
        SimpleNamespace(
            key=f"k{seed}", seed=seed, recipe=SimpleNamespace(epochs=2), placement=placement
        )
        for seed in range(seeds)
    ]
    return deque((Assignment(trial, 1, study.parent / trial.key),) for trial in trials)


def test_workers_know_what_a_plugin_defines(study: Path) -> None:
    """A placement with the plugin's noise goes to a spawned process and comes back equal."""
    work, events = cohorts(study, 2), list[Event]()
    placement = work[0][0].trial.placement
    found = read_study(study).plugins
    Local(Fake(), (SLOT,), found).run(lambda: work.popleft() if work else (), events.append)
    ended = [event for event in events if isinstance(event, Finished)]
    assert [event.assignment.trial.placement for event in ended] == [placement, placement]


def test_a_plugin_that_changes_during_a_run_ends_it(study: Path) -> None:
    """A worker that would train something else says so before it takes an assignment."""
    work = cohorts(study, 1)
    found = read_study(study).plugins
    (study.parent / "sub" / "mine.py").write_text(MINE + "# more\n")
    with pytest.raises(
        AblateError, match=r"mine\.py changed since this run began: it was [0-9a-f]"
    ):
        Local(Fake(), (SLOT,), found).run(lambda: work.popleft() if work else (), print)
