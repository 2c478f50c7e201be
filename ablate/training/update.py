"""One update by Zaremba's recipe: sum over time, mean over batch, clip, SGD, in place.

Source: arXiv:1409.2329, section 4.1. Trials of a cohort are updated together; a trial alone is a
cohort of one.

Shapes: K trials, T time, B batch, D embedding, H hidden, L layers, V vocabulary.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ablate.engine.layers.stack import State
from ablate.engine.masks.net import NetMasks
from ablate.engine.masks.table import Clock
from ablate.engine.plan import Mode, Path, plan
from ablate.engine.window import MaskSpec, Window
from ablate.errors import AblateWarning
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import Parameters
from ablate.noise import takes_tensors
from ablate.placement import Placement
from ablate.schedules import CONSTANT, factor_at
from ablate.sources import built_in
from ablate.training import sgd
from ablate.training.softmax import biased, losses_and_gradients

# The dtype of products; None means the parameters' dtype.
PRODUCTS: Final[dict[str, torch.dtype | None]] = {"fp32": None, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """What all updates of a trial share; `updates` is their number, for the schedule."""

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
    ) -> "TrialPlan":
        """The trial with its paths for training and for evaluation.

        It is planned once, at the full rates. A schedule only removes edges, and a path that runs a
        placement runs each part of it.
        """
        train, evaluate = (
            plan(
                placement,
                net.layers,
                device=device,
                mode=mode,
                precision=precision,
                cell=net.of_cell,
            ).path
            for mode in Mode
        )
        if placement.schedule != CONSTANT and _mean_may_move(placement):
            evaluate = Path.LOOPED
        return cls(net, placement, seed, train, evaluate, updates, precision)

    def placement_at(self, update: int) -> Placement:
        """The placement with the schedule's rates after `update` updates."""
        return self.placement.at(update, self.updates)

    def window(
        self,
        time: int,
        batch: int,
        like: Tensor,
        *,
        update: int = 0,
        mode: Mode = Mode.TRAIN,
    ) -> Window:
        """The window (T, B) of an update, on the device and in the dtype of `like`."""
        return Window(
            seed=self.seed,
            update=update,
            time=time,
            batch=batch,
            mode=mode,
            device=like.device,
            dtype=like.dtype,
        )


class Differentiated(NamedTuple):
    """The nll (nats, summed over all targets), gradients by name and states of K trials."""

    nll_K: Tensor
    gradients: dict[str, sgd.Gradient]
    state: State


