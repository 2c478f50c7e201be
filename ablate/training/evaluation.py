"""Perplexity over every token, by deterministic evaluation.

    perplexity = exp(mean over all N tokens of -log p(token | the tokens before))

The first token follows `<eos>`. The remainder of each stream counts too.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablate.data.windows import evaluation_order, evaluation_windows
from ablate.engine.layers.stack import State
from ablate.engine.masks.net import NetMasks
from ablate.engine.plan import Mode
from ablate.engine.window import MaskSpec
from ablate.model import language_model
from ablate.model.parameters import Parameters
from ablate.schedules import CONSTANT
from ablate.training.graph import Captured
from ablate.training.softmax import losses
from ablate.training.update import Copies, TrialPlan, capturable, product_copies

#: A window of evaluation is at most this many times as long as one of training. It keeps no tape,
#: and larger products are faster; still larger ones exceed the cache.
LONGER: Final = 4


class Evaluated(NamedTuple):
    """The log-probability of each token, in nats and in the order of the text."""

    log_probs_N: NDArray[np.float32]

    @property
    def nll(self) -> float:
        """Nats per target, summed in float64."""
        return -float(self.log_probs_N.sum(dtype=np.float64)) / len(self.log_probs_N)

    @property
    def targets(self) -> int:
        return len(self.log_probs_N)


class Evaluation:
    """The scores of K trials, window by window; a GPU captures one graph for each window shape.

    It reads `parameters` [K, ...] and `copies` in place: training changes them between two calls.
    Where a schedule changes the means, each call makes new windows.
    """

    def __init__(self, parameters: Parameters, copies: Copies, plans: Sequence[TrialPlan]) -> None:
        self._parameters, self._copies, self._plans = parameters, copies, plans
        self._like = parameters["decoder.weight"]
        self._moves = any(planned.placement.schedule != CONSTANT for planned in plans)
        self._updates: tuple[int, ...] = ()
        self._states: dict[int, State] = {}
        self._windows: dict[torch.Size, Callable[[Tensor, Tensor], Tensor]] = {}

    @classmethod
    def of(cls, parameters: Parameters, plans: Sequence[TrialPlan]) -> "Evaluation":
        """The evaluation of trials with fixed parameters."""
        return cls(parameters, product_copies(parameters, plans[0].precision), plans)

    @torch.inference_mode()
    def __call__(
        self,
        tokens_N: NDArray[np.int32],
        *,
        streams: int,
        unroll: int,
        eos: int,
        updates: Sequence[int],
    ) -> list[Evaluated]:
        """Score every token once, in `streams` streams; the state continues between windows.

        `updates` are the trials' numbers of finished updates, for placements with a schedule.
        """
        streams = min(streams, len(tokens_N))
        for part in self._state(streams):
            part.zero_()
        # Allocate the result first. A small result kept between two windows' large scores would
        # split a freed block of the heap, and memory would grow by the scores of every window.
        size = -(-len(tokens_N) // streams) * streams
        losses_KN = torch.zeros(len(self._plans), size, device=self._like.device)
        done = 0
        for x_TB, y_TB in evaluation_windows(tokens_N, streams, unroll, eos):
            x_TB, y_TB = x_TB.to(self._like.device), y_TB.to(self._like.device)
            # Steps after a stream's end get an arbitrary target; their scores are left out below.
            scored_KN = self._window(x_TB.shape, updates)(x_TB, y_TB.clamp(min=0))
            losses_KN[:, done : done + y_TB.numel()] = scored_KN
            done += y_TB.numel()
        ordered_KN = -losses_KN[:, evaluation_order(len(tokens_N), streams)].cpu()
        return [Evaluated(own_N.numpy()) for own_N in ordered_KN]

    def _state(self, streams: int) -> State:
        """The state of `streams` streams, which each window updates in place."""
        if streams not in self._states:
            self._states[streams] = language_model.zero_cohort_state(
                self._plans[0].net, len(self._plans), streams, self._like
            )
        return self._states[streams]

    def _window(
        self, shape: torch.Size, updates: Sequence[int]
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """The function that scores a window (T, B): the losses of all trials, [K, N]."""
        if self._moves and self._updates != tuple(updates):
            self._windows.clear()
            self._updates = tuple(updates)
        if shape not in self._windows:
            # Not a bound method: the stored window would refer back to this object.
            run = partial(
                _scored,
                self._parameters,
                self._copies,
                self._state(shape[1]),
                self._plans[0],
                _means(self._plans, updates, self._like, shape),
            )
            captured = capturable(self._plans, self._like.device, evaluates=True)
            self._windows[shape] = Captured(run) if captured else run
        return self._windows[shape]


def _scored(
    parameters: Parameters,
    copies: Copies,
    state: State,
    planned: TrialPlan,
    masks: NetMasks,
    x_TB: Tensor,
    y_TB: Tensor,
) -> Tensor:
    """Each trial's losses on a window, [K, N]; updates `state` in place."""
    out = language_model.read_cohort(
        copies.layers,
        parameters["embedding.weight"][:, x_TB],
        x_TB,
        state,
        planned.net,
        masks,
        planned.evaluate_path,
    )
    for own, new in zip(state, out.state, strict=True):
        own.copy_(new)
    scored_KN = out.y_KTBH.new_empty(len(out.y_KTBH), y_TB.numel())
    for k, y_TBH in enumerate(out.y_KTBH):
        scored_KN[k] = losses(y_TBH.flatten(0, 1), copies.softmax[k], y_TB.flatten())
    return scored_KN


def evaluate(
    parameters: Parameters,
    tokens_N: NDArray[np.int32],
    planned: TrialPlan,
    *,
    streams: int,
    unroll: int,
    eos: int,
    update: int = 0,
) -> Evaluated:
    """Score a trial alone, after `update` updates."""
    alone = {name: value.detach().unsqueeze(0) for name, value in parameters.items()}
    evaluation = Evaluation.of(alone, [planned])
    return evaluation(tokens_N, streams=streams, unroll=unroll, eos=eos, updates=[update])[0]


def _means(
    plans: Sequence[TrialPlan], updates: Sequence[int], like: Tensor, window: tuple[int, ...]
) -> NetMasks:
    """The means by which deterministic evaluation multiplies, in windows of (T, B)."""
    (time, batch), net = window, plans[0].net
    trials = [
        MaskSpec(own.placement_at(update), own.window(time, batch, like, mode=Mode.MEAN))
        for own, update in zip(plans, updates, strict=True)
    ]
    return NetMasks.of(
        trials, inputs=net.inputs, hidden=net.hidden, layers=net.layers, cell=net.of_cell
    )
