"""Which points a search tries: Optuna's samplers, so seeded that a search can be taken up again.

A point is a function of the study, the search, its number and, where the sampler learns, of the
results of the points before it: whoever has those has the very same next point.
"""

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import TrialState, create_trial

from ablate.search import CUBE
from ablate.search.space import Space
from ablate.strategies.parameters import Value

_MAKE: Final[dict[str, Callable[[int], BaseSampler]]] = {
    "random": lambda seed: RandomSampler(seed),
    "qmc": lambda seed: QMCSampler(seed=seed, scramble=True),
    "tpe": lambda seed: TPESampler(seed=seed),
    # A seed of the net is noise of the objective.
    "gp": lambda seed: GPSampler(seed=seed, deterministic_objective=False),
    "cmaes": lambda seed: CmaEsSampler(seed=seed),
}
#: Those that look at results.
LEARNS: Final = frozenset({"tpe", "gp", "cmaes"})


@dataclass(frozen=True, slots=True)
class Tried:
    """A point that was tried: its value (nats; None where it was pruned) and what led there."""

    point: Mapping[str, Value]
    value: float | None
    curve: Mapping[int, float]


def cube(sampler: str, study: str, count: int) -> list[tuple[list[float], list[float]]]:
    """The first `count` points of the unit cube, by a sampler that does not learn.

    All strategies of a study see the same points, and each reads as many coordinates as it has
    arguments. The cube is drawn whole, so that a point does not depend on what is read of it.
    """
    arguments = [f"argument {i}" for i in range(CUBE[0])]
    nuisances = [f"nuisance {i}" for i in range(CUBE[1])]
    side = dict.fromkeys([*arguments, *nuisances], FloatDistribution(0.0, 1.0))
    with quietly():
        study_of_cube = optuna.create_study(sampler=_MAKE[sampler](seed_of(study)))
        # QMC infers its space from a trial that is complete.
        middle: dict[str, Any] = dict.fromkeys(side, 0.5)
        study_of_cube.add_trial(create_trial(params=middle, distributions=dict(side), value=0.0))
        drawn = [study_of_cube.ask(dict(side)).params for _ in range(count)]
    # Of the half-open interval: a share of 1 lies beyond the last choice.
    below = 1.0 - 2.0**-53
    return [
        ([min(p[a], below) for a in arguments], [min(p[n], below) for n in nuisances])
        for p in drawn
    ]


def propose(
    space: Space, sampler: str, study: str, search: str, tried: Sequence[Tried]
) -> dict[str, Value]:
    """The point that comes after those `tried`, by a sampler that learns.

    The sampler is seeded by the study, the search and the point's number.
    """
    with quietly():
        inner = optuna.create_study()
        for number, each in enumerate(tried):
            inner.sampler = _MAKE[sampler](seed_of(study, search, number))
            _tell(inner, space, each, asked=sampler == "cmaes")
        inner.sampler = _MAKE[sampler](seed_of(study, search, len(tried)))
        return space.rounded(inner.ask(space.distributions).params)


def _tell(inner: optuna.Study, space: Space, tried: Tried, *, asked: bool) -> None:
    """Add a point to Optuna's history; where it is `asked`, by the way on which it was found.

    CMA-ES keeps its state with the trials that it was asked for. It tells a point before it was
    rounded from the one after by less than a thousandth; what is not its own it passes over.
    """
    point = space.inside(tried.point)
    state = TrialState.COMPLETE if tried.value is not None else TrialState.PRUNED
    if not asked:
        inner.add_trial(
            create_trial(
                state=state,
                value=tried.value,
                params=dict(point),
                distributions=space.distributions,
                intermediate_values=dict(tried.curve),
            )
        )
        return
    own = inner.ask(space.distributions)
    trial = own
    if space.rounded(own.params) != point:
        inner.tell(own, state=TrialState.FAIL)
        inner.enqueue_trial(dict(point))
        trial = inner.ask(space.distributions)
    for epoch, value in tried.curve.items():
        trial.report(value, epoch)
    inner.tell(trial, tried.value, state=state)


def seed_of(*names: object) -> int:
    """A sampler's seed: 32 bits of a digest of the names."""
    text = "\0".join(map(str, names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without Optuna's lines on every trial, and its warnings that a sampler is experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        optuna.logging.set_verbosity(before)
