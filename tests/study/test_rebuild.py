"""Optuna's file is made from the store: its trials, their values and what waits."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tiny import ablate, run, write_file, write_texts

FILE = "optuna.journal"


def _studies(path: Path) -> dict[str, list[optuna.trial.FrozenTrial]]:
    storage = JournalStorage(JournalFileBackend(str(path)))
    return {
        study.study_name: optuna.load_study(study_name=study.study_name, storage=storage).trials
        for study in optuna.get_all_study_summaries(storage)
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tuned profile that has run, and a plain one of which two trials wait."""
    folder = tmp_path_factory.mktemp("rebuild")
    path = write_file(
        folder / "mine.toml",
        write_texts(folder / "text"),
        strategies='[{name = "none"}, {name = "zaremba2014", rate = [0.25, 0.5]}]',
    )
    text = path.read_text()
    tuned = text.partition("[profiles.quick]")[2].replace("profiles.quick", "profiles.tuned")
    tuned = tuned.replace("seeds = 1", "tune = {trials = 3, then = 1}")
    path.write_text(text + "\n[profiles.tuned]" + tuned.replace(", rate = [0.25, 0.5]", ""))
    assert run(path, "--profile", "tuned").exit_code == 0
    assert run(path, "--strategies", "none").exit_code == 0
    return path


def test_a_search_is_a_study_of_its_own(study: Path):
    """Parameters are the arguments, values the validation loss, in the order of the numbers."""
    results = study.parent / "results"
    done = ablate("rebuild", "--study", study, "--profile", "tuned", "--results", results)
    assert done.exit_code == 0, done.output
    assert "zaremba2014: 4 trial(s)" in done.output
    path = results / "mine" / "tuned" / FILE
    assert str(path) in done.output.replace("\n", "")

    found = _studies(path)
    assert list(found) == ["none", "zaremba2014"]
    trials = found["zaremba2014"]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert trials[0].params == {"rate": 0.5}
    assert [trial.user_attrs["stage"] for trial in trials] == ["search"] * 3 + ["then"]
    assert len(trials[0].intermediate_values) == 2
    # Made anew, it is the same.
    ablate("rebuild", "--study", study, "--profile", "tuned", "--results", results)
    again = _studies(path)["zaremba2014"]
    assert [trial.value for trial in again] == [trial.value for trial in trials]


def test_what_has_not_run_waits(study: Path):
    """Trials that are next are in it too."""
    results = study.parent / "results"
    assert ablate("rebuild", "--study", study, "--results", results).exit_code == 0
    found = _studies(results / "mine" / "quick" / FILE)
    assert [trial.state for trial in found["none"]] == [TrialState.COMPLETE]
    assert [trial.state for trial in found["zaremba2014"]] == [TrialState.WAITING] * 2
    assert [trial.user_attrs["label"] for trial in found["zaremba2014"]] == [
        "zaremba2014 .25",
        "zaremba2014 .5",
    ]


def test_a_search_may_draw_whatever_a_file_allows(tmp_path: Path):
    """Optuna's own range is as wide."""
    path = write_file(
        tmp_path / "wide.toml",
        write_texts(tmp_path / "text"),
        strategies='[{name = "none"}]',
        tune='{trials = 2, then = 1, over = {"recipe.clip" = [1e7, 1e9]}}',
        recipe={"clip": 1e8},
    )
    path.write_text(path.read_text().replace("seeds = 1\n", ""))
    results = tmp_path / "results"
    assert run(path).exit_code == 0
    assert ablate("rebuild", "--study", path, "--results", results).exit_code == 0
    drawn = [trial.params for trial in _studies(results / "wide" / "quick" / FILE)["none"]]
    assert drawn[0] == {}
    assert 1e7 <= drawn[1]["recipe.clip"] <= 1e9


def test_no_run_looks_at_it(study: Path):
    """A broken file harms nothing."""
    path = study.parent / "results" / "mine" / "quick" / FILE
    path.write_text("no journal")
    assert run(study, "--strategies", "none").exit_code == 0
    assert path.read_text() == "no journal"
