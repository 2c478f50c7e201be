"""The ablation table: what it shows by the number of seeds, in every form."""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from read_stores import combinations_of
from written_stores import QUICK, Point

from ablate.errors import AblateError, UnknownName
from ablate.report.combination import Combination
from ablate.report.escape import tex
from ablate.report.exports import files_of
from ablate.report.findings import findings
from ablate.report.numbers import (
    MINUS,
    PLUS_MINUS,
    nats,
    p_value,
    perplexity,
    rate,
    signed,
)
from ablate.report.table import Table, make_table
from ablate.store import Store

Write = Callable[..., Store]


def written(table: Table) -> Mapping[str, str]:
    """What stands in the table's files, with its own caption."""
    return files_of(table, caption=table.caption, label="study")


def combination(folder: Path) -> Combination:
    [part] = combinations_of(folder)
    return part


@pytest.fixture(scope="module")
def two(two_seeds: Path) -> Table:
    return make_table(combination(two_seeds))


@pytest.fixture(scope="module")
def three(three_seeds: Path) -> Table:
    return make_table(combination(three_seeds))


def entry(table: Table, label: str, head: str) -> str:
    row = table.rows["label"].tolist().index(label)
    column = [column.head for column in table.columns].index(head)
    return table.entries[row][column].whole


def test_two_seeds_show_both_values(two: Table):
    """With two seeds an entry is a mean and both values, and there is no p."""
    values = two.rows.set_index("label").loc["locked .5", "valid_ppl_values"]
    first, second = values
    expected = f"{(first + second) / 2:.1f} ({first:.1f}, {second:.1f})"
    assert entry(two, "locked .5", "valid") == expected
    assert "p" not in [column.head for column in two.columns]


def test_three_seeds_show_an_interval(three: Table):
    """With three seeds an entry is a mean and half its t interval."""
    row = three.rows.set_index("label").loc["locked .5"]
    half = (row["valid_ppl_high"] - row["valid_ppl_low"]) / 2
    assert entry(three, "locked .5", "valid") == f"{row['valid_ppl']:.1f} {PLUS_MINUS} {half:.1f}"
    assert entry(three, "locked .5", "better") == "3 of 3"
    assert entry(three, "locked .5", "valid difference").startswith(MINUS)
    assert entry(three, "locked .5", "p").startswith((".", "<"))


def test_one_seed_shows_the_value_alone(write: Write, tmp_path: Path):
    """With one seed an entry is the value, and the difference too."""
    write(tmp_path, seeds=1, points=QUICK[:5])
    table = make_table(combination(tmp_path))
    row = table.rows.set_index("label").loc["locked .5"]
    assert entry(table, "locked .5", "valid") == f"{row['valid_ppl']:.1f}"
    assert entry(table, "locked .5", "better") == "1 of 1"
    assert "**" not in written(table)["md"]


def test_lost_trials_are_counted(three: Table):
    """Diverged, failed and missing trials have columns of their own beside n."""
    rows = three.rows.set_index("label")[["n", "diverged", "failed", "missing"]]
    assert rows.loc["naive .25"].tolist() == [2, 1, 0, 0]
    assert rows.loc["zaremba2014 .75"].tolist() == [2, 0, 1, 0]
    assert rows.loc["gal2016 .5"].tolist() == [2, 0, 0, 1]
    assert entry(three, "naive .25", "diverged") == "1"


def test_rate_is_the_dial(two: Table):
    """The rate stands in a column of its own, not in the name."""
    assert entry(two, "recurrent window .25", "placement") == "recurrent window"
    assert entry(two, "recurrent window .25", "rate") == ".25"
    assert entry(two, "none", "rate") == "\N{EN DASH}"


def test_the_baseline_is_not_compared_with_itself(two: Table):
    """The baseline's own difference is blank."""
    assert two.baseline == "zaremba2014 .5"
    assert entry(two, "zaremba2014 .5", "valid difference") == "\N{EN DASH}"


