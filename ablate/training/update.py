"""One update by Zaremba's recipe: sum over time, mean over batch, clip, SGD, in place.

Source: arXiv:1409.2329, section 4.1. Trials of a cohort are updated together; a trial alone is a
cohort of one.

Shapes: K trials, T time, B batch, D embedding, H hidden, L layers, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ablate.engine.cohort import CohortOutput, State, Trial
from ablate.engine.factors import Window
from ablate.engine.plan import Mode, Path, plan
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import Parameters
from ablate.placement import Placement
from ablate.schedules import CONSTANT
from ablate.sources import built_in
from ablate.training import sgd
from ablate.training.softmax import biased, losses_and_gradients

# What products are taken in; None leaves them in the parameters' own dtype.
PRODUCTS: Final[dict[str, torch.dtype | None]] = {"fp32": None, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Task:
    """What every update of a trial shares; `updates` is how many it has, for the schedule."""

    net: Net
    placement: Placement
    seed: int
    train_path: Path = Path.LOOPED
    evaluate_path: Path = Path.LOOPED
    updates: int = 0
    precision: str = "fp32"

    @classmethod
    def planned(
        cls,
        net: Net,
        placement: Placement,
        seed: int,
        device: str,
        *,
        updates: int = 0,
        precision: str = "fp32",
    ) -> "Task":
        """The task with the paths that the plan takes for training and for evaluation.

        Planned once, for the full rates: a schedule only takes edges away, and each path runs every
        part of a placement that it runs.
        """
        train, evaluate = (
            plan(placement, net.layers, device=device, mode=mode, precision=precision).path
            for mode in Mode
        )
        if placement.schedule != CONSTANT and _mean_may_move(placement):
            evaluate = Path.LOOPED
        return cls(net, placement, seed, train, evaluate, updates, precision)

    def placement_at(self, update: int) -> Placement:
        """The placement that the schedule leaves after `update` updates."""
        return self.placement.at(update, self.updates)

    def trial(self, like: Tensor, *, update: int, mode: Mode = Mode.TRAIN) -> Trial:
        """What the task brings to a cohort at an update."""
        return Trial(self.placement_at(update), self.window(like, update=update, mode=mode))

    def window(self, like: Tensor, *, update: int = 0, mode: Mode = Mode.TRAIN) -> Window:
        """The window of an update, on the device and in the dtype of `like`."""
        return Window(
            seed=self.seed,
            update=update,
            time=1,
            batch=1,
            mode=mode,
            device=like.device,
            dtype=like.dtype,
        )


class Updated(NamedTuple):
    """What an update tells: nll in nats summed over all targets, the norm before clipping."""

    nll: float
    norm: float
    state: State

    @property
    def finite(self) -> bool:
        return math.isfinite(self.nll) and math.isfinite(self.norm)


class CohortUpdated(NamedTuple):
    """As `Updated`, a value for each trial; the states are [L, K, B, H]."""

    nlls: list[float]
    norms: list[float]
    state: State


class Differentiated(NamedTuple):
    """Of K trials: nll in nats summed over all targets, gradients by name, states [L, K, B, H]."""

    nll_K: Tensor
    gradients: dict[str, sgd.Gradient]
    state: State


class Copies(NamedTuple):
    """What products take: the layers' parameters [K, ...], and each softmax layer [W, P]."""

    layers: Parameters
    softmax: list[Tensor]

    def beside(self, parameters: Parameters) -> dict[str, Tensor | list[Tensor]]:
        """By name, the copies that are other tensors than the parameters themselves."""
        weight = parameters["decoder.weight"]
        table: dict[str, Tensor | list[Tensor]] = {
            name: copy
            for name, copy in self.layers.items()
            if copy.data_ptr() != parameters[name].data_ptr()
        }
        words, hidden = weight.shape[1:]
        return table | {"decoder.weight": [own[:words, :hidden] for own in self.softmax]}

    def take_bias(self, parameters: Parameters) -> None:
        """Bring the softmax layers' column of the bias along, which no step writes."""
        words, hidden = parameters["decoder.weight"].shape[1:]
        for wide_WP, bias_V in zip(self.softmax, parameters["decoder.bias"], strict=True):
            wide_WP[:words, hidden] = bias_V


