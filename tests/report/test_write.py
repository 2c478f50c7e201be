"""`ablate report`: the files that it writes, the page, and what it says of what is missing."""

import base64
import hashlib
import html
import re
import warnings
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from earlier_stores import make_first_version
from written_stores import Point

from ablate.errors import AblateError, AblateWarning
from ablate.report import Report, build
from ablate.report.inline import inline
from ablate.report.numbers import NOTHING
from ablate.report.page import linked_files
from ablate.store import Store

Write = Callable[..., Store]


class Page(HTMLParser):
    """A page's tags with their attributes, and its text by tag."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def report(three_seeds: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "100")
        [report] = build(three_seeds)
    return report


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report.page)


def test_files(report: Report, three_seeds: Path):
    """Page, tables and figures lie beside the store."""
    folder = three_seeds / "placement" / "quick" / "report"
    assert report.page == folder / "index.html"
    assert (report.study, report.profile) == ("placement", "quick")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    figures = (
        "gap-against-perplexity", "gap-by-placement", "learning-curves", "paired-differences",
        "perplexity-by-dial",
    )  # fmt: skip
    assert names == [
        *(f"figures/{name}.{suffix}" for name in figures for suffix in ("csv", "png", "svg")),
        "index.html",
        "table.csv",
        "table.md",
        "table.tex",
    ]


def test_text_is_the_terminals_table(report: Report):
    """The report's text has heading, table and findings, within the terminal's width."""
    lines = report.text.splitlines()
    assert lines[0].startswith("placement (quick): ptb-tenth, LSTM 2 ")
    assert lines[0].endswith("fp32, last epoch")
    table = [line for line in lines if line.startswith(("none ", "merity2017 "))]
    assert len(table) == 2
    assert max(map(len, table)) <= 100


def test_the_page_needs_nothing_else(page: Page):
    """One script, which stands in it; no address outside the report's folder."""
    assert page.all("script") == [{}]
    assert not page.all("link")
    assert not re.search(r"@import|url\((?!#)", page.text)
    addresses = [tag[key] or "" for _, tag in page.tags for key in ("href", "src") if key in tag]
    assert len(addresses) > 8
    assert not [address for address in addresses if "//" in address]


def test_nothing_runs_but_the_pages_own_script(page: Page):
    """The page's policy forbids requests, and every script but that of the digest it names."""
    [policy] = [tag["content"] or "" for tag in page.all("meta") if "http-equiv" in tag]
    script = page.text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.split("; ")[0] == "default-src 'none'"
    assert policy.split("; ")[-1] == f"script-src 'sha256-{digest}'"


def test_contents_lead_to_each_part(page: Page):
    """Table, figures, placements, provenance and the words to read them by, in their order."""
    contents = page.text.split('<nav class="contents"')[1].split("</nav>")[0]
    assert re.findall(r'href="#([a-z0-9-]+)"', contents) == [
        "part-1", "table-1", *(f"figure-1-{number}" for number in range(1, 6)), "placements-1",
        "provenance-1", "reading",
    ]  # fmt: skip


def test_the_caption_says_what_was_measured(report: Report, page: Page):
    """Seeds, interval, comparisons and what validation chose; beside the table and in its files."""
    words = (
        "mean over 2 to 3 seeds a placement with its 95 % Student-t interval",
        "Differences are to none, paired by seed",
        "Within each sweep of a rate, validation chose zaremba2014 .5, recurrent .5",
    )
    markdown = (report.page.parent / "table.md").read_text(encoding="utf-8")
    for sentence in words:
        assert sentence in page.text
        assert sentence in markdown
    assert "Corpus ptb-tenth" in markdown


def test_latex_is_a_whole_table(report: Report):
    """Caption, label and two lines of heads; what a page of a paper has no room for is left out."""
    text = (report.page.parent / "table.tex").read_text(encoding="utf-8")
    assert text.startswith("% \\usepackage{booktabs}\n\\begin{table}[t]\n")
    assert text.endswith("\\end{tabular}\n\\end{table}\n")
    assert "\\caption{Decided at " in text
    assert "Perplexity per word, mean over 2 to 3 seeds" in text
    assert "\\label{tab:placement-quick}" in text
    heads, units = text.split("\\toprule\n")[1].split("\\midrule")[0].splitlines()
    assert heads.startswith("placement & rate & n & ")
    assert units.startswith(" & dial & seeds & ")
    assert "train" not in heads


def test_every_link_leads_somewhere(page: Page, three_seeds: Path):
    """Links within the page and to the files beside it are not broken."""
    folder = three_seeds / "placement" / "quick" / "report"
    ids = {tag["id"] for _, tag in page.tags if "id" in tag}
    for link in page.all("a"):
        address = link["href"] or ""
        assert address[1:] in ids if address.startswith("#") else (folder / address).is_file()
    assert len([link for link in page.all("a") if "download" in link]) == 3 + 3 * 5


