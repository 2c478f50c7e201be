"""Audit of a layer that only drops, x -> x * mask: what comes of ones is the mask itself.

Shapes: N tosses, T time, B batch, D units.
"""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ablate.auditing import sharing
from ablate.auditing.checks import STEP, Check, quiet, same_slope, untouched
from ablate.auditing.direct import AXES, Look, rows_of_wide
from ablate.auditing.meaning import Meant
from ablate.auditing.measure import Measured
from ablate.auditing.probes import Array, cleaned
from ablate.auditing.subject import copied_module, parameters_of, seeded
from ablate.drops import ALL, Extent
from ablate.edges import Edge
from ablate.errors import AblateError

STEPS, BATCH, UNITS, TOSSES = 12, 8, 8, 24

NAME = "the layer's input"


@dataclass(frozen=True, slots=True)
class Bare:
    """A layer that multiplies its input [T, B, D], or [B, T, D], by a mask."""

    module: nn.Module
    batch_first: bool

    @classmethod
    def of(cls, module: nn.Module, *, batch_first: bool) -> "Bare":
        """Raises AblateError where the module does anything but multiply what it is given."""
        found = cls(copied_module(module), batch_first)
        x = 0.5 + torch.rand(
            STEPS, BATCH, UNITS, generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        other = x.clone()
        other[0, 0, 0] *= 2.0
        try:
            for training in (False, True):
                module = found.module.train(training)
                one = found.call(module, x, 0)
                if one.shape != x.shape:
                    raise AblateError(f"of {tuple(x.shape)} it makes {tuple(one.shape)}")
                twice, single = found.call(module, 2.0 * x, 0), found.call(module, other, 0)
                changed = (single != one).sum()
                if not torch.allclose(twice, 2.0 * one, rtol=1e-9, atol=0.0) or changed > 1:
                    raise AblateError("what it makes of a value hangs on more than that value")
        except AblateError:
            raise
        except Exception as error:
            raise AblateError(f"{type(error).__name__}: {error}") from None
        return found

    def call(self, module: nn.Module, x_TBD: Tensor, seed: int) -> Tensor:
        """What a copy of the module makes of x, [T, B, D]."""
        copied = copy.deepcopy(module)
        with seeded(seed):
            out = copied(x_TBD.transpose(0, 1) if self.batch_first else x_TBD)
        if not isinstance(out, Tensor):
            raise AblateError(f"it makes a {type(out).__name__} of a tensor")
        return out.transpose(0, 1) if self.batch_first else out


def measure_bare(bare: Bare, edge: Edge | None, layer: int, want: Meant | None) -> Measured:
    """The mask of the layer, or how surely it has none."""
    look = _look(bare, BATCH, edge, layer, want)
    if look.open:
        look = _look(bare, rows_of_wide(STEPS * TOSSES, UNITS), edge, layer, want)
    return look.measured


def _look(bare: Bare, batch: int, edge: Edge | None, layer: int, want: Meant | None) -> Look:
    ones = torch.ones(STEPS, batch, UNITS, dtype=torch.float64)
    module = bare.module.train()
    values = cleaned(
        torch.stack(list(itertools.islice(_draws(bare, module, ones), TOSSES))).numpy(), 1e-9
    )
    evaluation = float(np.median(bare.call(bare.module.eval(), ones, 0).detach().numpy()))
    sizes = {"time": STEPS, "batch": batch, "unit": UNITS, "update": TOSSES}
    at, name = edge or Edge.INPUT, "" if edge else NAME
    if not sharing.activity(values):
        return Look.silent(at, layer, values, evaluation, want, sizes)
    return Look.of(at, layer, *_apart(values), evaluation, want, sizes, name)


def _apart(values: Array) -> tuple[Array, dict[str, Extent]]:
    """One value for each decision, and who shares them."""
    shared: dict[str, Extent] = {}
    for axis in ("time", "batch", "unit", "update"):
        shared[axis] = sharing.extent(values, AXES[axis])
        values = sharing.first_of(values, AXES[axis], shared[axis] or ALL)
    return values, shared


def _draws(bare: Bare, module: nn.Module, x_TBD: Tensor) -> Iterator[Tensor]:
    """What the module makes of x in consecutive calls."""
    walker = copy.deepcopy(module)
    for seed in itertools.count():
        with torch.no_grad(), seeded(seed):
            out = walker(x_TBD.transpose(0, 1) if bare.batch_first else x_TBD)
        yield out.transpose(0, 1) if bare.batch_first else out


def check_bare(bare: Bare) -> tuple[Check, ...]:
    """The laws of every module, for a layer that only drops."""
    draws = torch.Generator().manual_seed(1)
    x, way, weights = (
        torch.randn(STEPS, BATCH, UNITS, generator=draws, dtype=torch.float64) for _ in range(3)
    )
    module = bare.module.eval()
    still = torch.equal(bare.call(module, x, 0), bare.call(module, x, 1))
    module = copy.deepcopy(bare.module).train()
    before = parameters_of(module)
    with torch.no_grad(), seeded(0):
        module(x)
    touched = any(not torch.equal(v, before[n]) for n, v in parameters_of(module).items())
    module, leaf = bare.module.train(), x.clone().requires_grad_()
    total = (bare.call(module, leaf, 0) * weights).sum()
    told = 0.0
    if total.requires_grad:
        told = float((torch.autograd.grad(total, leaf)[0] * way).sum())
    up, down = (
        float((bare.call(module, x + sign * STEP * way, 0) * weights).sum()) for sign in (1, -1)
    )
    slope = (up - down) / (2.0 * STEP)
    true = same_slope(told, slope)
    return (
        quiet(still),
        untouched("a call changes a parameter itself" if touched else None),
        Check(
            "gradients",
            true,
            "the gradient of x is that of what is computed, masks included"
            if true
            else f"the gradient of x is not that of what is computed: the backward pass says "
            f"{told:.4g}, a small step says {slope:.4g}; it does not see the mask that the "
            "forward pass used",
        ),
    )
