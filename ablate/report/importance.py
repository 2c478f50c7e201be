"""Panel: which arguments decide whether a point of a search is among its best tenth.

PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255) compares where an argument's values lie among the
best tenth of the points with where they lie among all. A tenth of fewer than a hundred points is
too few to compare anything.
"""

from typing import Any, Final

import pandas as pd

from ablate.report.budget import losses_of
from ablate.report.columns import Column, Entry
from ablate.report.combination import Combination
from ablate.report.panel import Panel
from ablate.report.tuned import Search, point_of, searches_of, varied

#: From so many sampled points on importances are shown.
FEWEST: Final = 100


def panels(part: Combination) -> tuple[Panel, ...]:
    """The importances of every search that has sampled enough points; none where there is none."""
    rows = [
        {"search": search.name, "argument": name, "importance": value, "points": len(losses)}
        for search in searches_of(part)
        if len(losses := losses_of(search, part.epochs)[0]) >= FEWEST
        for name, value in importances(search, part).items()
    ]
    if not rows:
        return ()
    return (
        Panel(
            "importances",
            "Which arguments matter",
            pd.DataFrame(rows),
            (
                Column("search", "", lambda row: Entry(row["search"]), left=True),
                Column("argument", "", lambda row: Entry(row["argument"]), left=True),
                Column("importance", "share", lambda row: Entry(f"{row['importance']:.2f}")),
                Column("points", "tried", lambda row: Entry(str(row["points"]))),
            ),
            "PED-ANOVA (Watanabe et al. 2023): how far an argument's values among the best tenth "
            "of the sampled points differ from those among all, as shares that sum to 1 in a "
            "search. It ranks arguments within the ranges that were searched, and gives no "
            f"direction. Only searches with {FEWEST} sampled points or more.",
        ),
    )


def importances(search: Search, part: Combination) -> dict[str, float]:
    """The share of each argument that varied, the greatest first; they sum to 1."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from ablate.search.sampling import quietly

    names = varied(search)
    points = search.sampled
    facts = list(points["facts"])
    kinds = {name: _distribution(name, points, [point[name] for point in facts]) for name in names}
    losses, _ = losses_of(search, part.epochs)
    with quietly():
        study = optuna.create_study()
        study.add_trials(
            optuna.trial.create_trial(
                params={name: point[name] for name in names}, distributions=kinds, value=loss
            )
            for point, loss in zip(facts, losses.tolist(), strict=True)
        )
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return dict(found)


def _distribution(name: str, points: pd.DataFrame, values: list[Any]) -> Any:
    """Where an argument was drawn from: as its strategy declares it, or as far as it was seen."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    point = point_of(points.iloc[0])
    parameter = point.strategy.parameters.get(name) if point else None
    if any(isinstance(value, bool | str) for value in values):
        return CategoricalDistribution(list(dict.fromkeys(values)))
    if parameter and parameter.kind == "int":
        declared = parameter.distribution()
        assert isinstance(declared, IntDistribution)
        return IntDistribution(min(declared.low, *values), max(declared.high, *values))
    low, high = min(values), max(values)
    if parameter and parameter.low is not None and parameter.high is not None:
        low, high = min(low, parameter.low), max(high, parameter.high)
    # A nuisance that spans orders of magnitude, such as a learning rate, was drawn on their scale.
    return FloatDistribution(low, high, log=low > 0 and high > 10 * low)