def test_ids_are_unique(page: Page):
    """The figures of one page share no id, and each reference finds its own."""
    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    references = re.findall(r'(?:xlink:href="|url\()#([^")]+)', page.text)
    assert set(references) <= set(ids)
    assert len(page.all("figure")) == 5


def test_figures_follow_the_pages_colours(page: Page):
    """Ink, paper and the kinds are the page's variables, so that a dark page has dark figures."""
    figures = page.text[page.text.index("<figure ") :]
    for name, colour in (("paper", "#ffffff"), ("ink", "#1f2328"), ("between", "#0072b2")):
        assert f"var(--{name}, {colour})" in figures
    assert "prefers-color-scheme: dark" in page.text


def test_what_did_not_finish_is_named(page: Page):
    """Diverged, failed and missing trials are named, with reasons."""
    assert "naive .25, seed 2 in epoch 4" in page.text
    assert "zaremba2014 .75, seed 1: worker died (signal 9)" in page.text
    assert "gal2016 .5 (seed 3)" in page.text


def test_question_and_provenance(page: Page):
    """The page has the study's question, versions, machine, digest, seeds and engine path."""
    assert "how should dropout be placed in a recurrent network?" in page.text
    for words in ("2.13.0", "Example CPU", "looped", "5f0c5f0c", "<dd>1, 2, 3</dd>", "41 min"):
        assert words in page.text


@pytest.mark.usefixtures("without_figures")
def test_test_is_shown_of_what_validation_chose(write_few: Write, tmp_path: Path):
    """Of the lower rate of a sweep only where it is asked for; in page and files."""
    write_few(tmp_path, seeds=3)
    shown = []
    for asked in (False, True):
        [report] = build(tmp_path, show_test=asked)
        lines = (report.page.parent / "table.md").read_text(encoding="utf-8").splitlines()
        [row] = [line.split(" | ") for line in lines if line.startswith("| zaremba2014 | .25")]
        [heads] = [line.split(" | ") for line in lines if line.startswith("| placement")]
        shown.append(row[heads.index("test (ppl)")] != NOTHING)
    assert shown == [False, True]


@pytest.mark.usefixtures("without_figures")
def test_the_columns_of_latex_are_those_that_are_copied(write_few: Write, tmp_path: Path):
    """What the page has to copy is the file."""
    write_few(tmp_path, seeds=3)
    for columns in ((), ("placement", "gap")):
        [report] = build(tmp_path, latex_columns=columns)
        latex = (report.page.parent / "table.tex").read_text(encoding="utf-8")
        assert latex in html.unescape(report.page.read_text(encoding="utf-8"))
    assert "\nplacement & gap \\\\\n" in latex


@pytest.mark.usefixtures("without_figures")
def test_trials_that_have_not_run_are_counted_and_not_their_names(write: Write, tmp_path: Path):
    """One trial of two names is one trial."""
    rate = {"rate": 0.25}
    points = (Point("none"), Point("moon2015", rate), Point("cell", {"sharing": "window", **rate}))
    write(tmp_path, points=points, seeds=2, pending=((1, 2), (2, 2)))
    [report] = build(tmp_path)
    assert "\n1 trial has not run yet; the page names it." in report.text
    write(tmp_path, points=points, seeds=3, pending=((1, 2), (2, 2), (0, 3), (1, 3), (2, 3)))
    [report] = build(tmp_path)
    assert "\n3 trials have not run yet; the page names them." in report.text


@pytest.mark.usefixtures("without_figures")
def test_the_page_names_a_placements_schedule(write_scheduled: Write, tmp_path: Path):
    """Below its drops, in words of its own."""
    write_scheduled(tmp_path, seeds=1)
    [report] = build(tmp_path)
    page = report.page.read_text()
    assert "ZERO;BERNOULLI;TRAIN)</code><code>rates by the schedule CURRICULUM</code>" in page


@pytest.mark.usefixtures("without_figures")
def test_a_study_may_be_named_by_its_file(write_few: Write, tmp_path: Path):
    """As in `ablate run`: the results have the name of the file."""
    results = write_few(tmp_path, study="mine", seeds=2).folder.parents[1]
    [report] = build(results, "studies/mine.toml")
    assert report.study == "mine"


@pytest.mark.usefixtures("without_figures")
def test_an_older_store_is_reported(write_few: Write, tmp_path: Path):
    """What an earlier ablate measured is shown as it always was, and names no plugin."""
    [before] = build(write_few(tmp_path, study="old", seeds=2).folder.parents[1])
    make_first_version(tmp_path / "old")
    [report] = build(tmp_path)
    assert report.text == before.text
    assert "<dt>plugins</dt>" not in report.page.read_text()


