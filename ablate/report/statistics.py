"""Statistics of an ablation: frozen values that turn a frame of trials into a frame of placements.

The rule (a percentile bootstrap, seaborn's default, covers .74 at three seeds; Student's t about
.95): from three seeds on a t interval, with two seeds both values and no interval, with one seed
the value alone. Trials of one seed share initial weights, so differences are paired by seed, and
their t is moderated (`moderation`). No stars: a p-value is printed as a number, after Holm's
correction, or not at all.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from ablate.errors import AblateError, WrongValue, quoted
from ablate.report.moderation import Floats, moderated
from ablate.status import Status

# With two seeds t's factor is 12.7, and the interval says nothing.
SEEDS_FOR_INTERVAL = 3

# Of every interval.
LEVEL = 0.95

# A difference is called one where its p-value, after Holm's correction, is below this.
SIGNIFICANT = 0.05

PLACEMENT = ("strategy", "arguments")

# What is compared: a placement that has more seeds under one name than under another is two.
_COMPARISON = ["placement", "difference_values"]

_DIFFERENCES = [
    *PLACEMENT, "placement", "pairs", "difference", "difference_low", "difference_high",
    "difference_values", "variance", "df", "p", "p_holm", "p_plain", "better", "equal",
    "improvement", "improvement_low", "improvement_high", "variance_ratio",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeedMean:
    """A mean over seeds; `low` and `high` bound its t interval and are nan below three seeds."""

    values: tuple[float, ...]
    mean: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the interval's width: what stands behind the plus-minus sign."""
        return (self.high - self.low) / 2


def seed_mean(values: Sequence[float]) -> SeedMean:
    """Mean and Student-t interval of `values` (one a seed, in the order given).

    A store of an earlier version may have a finished trial whose perplexity is above every float
    (it counts as diverged by now): the mean is then infinite and has no interval. Raises
    AblateError for nan: a diverged trial is counted, never averaged.
    """
    array = np.asarray(values, dtype=np.float64)
    if np.isnan(array).any():
        raise WrongValue("a mean", "numbers only", array.tolist())
    mean = _mean(array)
    half = float("nan")
    if array.size >= SEEDS_FOR_INTERVAL and np.isfinite(array).all():
        error = float(array.std(ddof=1)) / np.sqrt(array.size)
        half = float(stats.t.ppf((1 + LEVEL) / 2, array.size - 1)) * error
    return SeedMean(tuple(array.tolist()), mean, mean - half, mean + half)


def _mean(array: np.ndarray) -> float:
    """The mean; nan of nothing, and of infinite values of both signs."""
    if array.size == 0 or (np.isposinf(array).any() and np.isneginf(array).any()):
        return float("nan")
    with np.errstate(over="ignore"):
        return float(array.mean())


def two_sided(means: Floats, errors: Floats, freedom: Floats) -> Floats:
    """Two-sided p-values of t tests against 0: means, standard errors and degrees of freedom, [M].

    Without an error a mean is certain: p is 1 where it is 0, and else 0.
    """
    certain = errors == 0
    t = np.abs(means) / np.where(certain, 1.0, errors)
    return np.where(certain, np.where(means == 0, 1.0, 0.0), 2 * special.stdtr(freedom, -t))


