"""The ablation table of one combination: as CSV, Markdown, LaTeX and terminal text.

CSV holds every number in full; the others are for reading. How an uncertain number is written is
the rule of `statistics`: a mean with its t interval from three seeds on, with both values at two.
"""

import io
from dataclasses import dataclass

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ablate.report.columns import Cell, Column, compared, counted, measured, named
from ablate.report.combination import Combination
from ablate.report.numbers import (
    MINUS,
    NOTHING,
    PLUS_MINUS,
    nats,
    p_value,
    perplexity,
    rate,
    signed,
)
from ablate.report.statistics import PLACEMENT, Differences, Summary, baseline_of

# Signs that LaTeX sets in mathematics, or reads as a command.
_TEX = {
    "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "<": "$<$",
    MINUS: "$-$", PLUS_MINUS: r"$\pm$", NOTHING: "--",
}  # fmt: skip

# What plain text shows in full, and what it leaves out, from the widest layout to the narrowest.
_LAYOUTS = (
    (frozenset({"train", "valid", "test", "gap", "valid difference"}), frozenset[str]()),
    (frozenset({"valid", "valid difference"}), frozenset[str]()),
    (frozenset({"valid difference"}), frozenset[str]()),
    (frozenset[str](), frozenset[str]()),
    (frozenset[str](), frozenset({"train"})),
    (frozenset[str](), frozenset({"train", "test"})),
)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One row a placement, in the order of the study file; `rows` has the numbers in full."""

    rows: pd.DataFrame
    baseline: str | None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns to read, left to right."""
        against = f"to {self.baseline}"
        diverged, failed = self._any("diverged"), self._any("failed")
        low_valid, low_test = self.rows["valid_ppl"].min(), self.rows["test_ppl"].min()
        columns = [
            Column("placement", "", named, left=True),
            Column("rate", "dial", lambda r: Cell(rate(r["dial_value"]))),
            Column("n", "seeds", lambda r: Cell(str(r["n"]))),
            Column("diverged", "", counted("diverged"), terminal=diverged),
            Column("failed", "", counted("failed"), terminal=failed, page=failed),
            Column("train", "ppl", measured("train_ppl", perplexity)),
            Column("valid", "ppl", measured("valid_ppl", perplexity, low_valid)),
            Column("test", "ppl", measured("test_ppl", perplexity, low_test)),
            Column("gap", "nats", measured("gap", nats)),
        ]
        if self.baseline:
            columns += [
                Column("valid difference", against, measured("valid_difference", signed)),
                Column(
                    "test difference", against, measured("test_difference", signed),
                    terminal=False, page=False,
                ),
                Column("better", "pairs", compared, terminal=False),
            ]  # fmt: skip
        if self.rows["valid_p_holm"].notna().any():
            holm = Column("p", "Holm", lambda r: Cell(p_value(r["valid_p_holm"])), terminal=False)
            columns.append(holm)
        return tuple(columns)

    def _any(self, name: str) -> bool:
        return bool((self.rows[name] > 0).any())

    @property
    def entries(self) -> list[list[Cell]]:
        """What is read, row by row."""
        columns = self.columns
        return [[column.write(row) for column in columns] for _, row in self.rows.iterrows()]

    def csv(self) -> str:
        """Every number in full, one row a placement; single seeds are separated by spaces."""
        rows = self.rows.drop(columns=["keys", "position"])
        listed = [name for name in rows.columns if name.endswith("_values")]
        spelled = {name: rows[name].map(_spell) for name in listed}
        return rows.assign(**spelled).to_csv(index=False, lineterminator="\n")

    def markdown(self) -> str:
        """A Markdown table; the lowest validation and test perplexity are bold."""
        heads = [_head(column) for column in self.columns]
        rule = [":--" if column.left else "--:" for column in self.columns]
        lines = [heads, rule]
        lines += [[f"**{c.whole}**" if c.best else c.whole for c in row] for row in self.entries]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def latex(self) -> str:
        """A tabular for the package `booktabs`."""
        heads = " & ".join(_tex(_head(column)) for column in self.columns)
        shape = "".join("l" if column.left else "r" for column in self.columns)
        body = "".join(
            " & ".join(rf"\textbf{{{_tex(c.whole)}}}" if c.best else _tex(c.whole) for c in row)
            + " \\\\\n"
            for row in self.entries
        )
        return (
            f"\\begin{{tabular}}{{{shape}}}\n\\toprule\n{heads} \\\\\n\\midrule\n"
            f"{body}\\bottomrule\n\\end{{tabular}}\n"
        )

    def text(self, width: int = 100) -> str:
        """Plain text; where `width` is too small, seeds and intervals go, then columns."""
        texts = (self._rendered(spreads, left_out) for spreads, left_out in _LAYOUTS)
        fitting = (text for text in texts if max(map(len, text.splitlines())) <= width)
        return next(fitting, self._rendered(*_LAYOUTS[-1]))

    def _rendered(self, spreads: frozenset[str], left_out: frozenset[str]) -> str:
        table = RichTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), show_edge=False)
        columns, entries = self.columns, self.entries
        kept = [i for i, c in enumerate(columns) if c.terminal and c.head not in left_out]
        for index in kept:
            column = columns[index]
            side = "left" if column.left else "right"
            table.add_column(f"{column.head}\n{column.unit}", justify=side, no_wrap=True)
        for row in entries:
            cells = [(columns[index].head in spreads, row[index]) for index in kept]
            table.add_row(*(Text(cell.whole if whole else cell.text) for whole, cell in cells))
        buffer = io.StringIO()
        Console(file=buffer, width=1000, color_system=None, highlight=False).print(table)
        lines = (line.rstrip() for line in buffer.getvalue().splitlines())
        return "".join(f"{line}\n" for line in lines if line)


def make_table(combination: Combination) -> Table:
    """Count and compare the trials of one combination.

    Raises AblateError where none has run.
    """
    trials = combination.trials
    rows = Summary()(trials)
    for split in ("valid", "test"):
        differences = Differences(f"{split}_ppl")(trials).drop(columns="placement", errors="ignore")
        renamed = {name: f"{split}_{name}" for name in differences.columns if name not in PLACEMENT}
        rows = rows.merge(differences.rename(columns=renamed), on=list(PLACEMENT), how="left")
    missing = combination.missing.groupby(list(PLACEMENT)).size().rename("missing")
    rows = rows.merge(missing, on=list(PLACEMENT), how="left")
    rows["missing"] = rows["missing"].fillna(0).astype(int)
    baseline = baseline_of(trials[trials["status"] == "ok"])
    return Table(rows, None if baseline is None else str(baseline["label"].iloc[0]))


def _head(column: Column) -> str:
    return f"{column.head} ({column.unit})" if column.unit else column.head


def _spell(values: object) -> str:
    return " ".join(map(repr, values)) if isinstance(values, tuple) else ""


def _tex(text: str) -> str:
    for sign, command in _TEX.items():
        text = text.replace(sign, command)
    return text
