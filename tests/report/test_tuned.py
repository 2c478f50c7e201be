"""A tuned profile: which point is chosen, what its row rests on, and what the report says of it."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tuned_stores import GAL, NONE, ZAREMBA, Searched, Tried, part_of, write_tuned
from written_stores import QUICK, write_study

from ablate.report import build
from ablate.report.asking import Asked
from ablate.report.combination import Combination
from ablate.report.exports import files_of
from ablate.report.findings import findings
from ablate.report.frame import read_cells
from ablate.report.numbers import NOTHING
from ablate.report.panels import panels_of
from ablate.report.statistics import seed_mean
from ablate.report.table import make_table
from ablate.report.tuned import findings as tuned_findings
from ablate.report.tuned import is_tuned, searches_of, shown, tuned_table
from ablate.stages import THEN


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Combination:
    folder = tmp_path_factory.mktemp("tuned")
    return part_of(write_tuned(folder, (NONE, ZAREMBA, GAL), baseline="none"))


def test_the_lowest_validation_is_chosen_and_of_equal_ones_the_first(part: Combination):
    """Neither a diverged nor a pruned point is chosen, whatever it had reached."""
    chosen = {search.name: search.chosen["number"] for search in searches_of(part)}
    assert chosen == {"none": 1, "zaremba2014": 1, "gal2016": 0}
    zaremba = searches_of(part)[1]
    tied = zaremba.tried.loc[zaremba.tried["number"].isin([1, 2]), "valid_nll"]
    assert tied.nunique() == 1


def test_a_search_is_one_row_over_the_later_seeds(part: Combination):
    """Mean and interval are those of the chosen point's later seeds alone."""
    rows = tuned_table(part).rows.set_index("label")
    assert rows.index.tolist() == [
        "none", "none, default", "zaremba2014", "zaremba2014, default", "gal2016",
    ]  # fmt: skip
    then = part.trials[(part.trials["search"] == "zaremba2014") & (part.trials["stage"] == THEN)]
    assert sorted(then["seed"]) == [2, 3, 4]
    for metric in ("train_ppl", "valid_ppl", "test_ppl", "gap"):
        expected = seed_mean(then.sort_values("seed")[metric].to_list())
        assert rows.loc["zaremba2014", metric] == expected.mean
        assert rows.loc["zaremba2014", f"{metric}_low"] == expected.low
    assert rows.loc["zaremba2014", "n"] == 3
    assert rows.loc["zaremba2014", "search_valid_ppl"] == pytest.approx(210.0)
    assert rows.loc["zaremba2014", "tried"] == 5
    assert rows.loc["zaremba2014", "tried_lost"] == "1 diverged, 1 pruned"


def test_differences_are_to_the_baselines_search(part: Combination):
    """Paired by the later seeds, with Holm's correction over the searches alone."""
    table = tuned_table(part)
    assert table.baseline == "none"
    rows = table.rows.set_index("label")
    assert rows.loc["gal2016", "valid_pairs"] == 3
    assert rows["valid_p_holm"].notna().tolist() == [False, False, True, False, True]
    assert rows.loc["gal2016", "valid_p_holm"] <= 2 * rows.loc["gal2016", "valid_p"] + 1e-12
    assert table.leads["valid_ppl"].strategy == "gal2016"


def test_the_default_point_shows_its_validation_and_no_test(part: Combination):
    """Test is shown of what validation chose; a default that was chosen is no second row."""
    table = tuned_table(part)
    row = table.rows.set_index("label").loc["zaremba2014, default"]
    assert row["n"] == 0
    assert row[["train_ppl", "valid_ppl", "test_ppl", "gap"]].isna().all()
    assert row["search_valid_ppl"] == pytest.approx(220.0)
    heads = [column.head for column in table.columns]
    entries = table.entries[table.rows["label"].tolist().index("zaremba2014, default")]
    assert entries[heads.index("test")].whole == NOTHING
    assert entries[heads.index("search seed")].whole == "220.0"
    test = part.trials.query("search == 'zaremba2014' and number == 0")["test_ppl"].iloc[0]
    for text in (*files_of(table, caption="", label="").values(), table.text(200)):
        assert f"{test:.1f}" not in text
        assert repr(float(test)) not in text
    last = table.entries[-1][0]
    assert last.whole == "gal2016 (the default point: recurrent .3)"


