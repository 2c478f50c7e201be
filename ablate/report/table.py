"""The ablation table of one combination: its rows, its columns, and both as CSV and plain text.

CSV holds every number in full; plain text is for reading, and so are the forms of `exports`. How an
uncertain number is written is the rule of `statistics`: a mean with its t interval from three seeds
on, with both values at two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ablate.report.columns import (
    Column,
    Entry,
    compared,
    counted,
    labelled,
    measured,
    paired,
    probable,
    where,
)
from ablate.report.combination import Combination
from ablate.report.grid import Layout, csv_of, entries_of, text_of
from ablate.report.numbers import nats, p_value, perplexity, rate, signed
from ablate.report.statistics import (
    PLACEMENT,
    SEEDS_FOR_INTERVAL,
    Differences,
    Lead,
    Summary,
    baseline_of,
    lead_of,
)
from ablate.report.sweeps import chosen_by_validation
from ablate.report.unknown import UnknownTargets, caption, unknown_targets
from ablate.report.verdict import verdict
from ablate.status import Status

# What did not finish; a column that would be all zero is left out.
LOST = (Status.DIVERGED, Status.FAILED)

_CHOSEN = "Test is shown of what validation chose within a sweep, and of the baseline."

# What plain text shows in full, and what it leaves out, from the widest layout to the narrowest.
_LAYOUTS: tuple[Layout, ...] = (
    (frozenset({"train", "valid", "test", "gap", "valid difference"}), frozenset[str]()),
    (frozenset({"valid", "valid difference"}), frozenset[str]()),
    (frozenset({"valid difference"}), frozenset[str]()),
    (frozenset[str](), frozenset[str]()),
    (frozenset[str](), frozenset({"train"})),
    (frozenset[str](), frozenset({"train", "test", "known test"})),
)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One row a placement, in the order of the study file; `rows` has the numbers in full.

    `leads` has the placement of the lowest `valid_ppl` and of the lowest `test_ppl`. `caption` is
    what a reader must know of all numbers, and empty where there is nothing. `naming` are the
    columns that say what a row is, where that is not a placement and its dial.
    """

    rows: pd.DataFrame
    baseline: str | None
    leads: Mapping[str, Lead] = field(default_factory=dict)
    caption: str = ""
    naming: tuple[Column, ...] = (
        Column("placement", "", labelled, left=True),
        Column("rate", "dial", lambda row: Entry(rate(row["dial_value"]))),
    )

    @property
    def leading(self) -> frozenset[str]:
        """The perplexities whose lowest value is told apart from every other; no other is bold.

        A placement alone leads nothing.
        """
        if len(self.rows) == 1:
            return frozenset()
        return frozenset(metric for metric, lead in self.leads.items() if not lead.rivals)

    @property
    def verdict(self) -> str:
        """What is decided and what is not, in a sentence; it stands above the table."""
        return verdict(self.rows, self.baseline)

    @property
    def hides_test(self) -> bool:
        """Whether a row has a test that is not shown, because validation did not choose it."""
        return _hides_test(self.rows)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns to read, left to right."""
        against = f"to {self.baseline}"
        columns = [
            *self.naming,
            Column("n", "seeds", lambda r: Entry(str(r["n"]))),
            *(Column(lost, "", counted(lost)) for lost in LOST if self._any(lost)),
            Column("train", "ppl", measured("train_ppl", perplexity)),
            *self._perplexities("valid"),
            *self._perplexities("test"),
            Column("gap", "nats", measured("gap", nats)),
        ]
        if self.baseline:
            columns += [
                Column("valid difference", against, measured("valid_difference", signed)),
                Column(
                    "test difference", against,
                    where("test_shown", measured("test_difference", signed)),
                    terminal=False, page=False,
                ),
                Column("better", "pairs", compared, terminal=False),
            ]  # fmt: skip
            if self.rows["valid_pairs"].ge(SEEDS_FOR_INTERVAL).any():
                columns.append(Column("P(better)", "95 %", probable, terminal=False))
            if self._unpaired:
                columns.append(Column("pairs", "", paired, page=False, files=False))
        if self.rows["valid_p_holm"].notna().any():
            columns += [
                Column("p", "Holm", lambda r: Entry(p_value(r["valid_p_holm"])), terminal=False),
                Column(
                    "p", "paired t", lambda r: Entry(p_value(r["valid_p_plain"])), terminal=False
                ),
            ]
        return tuple(columns)

    def _perplexities(self, split: str) -> list[Column]:
        """A split's perplexity, and that over known words where others were counted."""
        name, known = f"{split}_ppl", f"{split}_known_ppl"
        rows = self.rows[self.rows["test_shown"]] if split == "test" else self.rows
        lowest = rows[name].min() if name in self.leading else None
        metrics = {split: measured(name, perplexity, lowest)}
        if known in self.rows:
            metrics[f"known {split}"] = measured(known, perplexity)
        if split == "test":
            metrics = {head: where("test_shown", write) for head, write in metrics.items()}
        return [Column(head, "ppl", write) for head, write in metrics.items()]

    @property
    def _unpaired(self) -> bool:
        """Whether a placement has another number of pairs than of seeds."""
        compared = self.rows[self.rows["valid_pairs"].notna()]
        return bool((compared["valid_pairs"] != compared["n"]).any())

    def _any(self, name: str) -> bool:
        return bool((self.rows[name] > 0).any())

    @property
    def entries(self) -> list[list[Entry]]:
        """What is read, row by row."""
        return entries_of(self.columns, self.rows)

    def csv(self, others: "Table | None" = None) -> str:
        """Every number in full, one row a placement; single seeds are separated by spaces.

        `others`, which the study file does not ask for, come last.
        """
        parts = [self.rows.assign(asked=True)]
        parts += [others.rows.assign(asked=False)] if others else []
        return csv_of(pd.concat(parts).drop(columns="position"))

    def text(self, width: int = 100) -> str:
        """Plain text; where `width` is too small, seeds and intervals go, then columns, and then
        the middles of long names."""
        return text_of(self.columns, self.rows, _LAYOUTS, width)