def train_update(
    parameters: Parameters,
    x_TB: Tensor,
    y_TB: Tensor,
    state: State,
    task: Task,
    *,
    update: int,
    learning_rate: float,
    clip: float,
) -> Updated:
    """Change `parameters` in place by one update; a non-finite one changes nothing.

    The state that is returned is detached: truncated back-propagation through time.
    """
    done = cohort_update(
        {name: value.detach().unsqueeze(0) for name, value in parameters.items()},
        x_TB,
        y_TB,
        (state[0].unsqueeze(1), state[1].unsqueeze(1)),
        [task],
        updates=[update],
        learning_rates=[learning_rate],
        clips=[clip],
    )
    s, c = done.state
    return Updated(done.nlls[0], done.norms[0], (s.squeeze(1), c.squeeze(1)))


def cohort_update(
    parameters: Parameters,
    x_TB: Tensor,
    y_TB: Tensor,
    state: State,
    tasks: Sequence[Task],
    *,
    updates: Sequence[int],
    learning_rates: Sequence[float],
    clips: Sequence[float],
    copies: Copies | None = None,
) -> CohortUpdated:
    """Change the `parameters` [K, ...] of K trials in place by one update each, on one window.

    Trials may differ in placement, seed, number of the update, rate of learning and clip, not in
    net, path or precision. A trial whose update is not finite stays as it is, and its companions do
    not notice. `copies`, from `product_copies`, are brought along where one update follows another;
    they are made where they are not given.
    """
    task, like = tasks[0], parameters["decoder.weight"]
    copies = copies or product_copies(parameters, task.precision)
    trials = [own.trial(like, update=update) for own, update in zip(tasks, updates, strict=True)]

    def read(layers: Parameters, x_KTBD: Tensor) -> CohortOutput:
        return language_model.read_cohort(
            layers, x_KTBD, x_TB, state, task.net, trials, task.train_path
        )

    done = differentiate(parameters, copies, x_TB, y_TB, read)
    nlls: list[float] = done.nll_K.tolist()
    norms = sgd.step(
        parameters,
        done.gradients,
        losses=nlls,
        learning_rates=learning_rates,
        clips=clips,
        copies=copies.beside(parameters),
    )
    copies.take_bias(parameters)
    return CohortUpdated(nlls, norms, done.state)


def differentiate(
    parameters: Parameters,
    copies: Copies,
    x_TB: Tensor,
    y_TB: Tensor,
    read: Callable[[Parameters, Tensor], CohortOutput],
) -> Differentiated:
    """The losses of K trials on one window, where `read(layers, x_KTBD)` runs the layers over it.

    Waits for nothing on the device.
    """
    layers = {name: value.detach().requires_grad_() for name, value in copies.layers.items()}
    x_KTBD = parameters["embedding.weight"][:, x_TB].requires_grad_()
    leaves = [x_KTBD, *layers.values()]
    with torch.enable_grad():
        out = read(layers, x_KTBD)
    y_KNH, targets_N = out.y_KTBH.detach().flatten(1, 2), y_TB.flatten()
    words = parameters["decoder.weight"].shape[1]
    losses = losses_and_gradients(y_KNH, copies.softmax, targets_N, 1.0 / x_TB.shape[1], words)
    dy_KTBH = torch.stack([loss.y_NH for loss in losses]).view_as(out.y_KTBH)
    dx_KTBD, *of_layers = torch.autograd.grad(out.y_KTBH, leaves, dy_KTBH)
    gradients = {
        "embedding.weight": sgd.Rows.of(x_TB, dx_KTBD),
        **dict(zip(layers, of_layers, strict=True)),
        "decoder.weight": [loss.weight_VH for loss in losses],
        "decoder.bias": [loss.bias_V for loss in losses],
    }
    nll_K = torch.stack([loss.nll_N.sum() for loss in losses])
    return Differentiated(nll_K, gradients, (out.s_LKBH.detach(), out.c_LKBH.detach()))


def product_copies(parameters: Parameters, precision: str) -> Copies:
    """Detached copies in the dtype of products; biases of the layers are as they are."""
    given = {name: value.detach() for name, value in parameters.items()}
    weight, bias = given["decoder.weight"], given["decoder.bias"]
    dtype = PRODUCTS[precision] or weight.dtype
    layers = {
        name: value if "bias" in name else value.to(dtype)
        for name, value in given.items()
        if name.startswith("lstm.")
    }
    return Copies(layers, [biased(*own, dtype) for own in zip(weight, bias, strict=True)])


def _mean_may_move(placement: Placement) -> bool:
    """Whether a noise that keeps its mean at the full rates may not keep it at lower ones."""
    return not all(built_in(type(drop.noise).__module__) for drop in placement.values())
