"""The module under audit as a black box: calls, gradients and named parameters, nothing else.

A *toss* is one call's randomness. It is had again by copying the module as it was before that call
and seeding every generator that a module may draw from; so the same masks can be looked at under
many settings of weights, inputs and states.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

import contextlib
import copy
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ablate.errors import AblateError

_NAME = re.compile(r"(?P<kind>(weight|bias)_(ih|hh))(_l(?P<layer>\d+))?(?P<rest>.*)")

KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Out(NamedTuple):
    """What a call returned: y [T, B, H], s and c [L, B, H]."""

    y_TBH: Tensor
    s_LBH: Tensor
    c_LBH: Tensor


@dataclass(frozen=True, slots=True)
class Setting:
    """What an observer chooses of a call: weights and biases by (layer, kind), input and state.

    Whatever is left out is zero. `x` is one value for all units and steps, or a tensor.
    """

    biases: Mapping[int, Tensor]
    weights: Mapping[tuple[int, str], Tensor] = field(default_factory=dict)
    x: float | Tensor = 0.0
    h0: float | Tensor = 0.0
    c0: float | Tensor = 0.0


@dataclass(frozen=True, slots=True)
class Toss:
    """One call's randomness: the module as it was, and the seed of the common generators."""

    before: nn.Module
    seed: int
    time: int
    batch: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A module with the interface of `torch.nn.LSTM`, in float64, and what its names tell."""

    module: nn.Module
    layers: int
    inputs: int
    hidden: int
    names: Mapping[tuple[int, str], str]
    batch_first: bool = False

    @classmethod
    def of(cls, module: nn.Module) -> "Subject":
        """Read the names of the module's parameters and try a call.

        Raises AblateError where the module has not the names or the calls of `torch.nn.LSTM`.
        """
        copied = _copy(module).double()
        names = _names(copied)
        layers = 1 + max(layer for layer, _ in names)
        shapes = {name: tuple(value.shape) for name, value in copied.named_parameters()}
        hidden = shapes[names[0, "weight_hh"]][1]
        found = cls(copied, layers, shapes[names[0, "weight_ih"]][1], hidden, names)
        if shapes[names[0, "weight_hh"]][0] != 4 * hidden:
            raise AblateError(
                "an audit reads LSTMs, whose weights have four rows for each unit (i, f, g, o); "
                f"{names[0, 'weight_hh']} has the shape {shapes[names[0, 'weight_hh']]}"
            )
        for layer in range(layers):
            for kind in KINDS:
                name = names[layer, kind]
                width = found.inputs if layer == 0 and kind == "weight_ih" else hidden
                wanted = (4 * hidden, width) if kind.startswith("weight") else (4 * hidden,)
                if shapes[name] != wanted:
                    raise AblateError(
                        f"an audit needs layers of one width: {name} should have the shape "
                        f"{wanted}, and has {shapes[name]}"
                    )
        return found._with_layout()

    def _with_layout(self) -> "Subject":
        """Find out whether the batch comes first, by a call in which that makes a difference."""
        errors = []
        for batch_first in (False, True):
            tried = Subject(
                self.module, self.layers, self.inputs, self.hidden, self.names, batch_first
            )
            try:
                out = tried.call(next(tosses(tried, time=2, batch=3)), tried.silent())
            except AblateError:
                raise
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            if out.y_TBH.shape == (2, 3, self.hidden) and out.c_LBH.shape[1] == 3:
                return tried
            errors.append(f"it returned shapes {[tuple(part.shape) for part in out]}")
        raise AblateError(
            "an audit calls module(x, (h_0, c_0)) and takes (y, (h_n, c_n)) back, as "
            f"torch.nn.LSTM does; this module would not: {errors[0]}"
        )

    def silent(self) -> Setting:
        """Every weight and bias zero."""
        return Setting({})

    def call(
        self, toss: Toss, setting: Setting, *, training: bool = True, grad: bool = False
    ) -> Out:
        """Call the module at `toss` with its parameters set."""
        return self.run(self.ready(toss, setting, training=training), toss, setting, grad=grad)

    def ready(self, toss: Toss, setting: Setting, *, training: bool = True) -> nn.Module:
        """A copy of the module as it was before the toss, its parameters set."""
        module = copy.deepcopy(toss.before).train(training)
        parameters = dict(module.named_parameters())
        with torch.no_grad():
            for (layer, kind), name in self.names.items():
                if kind == "bias_ih" and layer in setting.biases:
                    parameters[name].copy_(setting.biases[layer])
                elif (layer, kind) in setting.weights:
                    parameters[name].copy_(setting.weights[layer, kind])
                else:
                    parameters[name].zero_()
        return module

    def run(self, module: nn.Module, toss: Toss, setting: Setting, *, grad: bool = False) -> Out:
        """Call a copy that `ready` made."""
        x = _filled(setting.x, (toss.time, toss.batch, self.inputs))
        state = (self.layers, toss.batch, self.hidden)
        h0, c0 = _filled(setting.h0, state), _filled(setting.c0, state)
        with seeded(toss.seed), torch.set_grad_enabled(grad):
            y, (s, c) = module(x.transpose(0, 1) if self.batch_first else x, (h0, c0))
        return Out(y.transpose(0, 1) if self.batch_first else y, s, c)


def tosses(subject: Subject, *, time: int, batch: int, first: int = 0) -> Iterator[Toss]:
    """Yield the tosses of consecutive calls, for as long as they are asked for."""
    walker = copy.deepcopy(subject.module).train()
    for seed in range(first, first + 2**30):
        toss = Toss(copy.deepcopy(walker), seed, time, batch)
        yield toss
        subject.run(walker, toss, subject.silent())


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


def _filled(value: float | Tensor, shape: tuple[int, ...]) -> Tensor:
    if isinstance(value, Tensor):
        return value.expand(shape)
    return torch.full(shape, value, dtype=torch.float64)


def _copy(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module).cpu()
    except RuntimeError as error:
        raise AblateError(
            f"an audit works on copies, and this module cannot be copied ({error}); give it one "
            "that was not called yet"
        ) from None


def _names(module: nn.Module) -> dict[tuple[int, str], str]:
    """The parameters' names by (layer, kind); layers in the order of the numbers in their names."""
    found: dict[tuple[tuple[int, ...], str], str] = {}
    for name, _ in module.named_parameters():
        *path, last = name.split(".")
        match = _NAME.fullmatch(last)
        if match is None:
            continue
        if "reverse" in match["rest"]:
            raise AblateError(f"an audit reads one direction; this module has two ({name})")
        place = (*(int(part) for part in path if part.isdigit()), int(match["layer"] or 0))
        if (place, match["kind"]) in found:
            other = found[place, match["kind"]]
            raise AblateError(f"an audit cannot tell two parameters apart: {other} and {name}")
        found[place, match["kind"]] = name
    places = sorted({place for place, _ in found})
    names = {(places.index(place), kind): name for (place, kind), name in found.items()}
    missing = [
        f"{kind} of layer {layer}"
        for layer in range(len(places))
        for kind in KINDS
        if (layer, kind) not in names
    ]
    if missing or not names:
        there = ", ".join(name for name, _ in module.named_parameters()) or "none"
        raise AblateError(
            "an audit sets parameters by the names of torch.nn.LSTM (weight_ih_l0, weight_hh_l0, "
            f"bias_ih_l0, bias_hh_l0, ...); missing: {', '.join(missing) or 'all'}; this module "
            f"has: {there}"
        )
    return names


def parameters_of(module: Any) -> dict[str, Tensor]:
    """Copies of a module's named parameters."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}
