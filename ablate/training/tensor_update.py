"""`cohort_update` made of tensors alone: it waits for nothing, so that a CUDA graph can hold it.

Numbers of updates and rates of learning come from a `Pace`, masks from tosses, and what
`cohort_update` decides in Python is decided here by `torch.where`: who is not finite stays as it
is, and from then on for good, as one who has left the cohort.

Shapes: K trials, T time, B batch, H hidden, V vocabulary, L layers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ablate.engine.cohort import CohortOutput, State, Trial
from ablate.engine.plan import Path
from ablate.engine.steps import takes_triton
from ablate.engine.tossed import CohortTosses, tossed_whole
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import Parameters
from ablate.schedules import CONSTANT
from ablate.training.graph import Pace
from ablate.training.sgd import Gradient, Rows
from ablate.training.update import Copies, Task, differentiate, product_copies


def capturable(tasks: Sequence[Task], like: Tensor) -> bool:
    """Whether a cohort's updates can be made of tensors alone, on the device of `like`.

    On a GPU with its kernels; at rates that stay as they are; with masks that are all tosses.
    """
    placements = [task.placement for task in tasks]
    return (
        takes_triton(like)
        and all(task.train_path is Path.LOOPED for task in tasks)
        and all(placement.schedule == CONSTANT for placement in placements)
        and tossed_whole(placements)
    )


@dataclass(frozen=True, slots=True, eq=False)
class TensorUpdate:
    """An update of a cohort, all that it reads and writes in tensors that stay where they are.

    `parameters` and `copies` are changed in place, `state` (s, c), [L, K, B, H], goes on from
    window to window, and `live_K` says whose updates were all finite so far.
    """

    net: Net
    clips_K: Tensor
    parameters: Parameters
    copies: Copies
    state: State
    pace: Pace
    tosses: CohortTosses
    live_K: Tensor

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        tasks: Sequence[Task],
        window: tuple[int, int],
        *,
        updates: Sequence[int],
        learning_rates: Sequence[float],
        clips: Sequence[float],
    ) -> "TensorUpdate":
        """From a zero state, over windows of (T, B); the rest is `cohort_update`'s.

        Raises AblateError for a noise other than BERNOULLI, and for a mask without an address.
        """
        like, (time, batch) = parameters["decoder.weight"], window
        net, pace = tasks[0].net, Pace.at(updates, learning_rates, device=like.device)
        trials = [
            Trial(task.placement, replace(task.window(like, update=update), time=time, batch=batch))
            for task, update in zip(tasks, updates, strict=True)
        ]
        tosses = CohortTosses.of(
            trials,
            inputs=net.inputs,
            hidden=net.hidden,
            layers=net.layers,
            words=like.shape[1],
            updates_K=pace.updates_K,
        )
        return cls(
            net,
            torch.tensor(clips, dtype=torch.float64, device=like.device),
            parameters,
            product_copies(parameters, tasks[0].precision),
            language_model.zero_cohort_state(net, len(tasks), batch, like),
            pace,
            tosses,
            torch.ones(len(tasks), dtype=torch.bool, device=like.device),
        )

    def __call__(self, x_TB: Tensor, y_TB: Tensor) -> Tensor:
        """Update on one window; each trial's nll over all targets, and norm: [2, K], float64."""

        def read(layers: Parameters, x_KTBD: Tensor) -> CohortOutput:
            return language_model.read_tossed(
                layers, x_KTBD, x_TB, self.state, self.net, self.tosses
            )

        done = differentiate(self.parameters, self.copies, x_TB, y_TB, read)
        nll_K, norm_K = done.nll_K.double(), _norms(done.gradients)
        with torch.no_grad():
            self.live_K.logical_and_(nll_K.isfinite() & norm_K.isfinite())
            # A norm of 0 gives inf, and 1 below.
            by_K = -self.pace.rates_K * (self.clips_K / norm_K).clamp(max=1.0)
            for name, gradient in done.gradients.items():
                _step(self.parameters[name], gradient, by_K, self.live_K)
            for name, copy in self.copies.beside(self.parameters).items():
                _bring(copy, self.parameters[name])
            self.copies.take_bias(self.parameters)
            for own, new in zip(self.state, done.state, strict=True):
                own.copy_(new)
            self.pace.advance()
        return torch.stack((nll_K, norm_K))


def _norms(gradients: Mapping[str, Gradient]) -> Tensor:
    """Each trial's norm over all gradients, summed in float64: [K]."""
    parts = []
    for given in gradients.values():
        each = given.values_KRD if isinstance(given, Rows) else given
        if isinstance(each, Tensor):
            parts.append(_norm(each, tuple(range(1, each.dim()))))
        else:
            parts.append(torch.stack([_norm(own, None) for own in each]))
    return torch.linalg.vector_norm(torch.stack(parts), dim=0, dtype=torch.float64)


def _norm(gradient: Tensor, dim: tuple[int, ...] | None) -> Tensor:
    wide = torch.promote_types(gradient.dtype, torch.float32)
    return torch.linalg.vector_norm(gradient, dim=dim, dtype=wide)


def _step(value: Tensor, gradient: Gradient, by_K: Tensor, live_K: Tensor) -> None:
    """value += by * gradient in each live trial; the others stay as they are."""
    by_K = by_K.to(value.dtype)
    if isinstance(gradient, Rows):
        by, live = by_K.view(-1, 1, 1), live_K.view(-1, 1, 1)
        # -0 is what leaves every value as it is, 0 and its sign too.
        moves = torch.where(live, by * gradient.values_KRD, -0.0)
        value.index_add_(1, gradient.at_R, moves)
    elif isinstance(gradient, Tensor):
        each = (-1, *(1 for _ in value.shape[1:]))
        _move(value, gradient, by_K.view(each), live_K.view(each))
    else:
        for k, own in enumerate(gradient):
            _move(value[k], own, by_K[k], live_K[k])


def _move(value: Tensor, gradient: Tensor, by: Tensor, live: Tensor) -> None:
    moved = torch.addcmul(value, by, gradient.to(value.dtype))
    torch.where(live, moved, value, out=value)


def _bring(copy: Sequence[Tensor] | Tensor, value: Tensor) -> None:
    """Make a parameter's copies, one tensor or one for each trial, as current as it is."""
    if isinstance(copy, Tensor):
        copy.copy_(value)
    else:
        for own, given in zip(copy, value, strict=True):
            own.copy_(given)
