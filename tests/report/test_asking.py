"""What a study asks is what its file says now; what else its store holds stands apart."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from written_stores import QUICK, Point

from ablate.cli import main
from ablate.errors import AblateError
from ablate.report import build
from ablate.report.asking import asked_of
from ablate.report.combination import split
from ablate.report.frame import read_cells, read_epochs, read_trials
from ablate.report.table import Table, make_other_table, make_table
from ablate.store import Store
from ablate.store.about import About

Write = Callable[..., Store]

STUDY = """
question = "{question}"
baseline = "{baseline}"
default_profile = "{profile}"
[profiles.{profile}]
corpus = "toy"
preset = "zaremba-small"
seeds = 3
strategies = [{strategies}]
"""
ALL = '{name = "none"}, {name = "zaremba2014", rate = [0.25, 0.5]}'

pytestmark = pytest.mark.usefixtures("without_figures")


def put(
    path: Path,
    question: str = "Before?",
    baseline: str = "none",
    strategies: str = ALL,
    profile: str = "quick",
) -> Path:
    path.parent.mkdir(exist_ok=True)
    text = STUDY.format(
        question=question, baseline=baseline, strategies=strategies, profile=profile
    )
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def store(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three placements with three seeds, filled by `mine.toml` of the working folder."""
    monkeypatch.chdir(tmp_path)
    store = write(tmp_path / "results", study="mine", seeds=3, points=QUICK[:3])
    store.write_about(About.of(put(tmp_path / "mine.toml"), "Before?"))
    return store


def tables(store: Store, study: str | None = None) -> tuple[Table, Table | None]:
    asked = asked_of(store, study)
    cells = asked.of(read_cells(store))
    [part] = split(read_trials(store, cells), read_epochs(store), cells, asked.baseline)
    return make_table(part), make_other_table(part)


def test_baseline_question_and_order_are_those_of_the_file_as_it_is(store: Store):
    """A file that was edited since the run is heeded without another one."""
    order = '{name = "zaremba2014", rate = [0.5, 0.25]}, {name = "none"}'
    put(Path("mine.toml"), "And now?", "zaremba2014 .5", order)
    [report] = build(Path("results"), "mine.toml")
    assert '<p class="question">And now?</p>' in report.page.read_text(encoding="utf-8")
    table, others = tables(store, "mine.toml")
    assert table.rows["label"].tolist() == ["zaremba2014 .5", "zaremba2014 .25", "none"]
    assert table.baseline == "zaremba2014 .5"
    assert others is None
    lines = report.text.splitlines()
    assert [line.split()[0] for line in lines[6:9]] == ["zaremba2014", "zaremba2014", "none"]


def test_the_store_keeps_the_question_of_the_file_that_filled_it(store: Store):
    """A shipped study of the same name has no say: neither its question nor its baseline."""
    store.write_about(About.of(Path("mine.toml"), "Mine?"))
    store.folder.parent.rename(store.folder.parents[1] / "smoke")
    Path("mine.toml").rename("smoke.toml")
    [report] = build(Path("results"), "smoke")
    assert "Mine?" in report.page.read_text(encoding="utf-8")
    assert "synthetic" not in report.page.read_text(encoding="utf-8")


def test_the_family_is_what_the_file_asks(store: Store):
    """A placement that leaves the file leaves Holm's family, and stands apart with no p-value."""
    before, _ = tables(store)
    put(Path("mine.toml"), strategies='{name = "none"}, {name = "zaremba2014", rate = 0.5}')
    table, others = tables(store, "mine.toml")
    assert table.rows["label"].tolist() == ["none", "zaremba2014 .5"]
    row = table.rows.set_index("label").loc["zaremba2014 .5"]
    assert row["valid_p_holm"] == pytest.approx(row["valid_p"])
    known = before.rows.set_index("label").loc["zaremba2014 .5"]
    assert known["valid_p_holm"] == pytest.approx(2 * known["valid_p"])
    assert others is not None
    assert others.rows["label"].tolist() == ["zaremba2014 .25"]
    assert others.rows["valid_p_holm"].isna().all()
    assert others.rows["valid_difference"].iloc[0] < 0
    assert "p" not in [column.head for column in others.columns]


def test_what_strategies_brought_stands_apart(write: Write, tmp_path: Path):
    """By the store's own word: apart in text, page and CSV, with the command that drops it, which
    runs."""
    write(tmp_path, study="mine", seeds=3, points=QUICK[:3], unasked=("zaremba2014 .25",))
    [report] = build(tmp_path)
    head, apart = report.text.split("Also in this store, not in the study file")
    assert "zaremba2014   .25" not in head
    assert "zaremba2014   .25" in apart
    assert "2 placements, 3 seeds each" in head
    page = report.page.read_text(encoding="utf-8")
    assert page.count('class="ablation"') == 2
    frame = pd.read_csv(report.page.parent / "table.csv").set_index("label")
    assert frame["asked"].to_dict() == {
        "none": True, "zaremba2014 .5": True, "zaremba2014 .25": False,
    }  # fmt: skip
    assert "zaremba2014 .25" not in (report.page.parent / "table.md").read_text(encoding="utf-8")
    drop = next(line for line in apart.splitlines() if "ablate forget" in line).split("`")[1]
    ran = CliRunner().invoke(main, [*shlex.split(drop)[1:], "--yes"])
    assert ran.exit_code == 0, ran.output
    [again] = build(tmp_path)
    assert "Also in this store" not in again.text


