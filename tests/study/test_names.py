"""Names of trials: one placement each, whatever was edited and whichever part was run again."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fake_training import Fake
from matrix import entries, fill, new_store

import ablate
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.report import build
from ablate.store import Store, left_out
from ablate.store.listing import count_trials
from ablate.study.entries import Entry, register
from ablate.study.listed import Listed

BOTH = "2 trials of an earlier version of 'input 0.5' are left out; the store keeps them"


def edited(entries: Iterable[Entry]) -> list[Entry]:
    """The same names after an edit that moved the dropout to another edge."""
    return [
        replace(
            entry,
            trial=replace(
                entry.trial, placement=Placement({Edge.OUTPUT: Drop(entry.arguments["rate"])})
            ),
        )
        for entry in entries
    ]


def listed(*labels: str) -> Listed:
    """A file that lists these points, in this order."""
    places = {label: place for place, label in enumerate(labels)}
    return Listed(places, {}, frozenset(), len(places))


def named(store: Store) -> dict[tuple[str, int], str]:
    """The key of each label and seed, which `cells` has once."""
    rows = store.cells().to_pylist()
    keys = {(row["label"], row["seed"]): row["key"] for row in rows}
    assert len(keys) == len(rows)
    return keys


def keys_of(entries: Iterable[Entry]) -> dict[tuple[str, int], str]:
    return {(entry.label, entry.trial.seed): entry.trial.key for entry in entries}


def test_an_edited_placement_takes_the_name_at_every_seed(tmp_path: Path) -> None:
    """Run again at one seed, it stands alone; both old trials are left out, and stay stored."""
    store, old = new_store(tmp_path), entries((1, 2))
    fill(store, old)
    new = edited(entries([1]))
    summary, lines = fill(store, new)

    assert summary.trained == 1
    assert lines[0] == BOTH
    assert named(store) == keys_of(new)
    assert store.committed().keys() == {entry.trial.key for entry in [*old, *new]}
    assert {row["key"] for row in store.earlier().to_pylist()} == {e.trial.key for e in old}
    status = count_trials(store)
    assert (status.ended["ok"], status.missing, status.total) == (1, 0, 1)


def test_the_report_never_pools_two_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table, frame, terminal and page have the present version, and say what is left out."""
    monkeypatch.setattr("ablate.report.write.draw_figures", lambda part: ())
    store = new_store(tmp_path)
    fill(store, entries((1, 2), (0.5, 0.25)))
    fill(store, edited(entries([1])))

    frame = ablate.results("study", results=tmp_path)
    assert frame[["label", "seed"]].apply(tuple, axis=1).tolist() == [
        ("input 0.5", 1),
        ("input 0.25", 1),
        ("input 0.25", 2),
    ]
    assert frame["placement"].iloc[0].startswith("OUTPUT(")
    [report] = build(tmp_path)
    table = pd.read_csv(report.page.parent / "table.csv").set_index("label")
    assert table[["n", "missing"]].T.to_dict("list") == {"input 0.5": [1, 0], "input 0.25": [2, 0]}
    assert "3 finished trials: 2 placements, 1 to 2 seeds each." in report.text
    assert report.text.endswith(BOTH)
    assert BOTH.replace("'", "&#39;") in report.page.read_text()
    assert "have not run yet" not in report.text


def test_the_rest_of_a_study_stays(tmp_path: Path) -> None:
    """Other points, other seeds of the same placement and other recipes keep their names."""
    store, whole = new_store(tmp_path), entries((1, 2), (0.5, 0.25))
    recipe = whole[0].trial.recipe.model_copy(update={"epochs": 2})
    shorter = [replace(e, trial=replace(e.trial, recipe=recipe)) for e in entries((1, 2))]
    register(whole, store)
    register(shorter, store)
    before = {row["key"] for row in store.cells().to_pylist()}
    register(entries([2], (0.25,)), store)
    register(entries([1]), store)

    assert {row["key"] for row in store.cells().to_pylist()} == before
    register(edited(entries([1])), store)
    after = {row["key"] for row in store.cells().to_pylist()}
    assert before - after == {entry.trial.key for entry in entries((1, 2))}
    # Nothing of it was ever trained.
    assert left_out(store) is None


def test_an_edit_that_was_undone_brings_every_seed_back(tmp_path: Path) -> None:
    """The first version's trials are found again, and the second's are what is left out."""
    store, old = new_store(tmp_path), entries((1, 2))
    fill(store, old)
    fill(store, edited(entries([1])))
    summary, lines = fill(store, entries([1]))

    assert summary.trained == 0
    assert named(store) == keys_of(old)
    only = "1 trial of an earlier version of 'input 0.5' is left out; the store keeps it"
    assert lines == [only]
    assert fill(store, old)[1] == [only]