def test_pruned_points_are_in_no_mean_and_no_figure(part: Combination):
    """They are counted as tried."""
    view = shown(part)
    assert set(view.trials["status"]) == {"ok"}
    assert set(view.trials["stage"]) == {THEN}
    assert len(view.trials) == 9
    assert set(view.epochs["key"]) == set(view.trials["key"])


def test_what_was_tried(part: Combination):
    """The panel has both validations, their difference and what became of the points."""
    [panel] = panels_of(part)
    frame = pd.read_csv(io.StringIO(panel.csv())).set_index("search")
    row = frame.loc["zaremba2014"]
    assert row[["tried", "diverged", "pruned", "chosen_number"]].tolist() == [5, 1, 1, 1]
    assert row["difference"] == pytest.approx(-10.0)
    assert frame.loc["gal2016", "difference"] == 0
    assert "rate .4, learning_rate .7" in panel.markdown()
    narrow = panel.text(80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "zaremba2014" in narrow


def test_sentences(part: Combination):
    """How many points on which seed, what moved, and where the default was the best."""
    extent, order, kept, lost = tuned_findings(part)
    assert extent == (
        "3 searches of 2 to 5 points each on seed 1; the chosen point of each trained on 3 further "
        "seeds."
    )
    assert order == (
        "Tuning leaves the order of the default points as it was, by validation perplexity on "
        "seed 1."
    )
    assert kept == "Nothing that was tried is better than the default point: gal2016."
    assert lost == "Of the points tried, 1 diverged and 1 pruned: counted, never chosen."
    told = findings(shown(part), tuned_table(part))
    assert "9 finished trials: 3 placements, 3 seeds each." in told


def test_a_changed_order_is_named(tmp_path: Path):
    """Each search that changes its place, the best first."""
    better = replace(ZAREMBA, tried=(Tried(valid=220.0), Tried({"rate": 0.4}, 200.0)))
    part = part_of(write_tuned(tmp_path, (NONE, better, GAL)))
    assert tuned_findings(part)[1] == (
        "Tuning changes the order of the default points, by validation perplexity on seed 1: "
        "zaremba2014 from place 2 to 1, gal2016 from place 1 to 2."
    )


def test_seeds_of_a_point_that_is_chosen_no_more_are_in_no_row(tmp_path: Path):
    """After more was tried, the earlier choice's seeds are old."""
    store = write_tuned(tmp_path, (NONE, replace(ZAREMBA, number=2)))
    part = part_of(store)
    row = tuned_table(part).rows.set_index("label").loc["zaremba2014"]
    assert row["n"] == 0
    assert row["search_valid_ppl"] == pytest.approx(210.0)
    told = tuned_findings(part)
    assert told[0].endswith("no further seed yet of what was chosen by zaremba2014.")
    assert "3 trials of points that were chosen before more were tried stand in no row." in told


def test_seeds_that_have_not_run_are_missing(tmp_path: Path):
    """They are counted in the row's file and named by the page."""
    part = part_of(write_tuned(tmp_path, (NONE, replace(ZAREMBA, pending=(3, 4)))))
    row = tuned_table(part).rows.set_index("label").loc["zaremba2014"]
    assert (row["n"], row["missing"]) == (1, 2)
    assert len(part.missing) == 2


@pytest.mark.usefixtures("without_figures")
def test_before_any_later_seed(tmp_path: Path):
    """A table of what the searches chose so far, with the seed of the search alone."""
    searches = tuple(replace(one, number=None) for one in (NONE, ZAREMBA))
    part = part_of(write_tuned(tmp_path, searches, baseline="none"))
    table = tuned_table(part)
    assert table.rows["n"].tolist() == [0, 0, 0, 0]
    assert table.baseline is None
    assert "No trial of the baseline, none, has finished here yet." in findings(shown(part), table)
    [report] = build(tmp_path)
    assert "zaremba2014, default" in report.text


@pytest.mark.usefixtures("without_figures")
def test_nothing_finished(tmp_path: Path):
    """A search whose points all diverged has a row, and no point."""
    lost = Searched(
        "zaremba2014", (Tried(status="diverged"), Tried({"rate": 0.3}, status="diverged"))
    )
    part = part_of(write_tuned(tmp_path, (lost,)))
    [row] = tuned_table(part).entries
    assert row[0].whole == "zaremba2014 (no point finished)"
    assert tuned_findings(part)[0] == (
        "1 search of 2 points on seed 1; no point finished of zaremba2014."
    )
    [report] = build(tmp_path)
    assert "no point finished" in report.page.read_text(encoding="utf-8")


def test_files_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Panels have files beside the table's, and go when there are none any more."""
    store = write_tuned(tmp_path, (NONE, ZAREMBA, GAL), baseline="none")
    [report] = build(tmp_path)
    folder = report.page.parent
    assert {path.name for path in folder.glob("tried.*")} == {"tried.csv", "tried.md", "tried.tex"}
    assert {path.stem for path in (folder / "figures").glob("*.svg")} == {
        "paired-differences", "learning-curves", "gap-by-placement", "gap-against-perplexity",
        "best-of-k", "validation-by-argument",
    }  # fmt: skip
    page = report.page.read_text(encoding="utf-8")
    assert 'href="tried.csv"' in page
    assert ">What was tried</h3>" in page
    assert '<small class="point">(rate .4, learning_rate .7)</small>' in page
    assert "What was tried:" in report.text
    for path in store.folder.glob("*.parquet"):
        path.unlink()
    write_study(tmp_path, profile="tuned", points=QUICK[:2])
    monkeypatch.setattr("ablate.report.write.draw_figures", lambda part: ())
    build(tmp_path)
    assert not list(folder.glob("tried.*"))


def test_a_study_that_is_not_tuned_is_as_it_was(two_seeds: Path):
    """No panel, no sentence, and the table of placements."""
    from read_stores import combinations_of

    [part] = combinations_of(two_seeds)
    assert not is_tuned(part)
    assert shown(part) is part
    assert panels_of(part) == ()
    assert tuned_findings(part) == []
    assert tuned_table(part).csv() == make_table(part).csv()


def test_the_file_asks_for_searches_and_not_for_points(tmp_path: Path):
    """A search that it has no more stands in no row, nor does what it tried."""
    store = write_tuned(tmp_path, (NONE, ZAREMBA, GAL), baseline="none")
    every = Asked("?", {}, "none")
    assert len(searches_of(part_of(store, every))) == 3
    some = Asked("?", {}, "gal2016", searches={"gal2016": 0, "none": 1})
    part = part_of(store, some)
    table = tuned_table(part)
    assert table.rows["label"].tolist() == ["gal2016", "none", "none, default"]
    assert table.baseline == "gal2016"
    others = shown(part).others
    assert set(others["stage"]) == {THEN}
    assert set(others["search"]) == {"zaremba2014"}


def test_what_a_search_knows_is_not_absent(tmp_path: Path):
    """The file's points stand in the store under what the search drew beside them."""
    cells = read_cells(write_tuned(tmp_path, (NONE, ZAREMBA)))
    points = {("zaremba2014", '{"rate": 0.5}'): (0, "zaremba2014 .5")}
    assert Asked("?", points).absent(cells) == ""
    points |= {("locked", '{"rate": 0.5}'): (1, "locked .5")}
    assert Asked("?", points).absent(cells).startswith("'locked .5'")


def test_ranks_are_of_nats(part: Combination):
    """The chosen point's headline is that of its recipe."""
    chosen = searches_of(part)[0].chosen
    assert np.exp(chosen["valid_nll"]) == pytest.approx(250.0)