@pytest.mark.usefixtures("without_figures")
def test_a_study_whose_plugin_is_gone_is_reported(
    write_few: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The store has the names and the page the plugin's; its code is not needed, nor loaded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "own.toml").write_text(
        'question = "Does mine help?"\nplugins = ["gone.py"]\n'
    )
    write_few(tmp_path, study="own", seeds=1)
    for path in (tmp_path / "own" / "quick" / "trials").iterdir():
        table = pq.read_table(path)
        column = table.schema.get_field_index("plugin")
        plugin = pa.array(["mine.py 1a2b3c4d"] * len(table), pa.string())
        pq.write_table(table.set_column(column, "plugin", plugin), path, write_page_checksum=True)
    [report] = build(tmp_path)
    page = report.page.read_text()
    assert "Does mine help?" in page
    assert "<dt>plugins</dt><dd>mine.py 1a2b3c4d</dd>" in page


@pytest.mark.usefixtures("without_figures")
def test_a_study_without_a_file_has_no_question(write_few: Write, tmp_path: Path):
    """Results of a study whose file is gone are reported all the same."""
    store = write_few(tmp_path, study="gone", seeds=1)
    [report] = build(tmp_path)
    assert report.study == store.study == "gone"
    assert '<p class="question">' not in report.page.read_text()


@pytest.mark.usefixtures("squares_for_figures")
def test_combinations_are_never_mixed(two_combinations: Path):
    """Two nets are two sections, two tables and two sets of figures."""
    [report] = build(two_combinations)
    folder = report.page.parent
    small = pd.read_csv(folder / "ptb-tenth-2x200-fp32-table.csv")
    large = pd.read_csv(folder / "ptb-tenth-2x650-fp32-table.csv")
    assert small["n"].tolist() == [2, 2, 2]
    assert large["n"].tolist() == [1, 1, 1]
    page = Page(report.page)
    assert len([tag for tag in page.all("table") if tag.get("class") == "ablation"]) == 2
    assert len(list((folder / "figures").glob("*.svg"))) == 10
    assert report.text.count("finished trials: 3 placements") == 2


@pytest.mark.usefixtures("without_figures")
def test_a_combination_that_has_not_begun_is_named(write_few: Write, tmp_path: Path):
    """Cells of another recipe that never ran are listed, without a table."""
    write_few(tmp_path, seeds=1)
    every = tuple((point, 1) for point in range(3))
    write_few(tmp_path, seeds=1, precision="bf16", pending=every)
    page = Page(build(tmp_path)[0].page)
    assert "<h2>Not begun</h2>" in page.text
    assert len([tag for tag in page.all("table") if tag.get("class") == "ablation"]) == 1


def test_names_that_look_like_a_colour_or_an_id_stay_text():
    """The page's colours and ids are those of tags; what a name holds is left alone."""
    drawn = '<g id="a" style="fill: #0072b2"><text>#0072b2 id="a" url(#a)</text></g>'
    text = inline(f'<svg width="1">{drawn}</svg>', name="mine", title="A figure")
    assert '<g id="mine-a" style="fill: var(--between, #0072b2)">' in text
    assert '<text>#0072b2 id="a" url(#a)</text>' in text


@pytest.mark.usefixtures("without_figures")
def test_errors_are_escaped(write_few: Write, tmp_path: Path):
    """An error text is text on the page, whatever it holds."""
    store = write_few(tmp_path, seeds=1, pending=((0, 1),))
    row = store.trials().to_pylist()[0]
    cell = next(cell for cell in store.cells().to_pylist() if cell["label"] == "none")
    lost = row | {"key": cell["key"], "status": "failed", "error": "<script>alert(1)</script>"}
    store.write_failure(lost)
    page = Page(build(tmp_path)[0].page)
    assert page.all("script") == [{}]
    assert "&lt;script&gt;" in page.text


