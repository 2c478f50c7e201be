"""Choose the size of a cohort: it fits the memory and takes the least time for each trial.

A larger cohort takes more memory and gains less time. At some size its products and kernels use the
whole machine. Beyond it the trials compete for the cache.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from ablate.data.corpora import Corpus
from ablate.data.windows import training_windows
from ablate.machine import free_bytes, release
from ablate.model.net import Net
from ablate.model.parameters import initial_parameters, shapes, stacked
from ablate.placement import Placement
from ablate.training.arithmetic import settle
from ablate.training.epoch import repeatedly
from ablate.training.graph import WARM_UPS
from ablate.training.recipe import Recipe
from ablate.training.timing import disturbed, seconds_of, wanted
from ablate.training.trial import Trial
from ablate.training.update import TrialPlan, Update

#: The largest cohort that is chosen automatically.
MOST: Final = 16

# A gain below this is none: smaller cohorts end sooner, balance better and lose less in a failure.
# What runs printed of one kind and size on two cores differed by 4, 4 and 9 %, and once by 39.
_TIE: Final = 0.08
# Timed updates of one cohort: fewer where they are slow.
_FEWEST, _TIMED, _SLOW = 2, 5, 0.5
_PATIENCE: Final = 4.0  # seconds for the updates of one size
#: The largest cohort that is chosen where timings are disturbed.
MODEST: Final = 4
# Seconds of waiting before a disturbed timing is repeated.
_PAUSE: Final = 1.0
# The share of free memory that is used; other programs need more from time to time.
_TAKEN: Final = 0.7
# Bytes of a process with torch and its compiled kernels.
_PROCESS: Final = 600 * 2**20
# Tensors [B, H] that a step of a layer keeps for the backward pass: gates, states, factors.
_TAPE: Final = 20
# Copies of the weights: current, best epoch's, checkpoint's, and the gradients.
_COPIES: Final = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """Seconds for an update of one trial, by the size of the cohort.

    `busy`: other programs used the cores meanwhile, and the timings are unreliable.
    """

    seconds: Mapping[int, float]
    busy: bool = False


def trial_bytes(net: Net, vocabulary: int, recipe: Recipe, precision: str) -> int:
    """Bytes of one trial: weights with copies and gradients, and a window's tape."""
    weights = sum(math.prod(shape) for shape in shapes(net, vocabulary).values())
    copies = weights * 4 * _COPIES
    # In float32 the softmax layer alone is copied, its bias as a column.
    copies += weights * 2 * 2 if precision == "bf16" else 4 * vocabulary * (net.hidden + 1)
    rows = recipe.unroll * recipe.batch
    return copies + 4 * rows * _TAPE * net.hidden * net.layers


def shared_bytes(vocabulary: int, recipe: Recipe) -> int:
    """Bytes that a cohort of any size takes: the scores of one trial's window, and their gradient.

    The trials' softmax layers run one after another and share this memory.
    """
    rows = recipe.unroll * max(recipe.batch, recipe.evaluation_streams)
    return 2 * 4 * rows * vocabulary


def fitting(
    net: Net, vocabulary: int, recipe: Recipe, precision: str, *, device: str, slots: int
) -> int:
    """The number of trials that fit one of `slots` slots on the device, at least one."""
    share = _TAKEN * free_bytes(device) / slots - shared_bytes(vocabulary, recipe)
    share -= _PROCESS if device == "cpu" else 0
    return max(1, int(share // trial_bytes(net, vocabulary, recipe, precision)))


def sizes_to(most: int, limit: int) -> list[int]:
    """The powers of 2 up to the first that reaches `limit`, none above `most`."""
    sizes = [1]
    while sizes[-1] < limit and 2 * sizes[-1] <= most:
        sizes.append(2 * sizes[-1])
    return sizes


def time_cohorts(
    trials: Sequence[Trial], corpus: Corpus, sizes: Sequence[int], *, device: str, threads: int
) -> Probe:
    """Time updates of a cohort of each size; repeat once where the machine was busy.

    Sizes that take too long are left out. A cohort has the first of `trials`, repeated where there
    are too few.
    """
    before = torch.get_num_threads()
    settle(device)
    torch.set_num_threads(threads)
    try:
        probe = _once(trials, corpus, sizes, device)
        if probe.busy:
            time.sleep(_PAUSE)
            probe = _once(trials, corpus, sizes, device)
        return probe
    finally:
        torch.set_num_threads(before)
        release(device)


def _once(trials: Sequence[Trial], corpus: Corpus, sizes: Sequence[int], device: str) -> Probe:
    measured: dict[int, float] = {}
    busy = False
    for size in sizes:
        # Assume no more time for each trial than at the smaller sizes, and no compilation.
        longest = size * min(measured.values(), default=0.0)
        if (1 + _FEWEST) * longest > _PATIENCE:
            break
        members = [trials[number % len(trials)] for number in range(size)]
        seconds, doubtful = seconds_an_update(members, corpus, device)
        measured[size] = seconds / size
        busy |= doubtful
    return Probe(measured, busy)


def chosen(probe: Probe, sizes: Sequence[int]) -> int:
    """The best size; where the machine was busy, the largest of `sizes` up to MODEST."""
    if probe.busy:
        return max(size for size in sizes if size <= MODEST)
    return best(probe.seconds)


def best(measured: Mapping[int, float]) -> int:
    """The smallest size whose time for each trial is within 8 % of the least."""
    least = min(measured.values())
    return min(size for size, seconds in measured.items() if seconds <= least * (1 + _TIE))


def seconds_an_update(trials: Sequence[Trial], corpus: Corpus, device: str) -> tuple[float, bool]:
    """Seconds of one update of all `trials` together, and whether the machine was busy.

    The first update compiles and does not count. The minimum of the others counts, for other
    programs only add time.
    """
    net, recipe = trials[0].net, trials[0].recipe
    initial = initial_parameters(
        net, len(corpus.vocabulary), seed=trials[0].seed, radius=recipe.init, device=device
    )
    # Time the full rates: a schedule may start at rate 0.
    plans = [
        TrialPlan.planned(
            net, Placement(trial.placement), trial.seed, device, precision=trial.precision
        )
        for trial in trials
    ]
    x_TB, y_TB = next(iter(training_windows(corpus.train, recipe.batch, recipe.unroll)))
    whole = Update.of(
        stacked([initial] * len(trials)),
        plans,
        (recipe.unroll, recipe.batch),
        updates=[0] * len(plans),
        learning_rates=[recipe.learning_rate] * len(plans),
        clips=[recipe.clip] * len(plans),
    )
    update, window = repeatedly(whole, plans), (x_TB.to(device), y_TB.to(device))
    for _ in range(WARM_UPS if update is not whole else 0):
        update(*window)
    seconds: list[float] = []
    others: list[float] = []
    while len(seconds) < 1 + _TIMED:
        if len(seconds) > _FEWEST and sum(seconds[1:]) > _SLOW:
            break
        seconds.append(seconds_of(lambda: update(*window), device))
        others.append(wanted())
    return min(seconds[1:]), disturbed(seconds[1:], others[1:], device=device)
