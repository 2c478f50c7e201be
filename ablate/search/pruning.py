"""Which trials of a search stop at a rung: Optuna's pruners, asked when all have come there.

A cohort trains on as one, so a trial can leave it only where it is formed again: at a rung, an
epoch at which all trials of a search wait for each other. Asked then, in the order of numbers,
a pruner says the same whatever order the slots ended in. Trials of one search alone are compared:
a placement that learns slowly competes with itself.
"""

from collections.abc import Mapping
from typing import Final, Literal

import optuna
from optuna.pruners import HyperbandPruner, MedianPruner
from optuna.trial import TrialState, create_trial

from ablate.search.sampling import quietly

Pruner = Literal["none", "median", "hyperband"]
#: The validation loss (nats per target) of each point of a search after each epoch, by number.
Curves = Mapping[int, Mapping[int, float]]

# Of so many trials one goes on at a rung of Hyperband, and a rung has so many times the epochs of
# the one before: Li 2018 (arXiv:1603.06560) and Optuna's default.
_FACTOR: Final = 3


def rungs_of(epochs: int) -> tuple[int, ...]:
    """The epochs of a trial's rungs: a ninth and a third of all, rounded down, none below one."""
    found = (epochs // _FACTOR**2, epochs // _FACTOR)
    return tuple(dict.fromkeys(rung for rung in found if 0 < rung < epochs))


def stopped(pruner: Pruner, curves: Curves, rung: int, epochs: int) -> frozenset[int]:
    """The numbers of the points that end at `rung`, of those whose curve reaches it.

    `curves` are those of all points of one search that have come so far, however they ended.
    """
    at = {number: curve for number, curve in sorted(curves.items()) if rung in curve}
    with quietly():
        match pruner:
            case "median":
                return frozenset(_below_median(at, rung))
            case "hyperband":
                return frozenset(_out_of_bracket(at, rung, epochs))
            case "none":
                return frozenset()


def _below_median(curves: Curves, rung: int) -> list[int]:
    """Those whose best loss so far is above the median of all at the rung."""
    study, pruner = optuna.create_study(), MedianPruner()
    for curve in curves.values():
        study.add_trial(create_trial(value=curve[rung], intermediate_values=_until(curve, rung)))
    running = {
        number: create_trial(state=TrialState.RUNNING, intermediate_values=_until(curve, rung))
        for number, curve in curves.items()
    }
    return [number for number, trial in running.items() if pruner.prune(study, trial)]


def _out_of_bracket(curves: Curves, rung: int, epochs: int) -> list[int]:
    """Those that their bracket of Hyperband halves away, each reporting in turn."""
    rungs = rungs_of(epochs)
    pruner = HyperbandPruner(min_resource=rungs[0], max_resource=epochs, reduction_factor=_FACTOR)
    # Brackets are dealt by a digest of this name and the number.
    study = optuna.create_study(study_name="ablate", pruner=pruner)
    out: list[int] = []
    for number in range(max(curves, default=-1) + 1):
        trial, curve = study.ask(), curves.get(number, {})
        for epoch in (each for each in rungs if each <= rung and each in curve):
            trial.report(curve[epoch], epoch)
            if trial.should_prune() and epoch == rung:
                out.append(number)
    return out


def _until(curve: Mapping[int, float], rung: int) -> dict[int, float]:
    return {epoch: value for epoch, value in curve.items() if epoch <= rung}
