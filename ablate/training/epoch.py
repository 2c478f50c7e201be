"""Train a cohort through an epoch's windows, and sum each trial's losses.

Where `update.capturable` is true, an update is one CUDA graph. A trial whose update is not finite
is frozen to the end of the epoch, and its sums end with its last finite update.

Shapes: K trials, T time, B batch, U updates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ablate.model.parameters import Parameters
from ablate.training.evaluation import Evaluation
from ablate.training.graph import Captured
from ablate.training.update import TrialPlan, Update, capturable


def _silent(_: int) -> None: ...


@dataclass(slots=True)
class Sums:
    """One trial's sums over an epoch, up to its last finite update; nll in nats."""

    nll: float = 0.0
    targets: int = 0
    norms: list[float] = field(default_factory=list)
    finite: bool = True

    def take(self, nll: float, norm: float, targets: int) -> None:
        """Add an update of `targets` targets; none from the first on that is not finite."""
        self.finite = self.finite and math.isfinite(nll) and math.isfinite(norm)
        if self.finite:
            self.nll += nll
            self.targets += targets
            self.norms.append(norm)


class Training:
    """K trials in training: their stacked parameters and the update that changes them.

    It lives as long as the cohort has the same trials: a GPU captures its update once.
    """

    def __init__(
        self,
        parameters: Parameters,
        plans: Sequence[TrialPlan],
        window: tuple[int, int],
        *,
        clips: Sequence[float],
    ) -> None:
        """`parameters` [K, ...] are changed in place, by windows of (T, B)."""
        still = [0] * len(plans)
        self._update = Update.of(
            parameters, plans, window, updates=still, learning_rates=still, clips=clips
        )
        self._call = repeatedly(self._update, plans)
        self.evaluation = Evaluation(parameters, self._update.copies, plans)

    def epoch(
        self,
        windows: Sequence[tuple[Tensor, Tensor]],
        *,
        updates: Sequence[int],
        learning_rates: Sequence[float],
        on_update: Callable[[int], None] = _silent,
    ) -> list[Sums]:
        """Take the trials through an epoch's windows from a zero state; return each one's sums.

        `updates` are the numbers of the first window's updates. A trial whose update is not finite
        keeps the parameters of its last finite one. `on_update` gets the number of windows done,
        after each; on a GPU, of those handed to the device, which may be a few behind.
        """
        self._update.begin(updates, learning_rates)
        like = self._update.live_K
        # One copy to the device and one back: a copy for each update would make the device wait.
        x_UTB, y_UTB = (torch.stack(part).to(like.device) for part in zip(*windows, strict=True))
        told_U2K = torch.empty(
            (len(windows), 2, len(updates)), dtype=torch.float64, device=like.device
        )
        for done, (told_2K, x_TB, y_TB) in enumerate(zip(told_U2K, x_UTB, y_UTB, strict=True), 1):
            told_2K.copy_(self._call(x_TB, y_TB))
            on_update(done)
        sums = [Sums() for _ in updates]
        for own, (nll_U, norm_U) in zip(sums, told_U2K.permute(2, 1, 0).tolist(), strict=True):
            for nll, norm in zip(nll_U, norm_U, strict=True):
                own.take(nll, norm, y_UTB[0].numel())
        return sums

    def one(self, k: int) -> Parameters:
        """The parameters of one trial as they are now, in memory of its own."""
        return {name: value[k].clone() for name, value in self._update.parameters.items()}


def repeatedly(update: Update, plans: Sequence[TrialPlan]) -> Callable[[Tensor, Tensor], Tensor]:
    """An update as training calls it: on a GPU captured in a CUDA graph, else as it is."""
    return Captured(update) if capturable(plans, update.live_K.device) else update