def test_no_baseline_no_columns(write: Write, tmp_path: Path):
    """A study without a baseline has no columns of differences."""
    write(tmp_path, baseline="something else", points=QUICK[:3])
    table = make_table(combination(tmp_path))
    assert table.baseline is None
    heads = {column.head for column in table.columns}
    assert heads.isdisjoint({"valid difference", "better", "p"})
    assert "difference" not in table.text()
    lines = findings(combination(tmp_path), table)
    assert not any("Against" in line for line in lines)
    assert lines[-1].startswith('No baseline: name one in the study file (baseline = "none")')


def test_csv_has_every_number_in_full(three: Table):
    """The CSV reads back as the numbers themselves."""
    frame = pd.read_csv(io.StringIO(three.csv())).set_index("label")
    expected = three.rows.set_index("label")
    for column in ("valid_ppl", "gap", "gap_running", "valid_difference", "test_p_holm"):
        assert frame[column].tolist() == pytest.approx(expected[column].tolist(), nan_ok=True)
    values = [float(value) for value in frame.loc["none", "valid_ppl_values"].split()]
    assert tuple(values) == expected.loc["none", "valid_ppl_values"]


def test_markdown_is_a_table(two: Table):
    """Every row has as many entries as the head; two seeds make nothing bold.

    What is decided stands above it, and the caption below.
    """
    above, _, *lines, _, below = written(two)["md"].splitlines()
    assert above == two.verdict.replace("_", r"\_")
    assert below.startswith("Test is shown of what validation chose within a sweep")
    assert len(lines) == 16
    assert len({line.count("|") for line in lines}) == 1
    assert lines[0].startswith("| placement | rate (dial) | n (seeds) | train (ppl) |")
    assert "**" not in written(two)["md"]


def test_test_is_shown_of_what_validation_chose(three: Table):
    """In a sweep of three the lowest validation, and the baseline; the file has every number."""
    shown = three.rows.set_index("label")["test_shown"]
    sweep = three.rows[three.rows["strategy"] == "zaremba2014"].set_index("label")
    chosen = sweep["valid_ppl"].idxmin()
    for label in sweep.index:
        expected = label in (chosen, three.baseline)
        assert shown[label] == expected
        assert (entry(three, label, "test") != "\N{EN DASH}") == expected
    assert three.rows["test_ppl"].notna().all()
    assert three.hides_test
    assert three.caption.startswith("Test is shown of what validation chose within a sweep")


def test_all_tests_are_shown_where_asked(three_seeds: Path):
    """`--show-test all`: every finished row has its test, and no word is said of it."""
    table = make_table(combination(three_seeds), show_test=True)
    assert table.rows["test_shown"].all()
    assert not table.hides_test
    assert "Test is shown" not in table.caption


def test_latex_has_the_columns_that_are_named(three: Table):
    """By head or title, in that order; a head of two columns is both."""
    names = ("placement", "gap", "p", "train (ppl)")
    texts = files_of(three, caption="", label="study", printed=names)
    heads, units = texts["tex"].split("\\toprule\n")[1].split("\\midrule")[0].splitlines()
    assert heads == "placement & gap & p & p & train \\\\"
    assert units == " & nats & Holm & paired t & ppl \\\\"
    assert texts["md"] == written(three)["md"].replace(f"\n{three.caption}\n", "")


@pytest.mark.parametrize("name", ["vaild", "", "pairs"])
def test_a_column_that_the_table_lacks_is_refused(three: Table, name: str, refused: Any):
    """The sentence names those that there are; what the terminal alone has is none of them."""
    with refused(UnknownName, given=name):
        files_of(three, caption="", label="study", printed=("placement", name))


@pytest.mark.parametrize(
    "names", [("gap", "gap"), ("gap", "gap (nats)"), ("p", "p (Holm)"), ("p (paired t)", "p")]
)
def test_a_column_that_is_named_twice_is_refused(
    three: Table, names: tuple[str, ...], refused: Any
):
    """By whichever of its names."""
    with refused(AblateError, given=names[1]):
        files_of(three, caption="", label="study", printed=("placement", *names))


