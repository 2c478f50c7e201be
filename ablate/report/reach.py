"""What an axis can hold: perplexities that are far off, or infinite, are drawn at its end.

A net that overfits, or meets words that it never saw, may end at a perplexity of 5e21 or above
every float. Its number stands in the table; an axis that reached it would show nothing else.
"""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

# The highest perplexity that an axis shows, as a multiple of its lowest one.
REACH = 1e4


def bound(values: Iterable[float]) -> float:
    """The highest perplexity that an axis of these shows."""
    finite = [value for value in values if math.isfinite(value)]
    return REACH * min(finite, default=1.0)


def highest_gap(values: Iterable[float]) -> float:
    """The highest gap, in nats, that an axis of these shows: as far as for perplexities."""
    finite = [value for value in values if math.isfinite(value)]
    return math.log(REACH) + min(finite, default=0.0)


def within_reach(summary: pd.DataFrame) -> pd.DataFrame:
    """A summary whose perplexities and gaps an axis can hold; the others are at its end.

    A row that holds one has no interval, and no interval goes below a tenth of the lowest
    perplexity, where a logarithm would run away.
    """
    shown = summary.copy()
    for metric, limit in (("valid_ppl", bound), ("gap", highest_gap)):
        if metric not in summary or summary.empty:
            continue
        seeds = [value for values in summary[f"{metric}_values"] for value in values]
        high = limit(seeds)
        far = np.array([any(v > high for v in values) for values in summary[f"{metric}_values"]])
        shown[metric] = summary[metric].clip(upper=high)
        shown[f"{metric}_values"] = [
            tuple(min(value, high) for value in values) for values in summary[f"{metric}_values"]
        ]
        low = high / REACH / 10 if metric == "valid_ppl" else -math.inf
        for end in ("low", "high"):
            shown[f"{metric}_{end}"] = summary[f"{metric}_{end}"].mask(far).clip(low, high)
    return shown


def out_of_reach(trials: pd.DataFrame) -> bool:
    """Whether a finished trial is drawn at the end of an axis."""
    values = trials.loc[trials["status"] == "ok", "valid_ppl"].dropna()
    return bool((values > bound(values)).any())
