"""What a table says, in sentences that claim no more than its seeds allow."""

import pandas as pd

from ablate.report.combination import Combination
from ablate.report.numbers import perplexity, seeds, signed, spread
from ablate.report.statistics import SEEDS_FOR_INTERVAL
from ablate.report.table import Table


def findings(part: Combination, table: Table) -> list[str]:
    """The lowest perplexity, differences to the baseline, what pairing bought, what is missing."""
    done = table.rows[table.rows["n"] > 0]
    sentences = [_scope(part, done), _lowest(table, done)] if len(done) else []
    compared = done[done["valid_pairs"].fillna(0) > 0]
    if table.baseline and len(compared):
        sentences += [_compared(table.baseline, compared), *_pairing(compared)]
    return [sentence for sentence in [*sentences, _lost(part), _unpaired(part)] if sentence]


def _scope(part: Combination, done: pd.DataFrame) -> str:
    low, high = int(done["n"].min()), int(done["n"].max())
    text = f"{part.count('ok')} finished trials: {len(done)} placements, {seeds(low, high)} each."
    if high < SEEDS_FOR_INTERVAL:
        text += " Fewer than three seeds give no interval: read small differences as noise."
    return text


def _lowest(table: Table, done: pd.DataFrame) -> str:
    best = done.iloc[int(done["valid_ppl"].to_numpy().argmin())]
    values = best["valid_ppl_values"]
    half = (best["valid_ppl_high"] - best["valid_ppl_low"]) / 2
    mean = f"{perplexity(best['valid_ppl'])} {spread(values, half, perplexity)}".strip()
    text = f"Lowest validation perplexity: {best['label']}, {mean}"
    if table.baseline and pd.notna(best["valid_difference"]):
        text += f", {signed(best['valid_difference'])} to {table.baseline}"
    return f"{text}."


def _compared(baseline: str, compared: pd.DataFrame) -> str:
    shares = compared["valid_improvement"]
    every = " with every seed" if compared["valid_pairs"].max() > 1 else ""
    counts = {
        f"better{every}": int((shares == 1).sum()),
        f"worse{every}": int((shares == 0).sum()),
        "better with some seeds only": int(((shares > 0) & (shares < 1)).sum()),
    }
    listed = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    return f"Against {baseline}, paired by seed, by validation perplexity: {listed}."


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


def _lost(part: Combination) -> str:
    diverged, failed = part.count("diverged"), part.count("failed")
    parts = [f"{diverged} diverged"] if diverged else []
    parts += [f"{failed} failed"] if failed else []
    return f"{' and '.join(parts)}: counted in the table, in no mean." if parts else ""


def _unpaired(part: Combination) -> str:
    if part.cells["baseline"].any():
        return ""
    return (
        'No baseline: name one in the study file (baseline = "none") and run once more, with it '
        "among the strategies, for paired differences."
    )