def test_a_test_that_there_is_not_is_not_hidden(write: Write, tmp_path: Path):
    """Where nothing finished but the baseline, no option shows more."""
    lost = tuple((point, seed) for point in (1, 2) for seed in (1, 2))
    for folder, ended in (("diverged", {"diverged": lost}), ("failed", {"failed": lost})):
        write(tmp_path / folder, points=QUICK[:3], **ended)
        table = make_table(combination(tmp_path / folder))
        assert not table.hides_test
        assert table.caption == ""


def test_bold_is_what_can_be_told_apart_from_all_others(write: Write, tmp_path: Path):
    """Three seeds of a placement far below the others: its perplexities are bold, in every file."""
    write(tmp_path, seeds=3, points=(Point("none"), Point("naive", {"rate": 0.25}, 100, 150)))
    table = make_table(combination(tmp_path))
    assert table.leading == {"valid_ppl", "test_ppl"}
    bold = [line for line in written(table)["md"].splitlines() if "**" in line]
    assert len(bold) == 1
    assert bold[0].startswith("| naive |")
    assert bold[0].count("**") == 4
    assert written(table)["tex"].count("\\textbf") == 2


def test_what_is_all_zero_has_no_column(two: Table, three: Table):
    """Diverged and failed are columns where a trial did, but for the CSV, which has all."""
    for table, lost in ((two, False), (three, True)):
        heads = [column.head for column in table.columns]
        assert ("diverged" in heads, "failed" in heads) == (lost, lost)
        assert ("diverged" in table.text(200)) == lost
        assert "diverged" in table.csv()


def test_the_probability_of_improvement_has_a_column_from_three_pairs_on(two: Table, three: Table):
    """Of fewer there is no interval."""
    assert "P(better)" not in [column.head for column in two.columns]
    assert "P(better)" in [column.head for column in three.columns]


def test_pairs_are_shown_where_they_differ_from_seeds(write: Write, tmp_path: Path, two: Table):
    """A baseline that lacks a seed leaves its partners unpaired, which the text says."""
    write(tmp_path, seeds=3, diverged=((0, 2),), points=QUICK[:3])
    table = make_table(combination(tmp_path))
    assert entry(table, "zaremba2014 .5", "pairs") == "2"
    assert entry(table, "zaremba2014 .5", "n") == "3"
    assert "pairs" in table.text(100).splitlines()[0]
    assert "pairs" not in [column.head for column in two.columns]


