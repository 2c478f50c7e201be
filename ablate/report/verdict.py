"""What a table decides and what it does not, in one sentence; and how many seeds would."""

import pandas as pd

from ablate.report.names import names_of
from ablate.report.numbers import seeds
from ablate.report.power import MOST, POWER, more_seeds
from ablate.report.statistics import SEEDS_FOR_INTERVAL, SIGNIFICANT

_TEST = f"(moderated t test, Holm's correction, p < {SIGNIFICANT:g})".replace("0.", ".")


def comparisons(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that were tested, one a comparison: a second name adds none."""
    tested = rows[rows["valid_p_holm"].notna()]
    return tested.drop_duplicates(["placement", "valid_difference_values"])


def verdict(rows: pd.DataFrame, baseline: str | None) -> str:
    """Which placements differ from the baseline in validation perplexity, and which are undecided.

    `rows` are a table's. Empty where there is no baseline, or nothing has finished.
    """
    done = rows[rows["n"] > 0]
    if not baseline or done.empty:
        return ""
    compared = done[done["valid_pairs"].fillna(0) > 0]
    if compared.empty and len(done) == 1:
        return f"Only the baseline, {baseline}, has finished: there is nothing to compare."
    if compared.empty:
        return f"No placement shares a seed with {baseline}, so nothing is compared."
    tested = compared[compared["valid_p_holm"].notna()]
    if tested.empty:
        return _untested(baseline, int(compared["valid_pairs"].max()))
    at = seeds(int(tested["valid_pairs"].min()), int(tested["valid_pairs"].max()))
    found = tested["valid_p_holm"] < SIGNIFICANT
    lower = tested[found & (tested["valid_difference"] < 0)]
    higher = tested[found & (tested["valid_difference"] > 0)]
    sides = [
        f"{word} than {baseline}: {names_of(side['label'])}"
        for word, side in (("lower", lower), ("higher", higher))
        if len(side)
    ]
    if not sides:
        return (
            f"Nothing is decided at {at}: no placement differs from {baseline} in validation "
            f"perplexity beyond noise {_TEST}."
        )
    undecided = names_of(tested[~found]["label"])
    rest = f"Not decided: {undecided}." if undecided else "Nothing is left undecided."
    count = len(comparisons(tested))
    many = f"{len(comparisons(tested[found]))} of {count} placement{'' if count == 1 else 's'}"
    return (
        f"Decided at {at} for {many}, by validation perplexity {_TEST}: {'; '.join(sides)}. {rest}"
    )


def needed(rows: pd.DataFrame, baseline: str | None) -> str:
    """How many seeds more would decide each undecided difference; empty where all are decided."""
    if not baseline:
        return ""
    waiting = rows["valid_p_holm"].ge(SIGNIFICANT) & rows["valid_variance"].gt(0)
    undecided = comparisons(rows[waiting])
    many: dict[int | None, list[str]] = {}
    for _, row in undecided.iterrows():
        more = more_seeds(
            row["valid_difference"], row["valid_variance"], int(row["valid_pairs"]),
            row["valid_df"], level=SIGNIFICANT / len(undecided),
        )  # fmt: skip
        many.setdefault(more, []).append(str(row["label"]))
    parts = [
        f"{names_of(labels)} ({f'{more} more' if more else f'more than {MOST} more'})"
        for more, labels in sorted(many.items(), key=lambda item: item[0] or MOST + 1)
    ]
    if not parts:
        return ""
    return (
        f"Seeds that would decide the rest with a probability of {f'{POWER:g}'.lstrip('0')}, were "
        f"the differences seen the true ones: {'; '.join(parts)}."
    )


def _untested(baseline: str, pairs: int) -> str:
    if pairs == 1:
        return (
            f"One seed shows nothing: no difference to {baseline} here can be told from the noise "
            "between seeds."
        )
    return (
        f"{pairs} seeds a placement give no interval and no test: no difference to {baseline} here "
        f"can be told from noise; {SEEDS_FOR_INTERVAL} are the fewest that can."
    )