def test_the_baseline_keeps_all_its_seeds(tmp_path: Path) -> None:
    """Run again at one seed, the others are paired with it all the same."""
    store = new_store(tmp_path)
    register([replace(entry, baseline=True) for entry in entries((1, 2))], store)
    register([replace(entry, baseline=True) for entry in entries([1])], store)
    assert [row["baseline"] for row in store.cells().to_pylist()] == [True, True]


def test_a_trial_begun_by_an_earlier_version_is_not_counted(tmp_path: Path) -> None:
    """Neither its failure nor its checkpoint is of what the name means now."""
    store = new_store(tmp_path)
    fill(store, entries((1, 2)), Fake(raises=(2,)))
    register(edited(entries((1, 2))), store)

    status = count_trials(store)
    ended = status.ended
    assert (ended["ok"], ended["failed"], status.missing, status.begun) == (0, 0, 2, 0)
    assert left_out(store) == (
        "1 trial of an earlier version of 'input 0.5' is left out; the store keeps it"
    )


def test_a_new_argument_that_changes_nothing_keeps_the_trials(tmp_path: Path) -> None:
    """They go on under the same label with the arguments of today, once."""
    store, old = new_store(tmp_path), entries((1, 2))
    fill(store, old)
    more = [replace(entry, arguments={**entry.arguments, "depth": 1}) for entry in entries([1])]
    summary, lines = fill(store, more)

    assert (summary.trained, lines) == (0, [])
    assert named(store) == keys_of(old)
    assert {row["arguments"] for row in store.cells().to_pylist()} == {'{"depth":1,"rate":0.5}'}


def test_a_label_that_means_other_arguments_is_of_those_alone(tmp_path: Path) -> None:
    """A default that moved gives the label to another point; the old one may be asked for."""
    store, old = new_store(tmp_path), entries((1, 2))
    fill(store, old)
    other = [replace(e, arguments={"rate": 0.5, "depth": 2}) for e in edited(entries([1]))]
    fill(store, other)
    assert named(store) == keys_of(other)

    spelled = [replace(entry, label="input 0.5 depth=1") for entry in entries([1])]
    assert fill(store, spelled) == fill(store, [])
    expected = keys_of([*other, *(replace(e, label="input 0.5 depth=1") for e in old)])
    assert named(store) == expected


def test_many_names_are_counted(tmp_path: Path) -> None:
    """Three are named, the others counted."""
    store, rates = new_store(tmp_path), (0.1, 0.2, 0.3, 0.4, 0.5)
    fill(store, entries([1], rates))
    register(edited(entries([1], rates)), store)
    assert left_out(store) == (
        "5 trials of an earlier version of 'input 0.1', 'input 0.2', 'input 0.3' and 2 more are "
        "left out; the store keeps them"
    )


def test_names_are_asked_for_as_long_as_the_file_lists_them(tmp_path: Path) -> None:
    """What it dropped is not, from the next run on, at every seed; what it lists again is."""
    store, rates = new_store(tmp_path), (0.5, 0.25)
    whole = entries((1, 2), rates)
    register(whole, store, listed("input 0.5", "input 0.25"))

    def asked() -> list[tuple[str, bool, bool]]:
        rows = store.cells().to_pylist()
        return sorted({(row["label"], row["asked"], row["baseline"]) for row in rows})

    assert asked() == [("input 0.25", True, False), ("input 0.5", True, False)]
    register(entries([1]), store, listed("input 0.5"))
    assert asked() == [("input 0.25", False, False), ("input 0.5", True, False)]
    register(entries([1]), store)
    assert asked() == [("input 0.25", False, False), ("input 0.5", True, False)]
    register(entries([1]), store, listed("input 0.5", "input 0.25"))
    assert asked() == [("input 0.25", True, False), ("input 0.5", True, False)]


def test_a_baseline_that_the_file_dropped_is_none(tmp_path: Path) -> None:
    """Differences are to the one that the file names now."""
    store = new_store(tmp_path)
    first, second = entries([1], (0.5, 0.25))
    register([replace(first, baseline=True), second], store, listed(first.label, second.label))
    register([replace(second, baseline=True)], store, listed(second.label))
    rows = {row["label"]: (row["asked"], row["baseline"]) for row in store.cells().to_pylist()}
    assert rows == {"input 0.5": (False, False), "input 0.25": (True, True)}


def test_other_combinations_keep_what_was_asked(tmp_path: Path) -> None:
    """A run of a shorter recipe says nothing of the points of the longer one."""
    store = new_store(tmp_path)
    register(entries([1], (0.5, 0.25)), store, listed("input 0.5", "input 0.25"))
    recipe = entries([1])[0].trial.recipe.model_copy(update={"epochs": 2})
    shorter = [replace(e, trial=replace(e.trial, recipe=recipe)) for e in entries([1])]
    register(shorter, store, listed("input 0.5"))
    assert all(row["asked"] for row in store.cells().to_pylist())
