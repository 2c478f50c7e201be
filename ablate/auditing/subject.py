"""The module under audit as a black box: calls, gradients and named parameters, nothing else.

A *draw* is one call's randomness. It is had again by copying the module as it was before that call
and seeding every generator that a module may draw from; so the same masks can be looked at under
many settings of weights, inputs and states.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

import contextlib
import copy
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ablate.auditing.calling import CallForm, CallResult
from ablate.auditing.gates import STANDARD, Gates
from ablate.auditing.parameters import LSTMParameters
from ablate.errors import AblateError


@dataclass(frozen=True, slots=True)
class Setting:
    """What an observer chooses of a call: weights and biases by (layer, kind), input and state.

    Rows of weights and biases are those of the gates i, f, g, o. Whatever is left out is zero. `x`
    is one value for all units and steps, or a tensor.
    """

    biases: Mapping[int, Tensor]
    weights: Mapping[tuple[int, str], Tensor] = field(default_factory=dict)
    x: float | Tensor = 0.0
    h0: float | Tensor = 0.0
    c0: float | Tensor = 0.0


@dataclass(frozen=True, slots=True)
class MaskDraw:
    """One call's randomness: the module as it was, and the seed of the common generators."""

    before: nn.Module
    seed: int
    time: int
    batch: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A module that is an LSTM, in float64: where its parameters are and how it is called.

    sequence_hidden: why y tells nothing of the top layer's units; empty where it does. unread: why
    what gates read tells nothing of the units that they are given, by layer and kind of weights.
    """

    module: nn.Module
    layers: int
    inputs: int
    hidden: int
    views: LSTMParameters
    form: CallForm
    gates: Gates = STANDARD
    sequence_hidden: str = ""
    unread: Mapping[tuple[int, str], str] = field(default_factory=dict)

    def upward_hidden(self, layer: int) -> str:
        """Why what goes up from a layer is not seen; empty where it is."""
        if layer == self.layers - 1:
            return self.sequence_hidden
        return self.unread.get((layer + 1, "weight_ih"), "")

    def silent(self) -> Setting:
        """Every weight and bias zero."""
        return Setting({})

    def call(
        self, draw: MaskDraw, setting: Setting, *, training: bool = True, grad: bool = False
    ) -> CallResult:
        """Call the module at `draw` with its parameters set."""
        return self.run(self.ready(draw, setting, training=training), draw, setting, grad=grad)

    def ready(self, draw: MaskDraw, setting: Setting, *, training: bool = True) -> nn.Module:
        """A copy of the module as it was before the draw, its parameters set."""
        module = copy.deepcopy(draw.before).train(training)
        parameters = dict(module.named_parameters())
        with torch.no_grad():
            for (layer, kind), view in self.views.items():
                part = view.of(parameters[view.name])
                if kind == "bias_ih" and layer in setting.biases:
                    part.copy_(self.gates.bias(layer, setting.biases[layer]))
                elif (layer, kind) in setting.weights:
                    part.copy_(self.gates.rows(setting.weights[layer, kind]))
                else:
                    part.zero_()
        return module

    def run(
        self, module: nn.Module, draw: MaskDraw, setting: Setting, *, grad: bool = False
    ) -> CallResult:
        """Call a copy that `ready` made."""
        x = _filled(setting.x, (draw.time, draw.batch, self.inputs))
        state = (self.layers, draw.batch, self.hidden)
        h0, c0 = _filled(setting.h0, state), _filled(setting.c0, state)
        with seeded(draw.seed), torch.set_grad_enabled(grad):
            return self.form.call(module, x, h0, c0)


def mask_draws(subject: Subject, *, time: int, batch: int) -> Iterator[MaskDraw]:
    """Yield the draws of consecutive calls, for as long as they are asked for."""

    def call(module: nn.Module, seed: int) -> None:
        subject.run(module, MaskDraw(module, seed, time, batch), subject.silent())

    for before, seed in consecutive_calls(subject.module, call):
        yield MaskDraw(before, seed, time, batch)


def consecutive_calls(
    module: nn.Module, call: Callable[[nn.Module, int], object]
) -> Iterator[tuple[nn.Module, int]]:
    """Yield the module as it was before each of its calls in training, and the call's seed."""
    walker = copy.deepcopy(module).train()
    for seed in itertools.count():
        yield copy.deepcopy(walker), seed
        with torch.no_grad():
            call(walker, seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every generator that a module may draw from, and put them back."""
    python, numpy, torchs = random.getstate(), np.random.get_state(), torch.get_rng_state()
    # Not torch.manual_seed, which also queues work for devices that an audit never uses.
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torchs)


def copied_module(module: nn.Module) -> nn.Module:
    """A copy on the CPU in float64; raises AblateError where a module cannot be copied."""
    if any(parameter.is_meta for parameter in module.parameters()):
        raise AblateError(
            "an audit runs a module, and the parameters of this one have no values (device meta); "
            "give it one that was made on the CPU"
        )
    try:
        return copy.deepcopy(module).cpu().double()
    except RuntimeError as error:
        raise AblateError(
            f"an audit works on copies, and this module cannot be copied ({error}); give it one "
            "that was not called yet"
        ) from None


def parameters_of(module: nn.Module) -> dict[str, Tensor]:
    """Copies of a module's named parameters."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def _filled(value: float | Tensor, shape: tuple[int, ...]) -> Tensor:
    if isinstance(value, Tensor):
        return value.expand(shape)
    return torch.full(shape, value, dtype=torch.float64)