def paired_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired t test; nan below three pairs, and of infinite ones."""
    array = np.asarray(differences, dtype=np.float64)
    if not _testable(array):
        return float("nan")
    error = float(array.std(ddof=1)) / np.sqrt(array.size)
    return float(
        two_sided(np.array([array.mean()]), np.array([error]), np.array([array.size - 1]))[0]
    )


def _testable(differences: np.ndarray) -> bool:
    return differences.size >= SEEDS_FOR_INTERVAL and bool(np.isfinite(differences).all())


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Holm's (1979) step-down adjustment of one family of p-values; nan stays nan, outside it.

    The k-th smallest of m is multiplied by m - k + 1, never falls below the one before, at most 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


@dataclass(frozen=True, slots=True)
class Improvement:
    """The probability that the placement is better on a seed, and its 95 % interval."""

    share: float
    low: float
    high: float


def improvement(differences: Sequence[float]) -> Improvement:
    """Share of the pairs, those of difference 0 left out, in which the placement is better.

    The interval is the exact one of a binomial share (Clopper and Pearson 1934). All are nan where
    every pair is equal: equal is neither better nor worse.
    """
    array = np.asarray(differences, dtype=np.float64)
    unequal = array[array != 0]
    if not unequal.size:
        return Improvement(float("nan"), float("nan"), float("nan"))
    better = int((unequal < 0).sum())
    found = stats.binomtest(better, unequal.size).proportion_ci(LEVEL)
    return Improvement(better / unequal.size, float(found.low), float(found.high))


@dataclass(frozen=True, slots=True)
class Summary:
    """Trials of one combination -> one row a placement, in the order of the study file.

    For each metric the columns `<metric>`, `<metric>_low`, `<metric>_high` and `<metric>_values`
    (over finished trials alone), the counts `n`, `diverged`, `failed`, and `keys`, the finished
    trials' by seed. Raises AblateError for a name that has two placements, or two trials of one
    seed.
    """

    metrics: tuple[str, ...] = ("train_ppl", "valid_ppl", "test_ppl", "gap", "gap_running")

    def __call__(self, trials: pd.DataFrame) -> pd.DataFrame:
        _require_distinct(trials)
        rows = [self._row(group) for _, group in trials.groupby(list(PLACEMENT), sort=False)]
        columns = None if rows else ["label", "position", *PLACEMENT]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.sort_values("position", kind="stable", ignore_index=True)

    def _row(self, group: pd.DataFrame) -> dict[Hashable, object]:
        names = ("strategy", "arguments", "label", "dial", "dial_value", "baseline", "placement")
        first = group.sort_values("position", kind="stable").iloc[0]
        row: dict[Hashable, object] = {name: first[name] for name in (*names, "position")}
        for status in (Status.DIVERGED, Status.FAILED):
            row[status] = int((group["status"] == status).sum())
        finished = group[group["status"] == Status.OK].sort_values("seed")
        row["n"] = len(finished)
        row["keys"] = _keys(finished)
        for metric in self.metrics:
            found = seed_mean(finished[metric].dropna().to_list())
            row |= {metric: found.mean, f"{metric}_low": found.low, f"{metric}_high": found.high}
            row[f"{metric}_values"] = found.values
        return row


@dataclass(frozen=True, slots=True)
class Differences:
    """Trials of one combination -> one row a placement: `metric` minus the baseline's, by seed.

    Columns: `pairs`, `difference`, `_low`, `_high`, `_values`; the `variance` of one pair's
    difference and its degrees of freedom `df`, both of the moderated t (`moderation`; the family
    are the placements compared here), of which the interval and `p` are; `p_holm` (over the same
    family); `p_plain`, of the plain paired t test; in how many pairs the placement is `better` and
    in how many exactly `equal`; `improvement`, `_low`, `_high`; and `variance_ratio`: the variance
    of the paired difference over that of an unpaired one (below 1: pairing helped).
    From three pairs on; below them, and with an infinite one, intervals and tests are nan.
    Empty where the combination has no baseline or no finished trial of it. Raises AblateError for
    a name that has two placements, or two trials of one seed.
    """

    metric: str = "valid_ppl"

    def __call__(self, trials: pd.DataFrame) -> pd.DataFrame:
        _require_distinct(trials)
        finished = trials[trials["status"] == Status.OK]
        against = baseline_of(finished)
        if against is None:
            return pd.DataFrame(columns=_DIFFERENCES)
        reference = against.set_index("seed")[self.metric]
        rows: list[dict[str, object]] = []
        for (strategy, arguments), group in finished.groupby(list(PLACEMENT), sort=False):
            if not same_trials(_keys(group), _keys(against)):
                names: dict[str, object] = {"strategy": strategy, "arguments": arguments}
                rows.append(names | self._row(group.set_index("seed"), reference))
        return self._tested(pd.DataFrame(rows, columns=_DIFFERENCES))

    def _tested(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Add intervals and p-values; a placement shown under two names is one of the family."""
        values = [np.array(own, dtype=np.float64) for own in rows["difference_values"]]
        testable = np.array([_testable(own) for own in values], dtype=bool)
        family = rows[testable].drop_duplicates(_COMPARISON)
        counts = family["pairs"].to_numpy(dtype=np.float64)
        own = [float(np.var(pair, ddof=1)) for pair in family["difference_values"]]
        variance, df = moderated(np.array(own, dtype=np.float64), counts - 1)
        error = np.sqrt(variance / counts)
        means = family["difference"].to_numpy(dtype=np.float64)
        half = special.stdtrit(df, (1 + LEVEL) / 2) * error
        p = two_sided(means, error, df)
        tested = pd.DataFrame(
            {
                "variance": variance, "df": df, "p": p, "p_holm": holm(p),
                "difference_low": means - half, "difference_high": means + half,
            },
            index=family.index,
        )  # fmt: skip
        found = family[_COMPARISON].join(tested)
        alike = rows.drop(columns=tested.columns).merge(found, on=_COMPARISON, how="left")
        return alike[_DIFFERENCES]

    def _row(self, group: pd.DataFrame, reference: pd.Series) -> dict[str, object]:
        both = group[[self.metric, "placement"]].join(reference.rename("reference"), how="inner")
        # Of two infinite perplexities neither is known to be the better one.
        both = both[(both[self.metric] - both["reference"]).notna()].sort_index()
        change = both[self.metric] - both["reference"]
        values = change.to_list()
        share = improvement(values)
        return {
            "placement": group["placement"].iloc[0],
            "pairs": len(values),
            "difference": seed_mean(values).mean,
            "difference_values": tuple(values),
            "p_plain": paired_p(values),
            "better": sum(value < 0 for value in values),
            "equal": sum(value == 0 for value in values),
            "improvement": share.share,
            "improvement_low": share.low,
            "improvement_high": share.high,
            "variance_ratio": _variance_ratio(both[self.metric], both["reference"]),
        }


