"""What an axis can hold: perplexities that are far off, or infinite, are drawn at its end.

A net that overfits, or meets words that it never saw, may end at a perplexity of 5e21 or above
every float. Its number stands in the table; an axis that reached it would show nothing else.
"""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from ablate.status import Status

# A perplexity so many times the lowest one, as the last of an epoch, is no axis's business.
REACH = 100.0
# Curves begin near the size of the vocabulary.
REACH_OF_CURVES = 1e4
# Such points stand apart from the others by this part of the others' range.
_APART = 0.15


def bound(values: Iterable[float], reach: float = REACH) -> float:
    """Where perplexities beyond `reach` times the lowest are drawn; inf where there are none."""
    logs = [math.log(value) for value in values if value > 0]
    end = _end(logs, math.log(reach))
    return math.exp(end) if math.isfinite(end) else end


def bound_of_differences(trials: pd.DataFrame) -> float:
    """Where a difference is drawn that no axis holds, on either side; inf where there is none."""
    values = _finished(trials)
    return bound(values) - float(values.min())


def _end(values: list[float], reach: float) -> float:
    """A little above the highest value that is within `reach` of the lowest."""
    low = min((value for value in values if math.isfinite(value)), default=0.0)
    near = [value for value in values if value <= low + reach]
    if len(near) == len(values):
        return math.inf
    high = max(near, default=low)
    return high + (_APART * (high - low) or _APART)


def within_reach(summary: pd.DataFrame) -> pd.DataFrame:
    """A summary whose perplexities and gaps an axis can hold; the others are at its end.

    Column `far` says which rows hold one; those have no interval. No interval goes below a tenth of
    the lowest perplexity, where a logarithm would run away.
    """
    shown = summary.assign(far=False)
    for metric in ("valid_ppl", "gap"):
        if metric not in summary or summary.empty:
            continue
        seeds = [value for values in summary[f"{metric}_values"] for value in values]
        # Nats are logarithms of perplexities: as far is as far.
        high = bound(seeds) if metric == "valid_ppl" else _end(seeds, math.log(REACH))
        low = min(seeds, default=1.0) / 10 if metric == "valid_ppl" else -math.inf
        far = np.array([any(v > high for v in values) for values in summary[f"{metric}_values"]])
        shown["far"] |= far
        shown[metric] = summary[metric].clip(upper=high)
        shown[f"{metric}_values"] = [
            tuple(min(value, high) for value in values) for values in summary[f"{metric}_values"]
        ]
        for end in ("low", "high"):
            shown[f"{metric}_{end}"] = summary[f"{metric}_{end}"].mask(far).clip(lower=low)
    return shown


def out_of_reach(trials: pd.DataFrame) -> bool:
    """Whether a finished trial is drawn at the end of an axis."""
    return math.isfinite(bound(_finished(trials)))


def _finished(trials: pd.DataFrame) -> pd.Series:
    return trials.loc[trials["status"] == Status.OK, "valid_ppl"].dropna()