class Copies(NamedTuple):
    """The operands of products: the layers' parameters [K, ...], and each softmax layer [W, P]."""

    layers: Parameters
    softmax: list[Tensor]

    def beside(self, parameters: Parameters) -> dict[str, Tensor | list[Tensor]]:
        """The copies, by name, that do not share memory with the parameters."""
        weight = parameters["decoder.weight"]
        table: dict[str, Tensor | list[Tensor]] = {
            name: copy
            for name, copy in self.layers.items()
            if copy.data_ptr() != parameters[name].data_ptr()
        }
        words, hidden = weight.shape[1:]
        return table | {"decoder.weight": [own[:words, :hidden] for own in self.softmax]}

    def take_bias(self, parameters: Parameters) -> None:
        """Copy the bias into its column of the softmax layers, which no step writes."""
        words, hidden = parameters["decoder.weight"].shape[1:]
        for wide_WP, bias_V in zip(self.softmax, parameters["decoder.bias"], strict=True):
            wide_WP[:words, hidden] = bias_V


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """An update of a cohort, which reads and writes tensors in place.

    The host neither waits for the device nor gives it a number: a CUDA graph can capture an update.
    It changes `parameters` and `copies` in place. `state`, each part [L, K, B, H], continues from
    window to window. `live_K` marks the trials whose updates were all finite. Another trial keeps
    the parameters of its last finite update, without effect on the rest of the cohort.
    """

    net: Net
    path: Path
    parameters: Parameters
    copies: Copies
    state: State
    masks: NetMasks
    learning_rates_K: Tensor  # float64, as `clips_K`
    clips_K: Tensor
    live_K: Tensor

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        plans: Sequence[TrialPlan],
        window: tuple[int, int],
        *,
        updates: Sequence[int],
        learning_rates: Sequence[float],
        clips: Sequence[float],
    ) -> "Update":
        """The update of K trials with `parameters` [K, ...], from a zero state, on windows (T, B).

        Trials may differ in placement, schedule, seed, number of the update, learning rate and
        clip, not in net, path or precision. Raises AblateError for a mask without an address.
        """
        planned, like, (time, batch) = plans[0], parameters["decoder.weight"], window
        net, device = planned.net, like.device
        trials = [MaskSpec(own.placement, own.window(time, batch, like)) for own in plans]
        masks = NetMasks.of(
            trials,
            inputs=net.inputs,
            hidden=net.hidden,
            layers=net.layers,
            cell=net.of_cell,
            clock=Clock.at(updates, device=device, factors=_factors(plans)),
            words=like.shape[1],
        )
        return cls(
            net,
            planned.train_path,
            parameters,
            product_copies(parameters, planned.precision),
            language_model.zero_cohort_state(net, len(plans), batch, like),
            masks,
            torch.tensor(learning_rates, dtype=torch.float64, device=device),
            torch.tensor(clips, dtype=torch.float64, device=device),
            torch.ones(len(plans), dtype=torch.bool, device=device),
        )

    def begin(self, updates: Sequence[int], learning_rates: Sequence[float]) -> None:
        """Go to an epoch's start: a zero state, these updates, these learning rates; all live."""
        self.masks.clock.updates_K.copy_(torch.tensor(updates))
        self.learning_rates_K.copy_(torch.tensor(learning_rates, dtype=torch.float64))
        self.live_K.fill_(True)
        for part in self.state:
            part.zero_()

    def __call__(self, x_TB: Tensor, y_TB: Tensor) -> Tensor:
        """Update on one window; each trial's nll over all targets, and norm: [2, K], float64."""
        done = self.differentiated(x_TB, y_TB)
        nll_K, norm_K = done.nll_K.double(), sgd.norms(done.gradients)
        with torch.no_grad():
            self.live_K.logical_and_(nll_K.isfinite() & norm_K.isfinite())
            # A norm of 0 gives inf, which the clamp makes 1.
            by_K = -self.learning_rates_K * (self.clips_K / norm_K).clamp(max=1.0)
            copies = self.copies.beside(self.parameters)
            sgd.step(self.parameters, done.gradients, by_K, self.live_K, copies)
            self.copies.take_bias(self.parameters)
            for own, new in zip(self.state, done.state, strict=True):
                own.copy_(new)
            self.masks.clock.advance()
        return torch.stack((nll_K, norm_K))

    def differentiated(self, x_TB: Tensor, y_TB: Tensor) -> Differentiated:
        """The losses of K trials on one window, and their gradients."""
        parameters, softmax = self.parameters, self.copies.softmax
        layers = {
            name: value.detach().requires_grad_() for name, value in self.copies.layers.items()
        }
        x_KTBD = parameters["embedding.weight"][:, x_TB].requires_grad_()
        leaves = [x_KTBD, *layers.values()]
        with torch.enable_grad():
            out = language_model.read_cohort(
                layers, x_KTBD, x_TB, self.state, self.net, self.masks, self.path
            )
        y_KNH, targets_N = out.y_KTBH.detach().flatten(1, 2), y_TB.flatten()
        words = parameters["decoder.weight"].shape[1]
        losses = losses_and_gradients(y_KNH, softmax, targets_N, 1.0 / x_TB.shape[1], words)
        dy_KTBH = torch.stack([loss.y_NH for loss in losses]).view_as(out.y_KTBH)
        dx_KTBD, *of_layers = torch.autograd.grad(out.y_KTBH, leaves, dy_KTBH)
        gradients: dict[str, sgd.Gradient] = {
            "embedding.weight": sgd.Rows.of(x_TB, dx_KTBD),
            **dict(zip(layers, of_layers, strict=True)),
            "decoder.weight": [loss.weight_VH for loss in losses],
            "decoder.bias": [loss.bias_V for loss in losses],
        }
        nll_K = torch.stack([loss.nll_N.sum() for loss in losses])
        return Differentiated(nll_K, gradients, tuple(part.detach() for part in out.state))


def capturable(
    plans: Sequence[TrialPlan], device: torch.device, *, evaluates: bool = False
) -> bool:
    """Whether a cohort's updates, or its evaluation, are captured in a CUDA graph.

    They are on a GPU, on the looped path, unless ABLATE_GRAPH=0. A noise that takes no tensor of
    rates is called for each trial, which a graph cannot capture: this warns.
    """
    paths = {planned.evaluate_path if evaluates else planned.train_path for planned in plans}
    if device.type != "cuda" or paths != {Path.LOOPED}:
        return False
    if os.environ.get("ABLATE_GRAPH", "1") == "0":
        return False
    if evaluates:
        # Means are constants: evaluation samples nothing.
        return True
    drops = [drop for planned in plans for drop in planned.placement.values()]
    slow = sorted({drop.noise.name for drop in drops if not takes_tensors(drop.noise)})
    if slow:
        warnings.warn(
            f"the noise {', '.join(slow)} takes no tensor of rates: updates of its cohorts are not "
            "captured in a CUDA graph, and are slower",
            AblateWarning,
            stacklevel=2,
        )
    return not slow


def _factors(plans: Sequence[TrialPlan]) -> list[list[float]] | None:
    """Each trial's schedule factors, one for each update; None where all are constant.

    Raises AblateError for a factor outside [0, 1], before anything is trained.
    """
    schedules = [planned.placement.schedule for planned in plans]
    if all(schedule == CONSTANT for schedule in schedules):
        return None
    return [
        [1.0]
        if schedule == CONSTANT
        else [factor_at(schedule, update, planned.updates) for update in range(planned.updates + 1)]
        for schedule, planned in zip(schedules, plans, strict=True)
    ]


def product_copies(parameters: Parameters, precision: str) -> Copies:
    """Detached copies in the dtype of products; the layers' biases keep their dtype."""
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
