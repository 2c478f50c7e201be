"""Audit of a layer that only drops, x -> x * mask: what comes of ones is the mask itself.

Shapes: N draws, T time, B batch, D units.
"""

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from ablate.auditing import sharing
from ablate.auditing.checks import ELSEWHERE, Check, quiet, true_gradient, untouched
from ablate.auditing.direct import (
    AXES,
    BATCH,
    STEPS,
    DirectMeasurement,
    MaskedEdge,
    measure_direct,
    snapshots,
)
from ablate.auditing.layer_edges import Expected
from ablate.auditing.measure import Measurement
from ablate.auditing.probes import cleaned
from ablate.auditing.subject import copied_module, parameters_of, seeded
from ablate.edges import Edge
from ablate.errors import AblateError

UNITS: Final = 8
DRAWS: Final = 24

NAME: Final = "the layer's input"


@dataclass(frozen=True, slots=True)
class DropoutLayer:
    """A layer that multiplies its input [T, B, D], or [B, T, D], by a mask."""

    module: nn.Module
    batch_first: bool

    @classmethod
    def of(cls, module: nn.Module, *, batch_first: bool) -> "DropoutLayer":
        """Raises AblateError where the module does anything but multiply what it is given."""
        found = cls(copied_module(module), batch_first)
        x = 0.5 + torch.rand(
            STEPS, BATCH, UNITS, generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        other = x.clone()
        other[0, 0, 0] *= 2.0
        try:
            for training in (False, True):
                one, twice, single = (
                    found.called(each, 0, training=training) for each in (x, 2.0 * x, other)
                )
                if not torch.equal(one, found.called(x, 0, training=training)):
                    raise AblateError(ELSEWHERE)
                if one.shape != x.shape:
                    raise AblateError(f"of {tuple(x.shape)} it makes {tuple(one.shape)}")
                changed = (single != one).sum()
                if not torch.allclose(twice, 2.0 * one, rtol=1e-9, atol=0.0) or changed > 1:
                    raise AblateError("what it makes of a value hangs on more than that value")
        except AblateError:
            raise
        except Exception as error:
            raise AblateError(f"{type(error).__name__}: {error}") from None
        return found

    def called(self, x_TBD: Tensor, seed: int, *, training: bool = True) -> Tensor:
        """What a copy of the module makes of x, [T, B, D]."""
        return self.call(copy.deepcopy(self.module).train(training), x_TBD, seed)

    def call(self, module: nn.Module, x_TBD: Tensor, seed: int) -> Tensor:
        """What the module makes of x, [T, B, D]; a mask that it counts or keeps moves on."""
        # A copy, which the module may write into.
        given = x_TBD.clone()
        with seeded(seed):
            out = module(given.transpose(0, 1) if self.batch_first else given)
        if not isinstance(out, Tensor):
            raise AblateError(f"it makes a {type(out).__name__} of a tensor")
        return out.transpose(0, 1) if self.batch_first else out


def measure_dropout_layer(
    layer: DropoutLayer, edge: Edge | None, number: int, want: Expected | None
) -> Measurement:
    """The mask of the layer, or how surely it has none; `number` is that of the LSTM's layer."""

    def measure(batch: int) -> DirectMeasurement:
        ones = torch.ones(STEPS, batch, UNITS, dtype=torch.float64)

        def call(module: nn.Module, seed: int) -> Tensor:
            return layer.call(module, ones, seed)

        with torch.no_grad():
            drawn = [call(*before) for before in snapshots(layer.module, call, DRAWS)]
        values = cleaned(torch.stack(drawn).numpy(), 1e-9)
        evaluation = float(np.median(layer.called(ones, 0, training=False).detach().numpy()))
        sizes = {"time": STEPS, "batch": batch, "unit": UNITS, "update": DRAWS}
        at = MaskedEdge(edge or Edge.INPUT, number, evaluation, want, sizes, "" if edge else NAME)
        if not sharing.activity(values):
            return at.silent(values)
        order = ("time", "batch", "unit", "update")
        return at.masked(*sharing.apart(values, {axis: AXES[axis] for axis in order}))

    return measure_direct(measure, DRAWS, UNITS)


def check_dropout_layer(layer: DropoutLayer) -> tuple[Check, ...]:
    """The laws of every module, for a layer that only drops."""
    draws = torch.Generator().manual_seed(1)
    x, way, weights = (
        torch.randn(STEPS, BATCH, UNITS, generator=draws, dtype=torch.float64) for _ in range(3)
    )
    still, again = (layer.called(x, seed, training=False) for seed in (0, 1))
    module = copy.deepcopy(layer.module).train()
    before = parameters_of(module)
    with torch.no_grad():
        layer.call(module, x, 0)
    touched = any(not torch.equal(v, before[n]) for n, v in parameters_of(module).items())

    def total(x_TBD: Tensor) -> Tensor:
        return (layer.called(x_TBD, 0) * weights).sum()

    leaf = x.clone().requires_grad_()
    of_leaf = total(leaf)
    told = 0.0
    if of_leaf.requires_grad:
        told = float((torch.autograd.grad(of_leaf, leaf)[0] * way).sum())
    return (
        quiet(torch.equal(still, again)),
        untouched("a call changes a parameter itself" if touched else None),
        true_gradient("x", told, lambda step: float(total(x + step * way))),
    )