def test_latex_is_escaped(two: Table):
    """Signs are LaTeX's own, and rows have as many entries as columns."""
    text = written(two)["tex"]
    assert f"\\caption{{{tex(two.verdict)} {tex(two.caption)}}}" in text
    text = text[text.index("\\begin{tabular}") :]
    assert text.startswith("\\begin{tabular}{lrrrrrr}\n\\toprule\n")
    assert text.endswith("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
    assert MINUS not in text
    assert "$-$6.1" in text
    assert all(line.count("&") == 6 for line in text.splitlines() if line.endswith("\\\\"))


@pytest.mark.parametrize("width", [200, 100, 80, 60])
def test_text_fits_the_terminal(width: int, three: Table):
    """No line is wider than the terminal, and every placement keeps its row."""
    text = three.text(width)
    assert max(map(len, text.splitlines())) <= max(width, 80)
    assert text.count("zaremba2014") == 3
    assert "valid" in text
    assert "diverged" in text


def test_wide_text_shows_both_values_and_narrow_text_the_mean(two: Table):
    """What a narrow terminal has no room for is left out, not cut."""
    assert "(" in two.text(140)
    assert "(" not in two.text(70)


def test_long_names_lose_their_middle_where_nothing_else_fits(two: Table):
    """A label of 80 characters fits a terminal of 80, and two of them stay two."""
    long = (
        two.rows["label"] + " with an argument of a name that nobody would want to read twice =.1"
    )
    rows = two.rows.assign(label=[f"{name}{number}" for number, name in enumerate(long)])
    table = Table(rows, two.baseline)
    text = table.text(80)
    assert max(map(len, text.splitlines())) <= 80
    names = [line.split(".")[0] for line in text.splitlines()[3:]]
    assert all("\N{HORIZONTAL ELLIPSIS}" in name for name in names)
    assert len(text.splitlines()) == 3 + len(rows)


def test_one_placement_alone_misses_no_baseline(write: Write, tmp_path: Path):
    """A study of one placement, as a published net's, asks for no comparison."""
    write(tmp_path, baseline="something else", points=QUICK[:1])
    part = combination(tmp_path)
    table = make_table(part)
    assert not any("baseline" in line for line in findings(part, table))
    assert table.leading == frozenset()


def test_findings_of_two_seeds_claim_nothing(two_seeds: Path):
    """The first sentence says that nothing can be told; no lowest value is named."""
    part = combination(two_seeds)
    few = findings(part, make_table(part))
    assert "no difference to zaremba2014 .5 here can be told from noise" in few[0]
    assert not any("No baseline" in line or "Lowest" in line for line in few)
    assert "better in 2 of 2 pairs" in few[2]


def test_findings_of_one_seed_say_that_it_shows_nothing(write: Write, tmp_path: Path):
    """One pair is no count of better and worse."""
    write(tmp_path, seeds=1, points=QUICK[:3])
    part = combination(tmp_path)
    said = findings(part, make_table(part))
    assert said[0].startswith("One seed shows nothing")
    assert not any("better" in line or "worse" in line or "Lowest" in line for line in said)


def test_findings_name_what_differs_beyond_noise(three_seeds: Path):
    """Counts after Holm come first; then the lowest, where it is below the baseline, and rivals."""
    part = combination(three_seeds)
    table = make_table(part)
    said = findings(part, table)
    significant = table.rows[table.rows["valid_p_holm"] < 0.05]
    tested = int(table.rows["valid_p_holm"].notna().sum())
    decided = f"Decided at 3 seeds for {len(significant)} of {tested} placements, by validation"
    assert said[0].startswith(decided)
    assert said[0] == table.verdict
    assert "Holm" in said[0]
    assert said[0].endswith("Nothing is left undecided.")
    assert said[1].startswith("Lowest validation perplexity: merity2017 .4, ")
    assert "not told apart from" in said[1]
    assert any("better in 3 of 3 pairs" in line for line in said)
    assert any("variance of a paired difference" in line for line in said)
    assert said[-1] == "2 diverged and 1 failed: counted in the table, in no mean."


def test_findings_name_what_was_lower_before_the_last_epoch(three_seeds: Path):
    """Mean of each seed's lowest, largest rise first; a rise of one in a hundred is none."""
    part = combination(three_seeds)
    (said,) = (line for line in findings(part, make_table(part)) if "was lower before" in line)
    done = part.trials[part.trials["status"] == "ok"]
    lowest = np.exp(done["valid_nll_best"]).groupby(done["label"]).mean()
    rise = done["valid_ppl"].groupby(done["label"]).mean() / lowest
    names = rise[rise > 1.01].sort_values(ascending=False).index
    assert 0 < len(names) < len(rise)
    named = said.partition("by more than 1 %: ")[2]
    assert named.startswith(f"{names[0]} ({perplexity(lowest[names[0]])} after epoch")
    assert all((f"{name} (" in named) == (name in names[:5]) for name in rise.index)


def test_findings_name_no_lowest_where_nothing_differs(write: Write, tmp_path: Path):
    """Three seeds within each other's noise: a sentence that says so, and no bold."""
    points = (Point("none"), Point("naive", {"rate": 0.25}, 100, 219.5))
    write(tmp_path, seeds=3, points=points)
    part = combination(tmp_path)
    table = make_table(part)
    said = findings(part, table)
    assert said[0].startswith("Nothing is decided at 3 seeds: no placement differs from none")
    assert any(line.startswith("Seeds that would decide the rest") for line in said)
    assert not any("Lowest" in line for line in said)
    assert not table.leading


def test_equal_trials_are_equal(write: Write, tmp_path: Path):
    """A placement whose every number is the baseline's is neither better nor worse, at one seed and
    at three."""
    for seeds in (1, 3):
        results = tmp_path / str(seeds)
        write(results, seeds=seeds, points=(Point("none"), Point("interlayer", {"rate": 0.5})))
        part = combination(results)
        values = part.trials[part.trials["label"] == "none"].set_index("seed")
        same = part.trials["seed"].map(values["valid_ppl"])
        part = replace(part, trials=part.trials.assign(valid_ppl=same))
        table = make_table(part)
        said = findings(part, table)
        assert any(f"1 equal in {seeds} of {seeds} pair" in line for line in said)
        assert not any("better" in line or "worse" in line for line in said)
        assert entry(table, "interlayer .5", "better") == f"0 of {seeds}, {seeds} equal"


def test_another_name_of_the_baselines_trials_is_called_so(write: Write, tmp_path: Path):
    """A name under which the baseline's very cells are known is compared with nothing."""
    store = write(tmp_path, seeds=3, points=QUICK[:2])
    rows = [row for row in store.cells().to_pylist() if row["label"] == "none"]
    other = {"strategy": "interlayer", "arguments": '{"rate":0.5}', "label": "interlayer .5"}
    store.write_cells([row | other | {"position": 9, "baseline": False} for row in rows])
    part = combination(tmp_path)
    table = make_table(part)
    said = findings(part, table)
    assert any(line.startswith("interlayer .5 has the same cells as none") for line in said)
    assert entry(table, "interlayer .5", "valid difference") == "\N{EN DASH}"
    assert said[0].startswith("Decided at 3 seeds for 1 of 1 placement, ")
    assert said[0].endswith("Nothing is left undecided.")


UNKNOWN = {
    "valid_unknown": 906, "test_unknown": 0, "valid_targets": 7_376,
    "valid_known_nll_last": math.log(138.0), "valid_known_nll_best": math.log(138.0),
}  # fmt: skip


def test_unknown_words_are_counted_beside_the_headline(write: Write, tmp_path: Path):
    """Count, share and perplexity over known words, in every form; only of the split with some."""
    write(tmp_path, seeds=2, points=QUICK[:3], also=UNKNOWN)
    table = make_table(combination(tmp_path))
    heads = [column.head for column in table.columns]
    assert heads[heads.index("valid") + 1] == "known valid"
    assert "known test" not in heads
    assert entry(table, "none", "known valid") == "138.0 (138.0, 138.0)"
    words = "906 of 7,376 validation targets (12 %) are words that the training vocabulary lacks"
    assert words in table.caption
    assert words in written(table)["md"]
    assert tex(words) in written(table)["tex"]
    assert "valid_known_ppl" in table.csv().splitlines()[0]


def test_nobody_counted_unknown_words(two: Table):
    """A store from before they were counted says nothing of them."""
    assert "targets" not in two.caption
    assert not [column.head for column in two.columns if "known" in column.head]


def test_numbers_as_written():
    """Digits, signs and units of every kind of number."""
    assert [perplexity(216.04), perplexity(12345.6), perplexity(float("nan"))] == [
        "216.0", "12,346", "\N{EN DASH}",
    ]  # fmt: skip
    assert [perplexity(math.exp(50)), perplexity(math.inf)] == ["5.2e21", "inf"]
    assert [signed(-math.inf), nats(math.inf)] == [f"{MINUS}inf", "inf"]
    assert [nats(1.2344), nats(-0.5)] == ["1.234", f"{MINUS}0.500"]
    assert [nats(zero) for zero in (0.0, -0.0, -1e-9, -0.0004999)] == ["0.000"] * 4
    assert [nats(-0.000501), nats(-math.inf)] == [f"{MINUS}0.001", f"{MINUS}inf"]
    assert [signed(1.26), signed(-1.26), signed(-0.04)] == ["+1.3", f"{MINUS}1.3", "0.0"]
    assert [rate(0.5), rate(0.0), rate(None)] == [".5", "0", "\N{EN DASH}"]
    assert [p_value(0.0004), p_value(0.0312), p_value(1.0)] == ["< .001", ".031", "1.000"]