def make_table(combination: Combination, *, show_test: bool = False) -> Table:
    """Count and compare the trials of one combination that the study file asks for.

    They are the family of Holm's correction. Test is shown of what validation chose in each sweep
    and of the baseline, or, with `show_test`, of all. Raises AblateError where none has run.
    """
    trials = combination.trials
    found = unknown_targets(trials)
    rows = _rows(trials, trials, known=found)
    missing = combination.missing.groupby(list(PLACEMENT)).size().rename("missing")
    rows = rows.merge(missing, on=list(PLACEMENT), how="left")
    rows["missing"] = rows["missing"].fillna(0).astype(int)
    rows["test_shown"] = show_test | chosen_by_validation(rows)
    tested = trials.merge(rows.loc[rows["test_shown"], list(PLACEMENT)], on=list(PLACEMENT))
    found_leads = {"valid_ppl": lead_of(trials), "test_ppl": lead_of(tested, "test_ppl")}
    leads = {metric: lead for metric, lead in found_leads.items() if lead is not None}
    hidden = _CHOSEN if _hides_test(rows) else ""
    return Table(rows, _label(trials), leads, f"{hidden} {caption(found)}".strip())


def make_other_table(combination: Combination, *, show_test: bool = False) -> Table | None:
    """The trials that the study file does not ask for, with no p-value; None where there are none.

    Their test is shown with `show_test` alone: nothing was chosen among them.

    They are in no family: whatever was tried beside the study must not change what it finds.
    """
    others = combination.others
    if others.empty:
        return None
    against = baseline_of(combination.trials[combination.trials["status"] == Status.OK])
    trials = others if against is None else pd.concat([others, against])
    rows = _rows(others, trials, known=unknown_targets(others))
    tests = [f"{split}_{p}" for split in ("valid", "test") for p in ("p", "p_holm", "p_plain")]
    rows[tests] = float("nan")
    return Table(rows.assign(missing=0, test_shown=show_test), _label(trials))


def _rows(
    trials: pd.DataFrame, compared: pd.DataFrame, known: Sequence[UnknownTargets]
) -> pd.DataFrame:
    """One row a placement of `trials`, with the differences that `compared` has."""
    metrics = [*Summary().metrics, *(f"{one.split}_known_ppl" for one in known)]
    rows = Summary(tuple(metrics))(trials)
    for split in ("valid", "test"):
        differences = Differences(f"{split}_ppl")(compared)
        differences = differences.drop(columns="placement", errors="ignore")
        renamed = {name: f"{split}_{name}" for name in differences.columns if name not in PLACEMENT}
        rows = rows.merge(differences.rename(columns=renamed), on=list(PLACEMENT), how="left")
    return rows


def _hides_test(rows: pd.DataFrame) -> bool:
    return bool((~rows["test_shown"] & rows["test_ppl"].notna()).any())


def _label(trials: pd.DataFrame) -> str | None:
    """The label of the baseline, where it has finished."""
    baseline = baseline_of(trials[trials["status"] == Status.OK])
    return None if baseline is None else str(baseline["label"].iloc[0])