def test_where_nothing_that_is_asked_has_run_the_rest_is_shown(write: Write, tmp_path: Path):
    """A first run of `--strategies` alone has its table."""
    write(tmp_path, study="mine", seeds=1, points=QUICK[1:2], unasked=("zaremba2014 .25",))
    [report] = build(tmp_path)
    assert "zaremba2014   .25" in report.text
    assert "The study file asks for none of these" in report.text


def test_another_file_of_the_name_is_refused(store: Store, refused):
    """While the file that filled the store is there, one with other content is another study."""
    other = put(Path("elsewhere") / "mine.toml", "Another?")
    with refused(AblateError):
        build(Path("results"), str(other))
    Path("mine.toml").unlink()
    [report] = build(Path("results"), str(other))
    assert "Another?" in report.page.read_text(encoding="utf-8")


def test_a_name_is_the_file_that_filled_the_store_or_the_stores_own_word(store: Store):
    """`--study mine` heeds ./studies/mine.toml where that ran, and no other file of the name."""
    moved = put(Path("studies") / "mine.toml", "In studies?")
    assert asked_of(store, "mine").points is None
    store.write_about(About.of(moved, "In studies?"))
    put(moved, "Edited?", "zaremba2014 .5")
    Path("mine").write_text("of something else", encoding="utf-8")
    asked = asked_of(store, "mine")
    assert (asked.question, asked.baseline) == ("Edited?", "zaremba2014 .5")
    moved.write_text("no toml", encoding="utf-8")
    broken = asked_of(store, "mine")
    assert (broken.question, broken.points) == ("In studies?", None)
    assert "not valid TOML" in broken.notes[0]


def test_a_file_with_mistakes_is_refused_with_a_way_out(store: Store, refused):
    """Named by its path it must be readable; the command in the message reports without it."""
    Path("mine.toml").write_text('question = "?"\nplugins = ["gone.py"]', encoding="utf-8")
    with refused(AblateError) as raised:
        build(Path("results"), "mine.toml")
    mend = str(raised.value).split("`")[-2]
    ran = CliRunner().invoke(main, shlex.split(mend)[1:])
    assert ran.exit_code == 0, ran.output
    assert "zaremba2014" in ran.output


def test_a_file_without_the_profile_is_noted(store: Store):
    """The store's word counts for a profile that the file has no more."""
    put(Path("mine.toml"), profile="full")
    [report] = build(Path("results"), "mine.toml")
    assert "has no profile 'quick' by now" in report.text
    assert "none" in report.text


def test_what_has_not_run_yet_is_noted(store: Store):
    """A baseline and a placement that the file has and the store lacks are named."""
    more = f'{ALL}, {{name = "gal2016"}}'
    put(Path("mine.toml"), baseline="gal2016 .5", strategies=more)
    [report] = build(Path("results"), "mine.toml")
    assert "'gal2016 .5' of the study file has not run yet" in report.text
    assert "No trial of the baseline, gal2016 .5, has finished here yet" in report.text


def test_the_file_moves_no_result(store: Store):
    """Asking changes nothing that is stored."""
    before = {path: path.read_bytes() for path in store.folder.glob("*.parquet")}
    put(Path("mine.toml"), baseline="zaremba2014 .5")
    build(Path("results"), "mine.toml")
    assert {path: path.read_bytes() for path in store.folder.glob("*.parquet")} == before


def test_a_parameter_that_came_since_the_trial_does_not_hide_it(write: Write, tmp_path: Path):
    """Stored without it, a point is the one at which it has its default."""
    points = (Point("none"), Point("recurrent", {"rate": 0.25, "sharing": "window"}, 130, 215))
    store = write(tmp_path / "results", study="mine", seeds=3, points=points)
    rows = store.cells().to_pylist()
    for stored in ('{"rate":0.25,"sharing":"window"}', '{"sharing":"window","rate":0.25}'):
        older = [row if row["label"] == "none" else row | {"arguments": stored} for row in rows]
        # Beside a row of today, as where another net was tried since.
        store.write_cells([*older[:-1], rows[-1]])
        cells = read_cells(store)
        assert cells["label"].nunique() == 2
        assert cells["arguments"].nunique() == 2
        strategies = '{name = "none"}, {name = "recurrent", rate = 0.25, sharing = "window"}'
        asked = asked_of(store, str(put(tmp_path / "mine.toml", strategies=strategies)))
        assert asked.of(cells)["asked"].all()
    asked = asked_of(store, str(put(tmp_path / "mine.toml", strategies='{name = "none"}')))
    assert asked.of(cells)["asked"].tolist() == [name == "none" for name in cells["strategy"]]