@pytest.mark.usefixtures("squares_for_figures")
def test_again_leaves_nothing_stale(write_few: Write, tmp_path: Path):
    """A second report has no file of the first one's combinations, and touches no other file."""
    write_few(tmp_path, seeds=1)
    folder = build(tmp_path)[0].page.parent
    (folder / "notes.txt").write_text("mine")
    write_few(tmp_path, seeds=1, precision="bf16")
    build(tmp_path)
    tables = sorted(path.name for path in folder.glob("*.csv"))
    assert tables == ["ptb-tenth-2x200-bf16-table.csv", "ptb-tenth-2x200-fp32-table.csv"]
    assert len(list((folder / "figures").iterdir())) == 2 * 5 * 3
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("squares_for_figures")
def test_a_report_deletes_its_own_files_alone(write_few: Write, tmp_path: Path):
    """Whatever a reader keeps in the folder stays, whatever its name; only the report's own go."""
    write_few(tmp_path, seeds=1)
    folder = build(tmp_path)[0].page.parent
    own = {path for path in folder.rglob("*") if path.is_file()}
    mine = [folder / name for name in ("my-table.csv", "figures/mine.svg", "figures/mine.csv")]
    mine += [tmp_path / "outside.csv", folder / "figures" / "kept" / "table.csv"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    page = folder / "index.html"
    links = ("../../../../outside.csv", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/outside.csv", "..", "gone.csv")
    page.write_text(page.read_text() + "".join(f'<a href="{link}" download>' for link in links))
    write_few(tmp_path, seeds=1, precision="bf16")
    build(tmp_path)
    assert all(path.read_text() == "mine" for path in mine)
    assert {path for path in own if path.exists()} == {page}


def test_the_page_links_to_every_file_of_the_report(report: Report):
    """What the page offers is what was written: by that the next report knows its own files."""
    folder = report.page.parent
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert linked_files(report.page.read_text(encoding="utf-8")) == written - {"index.html"}


def test_equal_results_make_equal_reports(write_few: Write, tmp_path: Path):
    """The same store gives the same bytes: no clock and no random name is in a report."""
    write_few(tmp_path, seeds=1)
    files = [path for path in build(tmp_path)[0].page.parent.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    build(tmp_path)
    assert {path: path.read_bytes() for path in files} == before


@pytest.mark.usefixtures("without_figures")
def test_every_study_that_has_results(write_few: Write, tmp_path: Path, refused):
    """Without a name every study and profile is reported; one only begun is passed over."""
    every = tuple((point, 1) for point in range(3))
    write_few(tmp_path, seeds=1, study="a")
    write_few(tmp_path, seeds=1, study="b", profile="full")
    write_few(tmp_path, seeds=1, study="c", pending=every)
    assert [(r.study, r.profile) for r in build(tmp_path)] == [("a", "quick"), ("b", "full")]
    assert [r.study for r in build(tmp_path, "b")] == ["b"]
    assert [r.study for r in build(tmp_path, None, "full")] == ["b"]
    with refused(AblateError):
        build(tmp_path, "c")


def _nothing_under_todays_names(store: Store) -> None:
    """A strategy was edited: all trials are of its earlier version, and none of today's has run."""
    rows = store.cells().to_pylist()
    store.write_cells([row | {"key": f"{row['key']}-today"} for row in rows], earlier=rows)


def _no_names(store: Store) -> None:
    (store.folder / "cells.parquet").write_bytes(b"PAR1")


def _no_trials(store: Store) -> None:
    for path in (store.folder / "trials").iterdir():
        path.write_bytes(b"PAR1")


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(_nothing_under_todays_names, "has no finished trial", id="earlier"),
        pytest.param(_no_names, "1 damaged file", id="names"),
        pytest.param(_no_trials, "3 damaged file", id="trials"),
    ],
)
def test_one_store_does_not_stop_the_report_of_the_others(
    write_few: Write, tmp_path: Path, spoil: Callable[[Store], None], said: str
):
    """It is passed over, with a warning where it is damaged; asked for by name it is an error."""
    spoil(write_few(tmp_path, seeds=1, study="a"))
    write_few(tmp_path, seeds=1, study="b")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert [report.study for report in build(tmp_path)] == ["b"]
    told = [str(each.message) for each in warned if each.category is AblateWarning]
    assert [text.startswith(said) for text in told] == [True] * ("damaged" in said)
    with pytest.raises(AblateError, match=said):
        build(tmp_path, "a")


def test_nothing_to_report(tmp_path: Path, refused):
    """An empty results folder says what to run."""
    with refused(AblateError):
        build(tmp_path)


@pytest.mark.usefixtures("without_figures")
def test_a_folder_that_cannot_be_written(write_few: Write, tmp_path: Path, refused):
    """A file where the report's folder should be is one clear message."""
    store = write_few(tmp_path, seeds=1)
    (store.folder / "report").write_text("in the way")
    with refused(AblateError):
        build(tmp_path)


@pytest.mark.usefixtures("without_figures")
def test_damaged_files_are_noted(write_few: Write, tmp_path: Path):
    """A damaged file is a note on the page, and its trial is missing; nothing is moved."""
    store = write_few(tmp_path, seeds=1)
    path = sorted((store.folder / "trials").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-20])
    page = Page(build(tmp_path)[0].page)
    assert path.exists()
    assert 'class="note"' in page.text
    assert path.name in page.text
    assert "Not run yet" in page.text
    store.set_damage_aside()
    said = build(tmp_path)[0].text.splitlines()[-1]
    files = (f"bad/{table}/{path.name}" for table in ("epochs", "tokens", "trials"))
    assert said == f"damaged and set aside: {', '.join(files)}"


def test_report_needs_no_torch():
    """Reporting on a machine without the trainer's libraries stays possible, and quick."""
    import subprocess
    import sys

    code = "import sys, ablate.report; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