@dataclass(frozen=True, slots=True)
class Lead:
    """The placement of lowest mean, and the labels of those from which it cannot be told apart.

    Told apart is a moderated t test of the paired differences against each other placement, with
    p < `SIGNIFICANT` after Holm's correction over them all; fewer than three pairs tell nothing.
    """

    strategy: str
    arguments: str
    rivals: tuple[str, ...]


def lead_of(trials: pd.DataFrame, metric: str = "valid_ppl") -> Lead | None:
    """The placement of lowest mean `metric` in trials of one combination; None where none ended.

    A placement under a second name is no rival of itself.
    """
    summary = Summary((metric,))(trials)
    summary = summary[summary[metric].notna()]
    if summary.empty:
        return None
    best = summary.iloc[int(summary[metric].to_numpy().argmin())]
    own = (trials["strategy"] == best["strategy"]) & (trials["arguments"] == best["arguments"])
    compared = Differences(metric)(trials.assign(baseline=own))
    apart = compared.loc[compared["p_holm"] < SIGNIFICANT, list(PLACEMENT)]
    told = set(apart.itertuples(index=False, name=None))
    others = summary[[not same_trials(keys, best["keys"]) for keys in summary["keys"]]]
    rivals = [
        str(row["label"])
        for _, row in others.iterrows()
        if (row["strategy"], row["arguments"]) not in told
    ]
    return Lead(str(best["strategy"]), str(best["arguments"]), tuple(rivals))


def baseline_of(trials: pd.DataFrame) -> pd.DataFrame | None:
    """The baseline's trials: of the first placement that the study marks so, or None."""
    marked = trials[trials["baseline"].astype(bool)]
    if marked.empty:
        return None
    first = marked.sort_values("position", kind="stable").iloc[0]
    same = (marked["strategy"] == first["strategy"]) & (marked["arguments"] == first["arguments"])
    return marked[same]


def same_trials(first: Mapping[int, str], second: Mapping[int, str]) -> bool:
    """Whether two names have the same trials: one key at each seed that both have, and one at all.

    Each side has its finished trials' keys by seed.
    """
    shared = first.keys() & second.keys()
    return bool(shared) and all(first[seed] == second[seed] for seed in shared)


def _keys(finished: pd.DataFrame) -> dict[int, str]:
    return dict(zip(finished["seed"], finished["key"], strict=True))


def _require_distinct(trials: pd.DataFrame) -> None:
    """Raise AblateError where a mean would pool two placements, or count one seed twice."""
    again = trials.duplicated([*PLACEMENT, "seed"])
    others = trials.groupby(list(PLACEMENT))["placement"].transform("nunique") > 1
    if (again | others).any():
        more = [str(label) for label in trials["label"][again | others].unique()]
        raise AblateError(
            "a name has one placement, and each seed once, in a table, and "
            f"{quoted(more)} has more: take one combination, or run the study once more with "
            "`ablate run`, which leaves out the trials of earlier versions of a strategy",
            given=tuple(more),
        )


def _variance_ratio(values: pd.Series, reference: pd.Series) -> float:
    finite = np.isfinite(values).all() and np.isfinite(reference).all()
    if len(values) < SEEDS_FOR_INTERVAL or not finite:
        return float("nan")
    unpaired = float(values.var(ddof=1) + reference.var(ddof=1))
    if unpaired == 0.0:
        return float("nan")
    return float((values - reference).var(ddof=1)) / unpaired
