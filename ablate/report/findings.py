"""What a table says, in sentences that claim no more than its seeds allow.

The first sentence says what is decided and what is not (`verdict`). No lowest perplexity is named
where its difference is not, because the lowest of fourteen noisy numbers is low by selection.
"""

from collections import Counter

import pandas as pd

from ablate import quantities
from ablate.report.combination import Combination
from ablate.report.effects import effects_of, effects_verdict
from ablate.report.names import names_of
from ablate.report.numbers import perplexity, seeds, signed, spread
from ablate.report.statistics import SIGNIFICANT
from ablate.report.table import Table
from ablate.report.verdict import needed
from ablate.status import Status

# Of a placement's perplexity after the last epoch, to its lowest.
_RISE = 1.01


def findings(part: Combination, table: Table) -> list[str]:
    """What is decided, a design's effects first, the lowest if it is, how many seeds would decide
    the rest, counts of pairs, what pairing bought, what is missing."""
    done = table.rows[table.rows["n"] > 0]
    sentences: list[str] = []
    if len(done):
        effects = effects_verdict(effects_of(part))
        sentences += [effects, table.verdict, _lowest(table, done), _scope(part, done)]
    compared = done[done["valid_pairs"].fillna(0) > 0]
    if table.baseline and len(compared):
        sentences += [needed(done, table.baseline), _compared(table.baseline, compared)]
        sentences += _pairing(compared)
    sentences += [*_same_cells(done), _passed(part), _lost(part)]
    sentences += [_unpaired(part, table), _unasked(part)]
    return [sentence for sentence in sentences if sentence]


def _lowest(table: Table, done: pd.DataFrame) -> str:
    """The lowest perplexity, where it is below the baseline's, or every other, beyond noise."""
    lead = table.leads.get("valid_ppl")
    if lead is None:
        return ""
    best = done[(done["strategy"] == lead.strategy) & (done["arguments"] == lead.arguments)].iloc[0]
    below = bool(best["valid_difference"] < 0 and best["valid_p_holm"] < SIGNIFICANT)
    alone = not lead.rivals and len(done) > 1
    if not (below or alone):
        return ""
    values = best["valid_ppl_values"]
    half = (best["valid_ppl_high"] - best["valid_ppl_low"]) / 2
    mean = f"{perplexity(best['valid_ppl'])} {spread(values, half, perplexity)}".strip()
    text = f"Lowest validation perplexity: {best['label']}, {mean}"
    if table.baseline and pd.notna(best["valid_difference"]):
        text += f", {signed(best['valid_difference'])} to {table.baseline}"
    if alone:
        return f"{text}; told apart from every other placement."
    return f"{text}; not told apart from {names_of(lead.rivals)}."


def _scope(part: Combination, done: pd.DataFrame) -> str:
    many = f"{len(done)} placement{'' if len(done) == 1 else 's'}"
    trials = part.count(Status.OK)
    return (
        f"{trials} finished trial{'' if trials == 1 else 's'}: {many}, {seeds(*_range(done['n']))} "
        "each."
    )


def _compared(baseline: str, compared: pd.DataFrame) -> str:
    """In how many pairs each placement is better; one pair says nothing, unless it is equal."""
    counts: Counter[tuple[int, int, int]] = Counter(
        (int(row["valid_better"]), int(row["valid_equal"]), int(row["valid_pairs"]))
        for _, row in compared.iterrows()
    )
    single = sum(count for (_, equal, pairs), count in counts.items() if pairs == 1 and not equal)
    listed = [
        f"{count} {_in_pairs(*key)}"
        for key, count in sorted(counts.items(), key=lambda item: _order(*item[0]))
        if key[2] > 1 or key[1]
    ]
    if single and not listed:
        return ""
    if single:
        have = "has" if single == 1 else "have"
        listed.append(f"{single} {have} one pair, and one seed shows nothing")
    return f"Against {baseline}, paired by seed, by validation perplexity: {'; '.join(listed)}."


def _in_pairs(better: int, equal: int, pairs: int) -> str:
    of = f"of {pairs} pair{'' if pairs == 1 else 's'}"
    if equal == pairs:
        return f"equal in {equal} {of}"
    aside = f" and equal in {equal}" if equal else ""
    if better:
        return f"better in {better} {of}{aside}"
    return f"worse in {pairs - equal} {of}{aside}"


def _order(better: int, equal: int, pairs: int) -> tuple[float, float, int]:
    """The share of better pairs, then of equal ones, falling."""
    return -better / pairs, -equal / pairs, -pairs


def _pairing(compared: pd.DataFrame) -> list[str]:
    ratios = compared["valid_variance_ratio"].dropna()
    if ratios.empty:
        return []
    ratio = float(ratios.median())
    verdict = "pairing by seed helped" if ratio < 1 else "pairing by seed bought nothing here"
    return [
        f"The variance of a paired difference is {ratio:.2f} of an unpaired one's in the median "
        f"over placements: {verdict}."
    ]


def _same_cells(done: pd.DataFrame) -> list[str]:
    """Names whose trials are another's: where dropout acts nowhere, none's."""
    sentences, seen = [], dict[str, str]()
    for _, row in done.sort_values("baseline", ascending=False, kind="stable").iterrows():
        keys = row["keys"].values()
        others = dict.fromkeys(seen[key] for key in keys if key in seen)
        for other in others:
            sentences.append(
                f"{row['label']} has the same cells as {other}: one placement, trained once."
            )
        for key in keys:
            seen.setdefault(key, row["label"])
    return sentences


def _passed(part: Combination) -> str:
    """Which placements were lower before the last epoch, and would compare better stopped there."""
    if part.headline != "last":
        return ""
    trials = part.trials[part.trials["status"] == Status.OK]
    told: list[tuple[float, str]] = []
    for label, own in trials.groupby("label", sort=False):
        lowest = float(quantities.perplexity(own["valid_nll_best"]).mean())
        rise = float(own["valid_ppl"].mean()) / lowest
        if rise > _RISE:
            first, last = int(own["best_epoch"].min()), int(own["best_epoch"].max())
            at = f"epoch {first}" if first == last else f"epochs {first} to {last}"
            told.append((-rise, f"{label} ({perplexity(lowest)} after {at})"))
    if not told:
        return ""
    names = names_of(name for _, name in sorted(told))
    return (
        f"Headline numbers are those of the last epoch, and validation perplexity was lower before "
        f"by more than {100 * (_RISE - 1):.0f} %: {names}."
    )


def _lost(part: Combination) -> str:
    diverged, failed = part.count(Status.DIVERGED), part.count(Status.FAILED)
    parts = [f"{diverged} diverged"] if diverged else []
    parts += [f"{failed} failed"] if failed else []
    return f"{' and '.join(parts)}: counted in the table, in no mean." if parts else ""


def _unpaired(part: Combination, table: Table) -> str:
    # One placement has nothing that it could be compared with.
    if table.baseline or part.cells["label"].nunique() == 1:
        return ""
    if part.asked_baseline:
        return f"No trial of the baseline, {part.asked_baseline}, has finished here yet."
    return (
        'No baseline: name one in the study file (baseline = "none"), and run once more where it '
        "is new among the strategies, for paired differences."
    )


def _unasked(part: Combination) -> str:
    if part.cells["asked"].any():
        return ""
    return "The study file asks for none of these: what it asks for has not run yet."


def _range(counts: pd.Series) -> tuple[int, int]:
    return int(counts.min()), int(counts.max())
