"""The ablation table: what it shows by the number of seeds, in every form."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ablate.report.combination import Combination, split
from ablate.report.findings import findings
from ablate.report.frame import open_store, read_cells, read_epochs, read_trials
from ablate.report.numbers import (
    MINUS,
    PLUS_MINUS,
    duration,
    nats,
    p_value,
    perplexity,
    rate,
    signed,
)
from ablate.report.table import Table, make_table
from ablate.store import Store


def combination(folder: Path) -> Combination:
    store = open_store("placement", None, folder)
    [part] = split(read_trials(store), read_epochs(store), read_cells(store))
    return part


@pytest.fixture
def two(two_seeds: Path) -> Table:
    return make_table(combination(two_seeds))


@pytest.fixture
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


def test_one_seed_shows_the_value_alone(write: Callable[..., Store], tmp_path: Path):
    """With one seed an entry is the value, and the difference too."""
    write(tmp_path, seeds=1)
    table = make_table(combination(tmp_path))
    row = table.rows.set_index("label").loc["locked .5"]
    assert entry(table, "locked .5", "valid") == f"{row['valid_ppl']:.1f}"
    assert entry(table, "locked .5", "better") == "1 of 1"


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


def test_no_baseline_no_columns(write: Callable[..., Store], tmp_path: Path):
    """A study without a baseline has no columns of differences."""
    write(tmp_path, baseline="something else")
    table = make_table(combination(tmp_path))
    assert table.baseline is None
    heads = {column.head for column in table.columns}
    assert heads.isdisjoint({"valid difference", "better", "p"})
    assert "difference" not in table.text()
    lines = findings(combination(tmp_path), table)
    assert not any("Against" in line for line in lines)
    assert lines[-1] == (
        'No baseline: name one in the study file (baseline = "none") and run once more, with it '
        "among the strategies, for paired differences."
    )


def test_csv_has_every_number_in_full(three: Table):
    """The CSV reads back as the numbers themselves."""
    frame = pd.read_csv(io.StringIO(three.csv())).set_index("label")
    expected = three.rows.set_index("label")
    for column in ("valid_ppl", "gap", "gap_running", "valid_difference", "test_p_holm"):
        assert frame[column].tolist() == pytest.approx(expected[column].tolist(), nan_ok=True)
    values = [float(value) for value in frame.loc["none", "valid_ppl_values"].split()]
    assert tuple(values) == expected.loc["none", "valid_ppl_values"]


def test_markdown_is_a_table(two: Table):
    """Every row has as many entries as the head; the lowest perplexity is bold."""
    lines = two.markdown().splitlines()
    assert len(lines) == 16
    assert len({line.count("|") for line in lines}) == 1
    assert lines[0].startswith("| placement | rate (dial) | n (seeds) | diverged |")
    assert [line for line in lines if "**" in line] == [
        line for line in lines if "merity2017" in line
    ]


def test_latex_is_escaped(two: Table):
    """Signs are LaTeX's own, and rows have as many entries as columns."""
    text = two.latex()
    assert text.startswith("\\begin{tabular}{lrrrrrrrrrrr}\n\\toprule\n")
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")
    assert MINUS not in text
    assert "$-$6.1" in text
    assert all(line.count("&") == 11 for line in text.splitlines() if line.endswith("\\\\"))


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


def test_findings_claim_no_more_than_the_seeds_allow(two_seeds: Path, three_seeds: Path):
    """Two seeds come with a warning; lost trials and what pairing bought are said."""
    part = combination(two_seeds)
    few = findings(part, make_table(part))
    assert not any("No baseline" in line for line in few)
    assert few[0].endswith(
        "Fewer than three seeds give no interval: read small differences as noise."
    )
    assert few[1].startswith("Lowest validation perplexity: merity2017 .4, ")
    assert "Against zaremba2014 .5, paired by seed" in few[2]
    part = combination(three_seeds)
    more = findings(part, make_table(part))
    assert "variance of a paired difference" in more[3]
    assert more[-1] == "2 diverged and 1 failed: counted in the table, in no mean."


def test_numbers_as_written():
    """Digits, signs and units of every kind of number."""
    assert [perplexity(216.04), perplexity(12345.6), perplexity(float("nan"))] == [
        "216.0", "12,346", "\N{EN DASH}",
    ]  # fmt: skip
    assert [nats(1.2344), nats(-0.5)] == ["1.234", f"{MINUS}0.500"]
    assert [signed(1.26), signed(-1.26), signed(-0.04)] == ["+1.3", f"{MINUS}1.3", "0.0"]
    assert [rate(0.5), rate(0.0), rate(None)] == [".5", "0", "\N{EN DASH}"]
    assert [p_value(0.0004), p_value(0.0312), p_value(1.0)] == ["< .001", ".031", "1.000"]
    assert [duration(66), duration(3000), duration(8000)] == ["66 s", "50 min", "2 h 13 min"]
