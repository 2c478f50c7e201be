"""Audit of a module with the interface of `torch.nn.Embedding`: which words it drops, and when.

With a table of ones what comes out is the mask itself, so that everything is read directly.

Shapes: T time, B batch, D embedding, N tosses.
"""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ablate.auditing import sharing
from ablate.auditing.checks import EXACT, STEP, Check
from ablate.auditing.findings import Finding
from ablate.auditing.probes import Array, cleaned
from ablate.auditing.subject import parameters_of, seeded
from ablate.drops import ALL, Extent, Fill
from ablate.edges import Edge
from ablate.errors import AblateError

STEPS, BATCH, TOSSES = 12, 8, 48


@dataclass(frozen=True, slots=True)
class Words:
    """An embedding in float64, with the name of its table; tokens are [T, B] or [B, T]."""

    module: nn.Module
    table: str
    batch_first: bool

    @classmethod
    def of(cls, module: nn.Module, *, batch_first: bool) -> "Words":
        """Raises AblateError where the module has not one table of words, or less than two."""
        tables = {n: tuple(p.shape) for n, p in module.named_parameters() if p.dim() == 2}
        if len(tables) != 1:
            raise AblateError(
                "an audit of words needs a module with one matrix, the table of its words, as "
                f"torch.nn.Embedding has; this one has {', '.join(tables) or 'none'}"
            )
        ((name, shape),) = tables.items()
        if shape[0] < 2:
            raise AblateError(f"an audit of words needs two of them at least, got {shape[0]}")
        found = cls(copy.deepcopy(module).double(), name, batch_first)
        tokens = torch.zeros(2, 3, dtype=torch.int64)
        try:
            shape_of_call = tuple(found.call(found.ready(found.module), tokens, 0).shape)
        except Exception as error:
            raise AblateError(
                "an audit calls module(x, (h_0, c_0)) of an LSTM, or module(tokens) of an "
                f"embedding; this module has no weight_hh and takes no tokens: {error}"
            ) from None
        if shape_of_call != (2, 3, shape[1]):
            raise AblateError(
                "an embedding makes vectors [T, B, D] of tokens [T, B]; this module made "
                f"{shape_of_call} of (2, 3)"
            )
        return found

    def ready(self, before: nn.Module, *, training: bool = True) -> nn.Module:
        """A copy with every entry of its table 1."""
        module = copy.deepcopy(before).train(training)
        with torch.no_grad():
            dict(module.named_parameters())[self.table].fill_(1.0)
        return module

    def call(self, module: nn.Module, tokens_TB: Tensor, seed: int) -> Tensor:
        """The vectors [T, B, D]."""
        with seeded(seed):
            out = module(tokens_TB.t() if self.batch_first else tokens_TB)
        return out.transpose(0, 1) if self.batch_first else out


def measure_words(words: Words) -> tuple[Finding, ...]:
    """The mask on words that acts in the module, if one does."""
    same = torch.zeros(STEPS, BATCH, dtype=torch.int64)
    # Row 0 repeats one word, and no two steps are alike in all rows: the others count in binary.
    apart = (torch.arange(STEPS)[:, None] >> torch.arange(BATCH).clamp(min=1).sub(1)) & 1
    apart[:, 0] = 0
    mixed = (torch.arange(STEPS) % 2)[:, None].expand(STEPS, BATCH).contiguous()
    snapshots = list(itertools.islice(_walk(words, same), TOSSES))
    one = _factors(words, snapshots, same)
    if not sharing.activity(one) and not sharing.activity(_factors(words, snapshots, mixed)):
        return ()
    repeated = _factors(words, list(itertools.islice(_walk(words, apart), TOSSES)), apart)[:, :, :1]
    shared: dict[str, Extent] = {}
    values = one
    for axis, number in (("unit", 3), ("time", 1), ("batch", 2), ("update", 0)):
        shared[axis] = sharing.extent(repeated if axis == "time" else values, number)
        values = sharing.first_of(values, number, shared[axis])
    if shared["time"] is ALL:
        shared["word"] = _of_words(_factors(words, snapshots, mixed))
    known = values[~np.isnan(values)]
    alive = known[known != 0.0]
    rate = float((known == 0.0).mean())
    still = words.call(words.ready(snapshots[0][0], training=False), same, 0).detach().numpy()
    return (
        Finding(
            edge=Edge.EMBEDDING,
            layer=0,
            fill=Fill.ZERO,
            rate=rate,
            error=(max(rate * (1.0 - rate), 1.0 / known.size) / known.size) ** 0.5,
            kept=float(np.median(alive)) if alive.size else 0.0,
            evaluation=float(np.median(still)),
            sharing=shared,
            seen=known.size,
        ),
    )


def check_words(words: Words) -> tuple[Check, ...]:
    """The laws of every module, for words."""
    tokens = (torch.arange(STEPS * BATCH) % 2).view(STEPS, BATCH)
    module = words.ready(words.module, training=False)
    still = torch.equal(words.call(module, tokens, 0), words.call(module, tokens, 1))
    module = words.ready(words.module)
    before = parameters_of(module)
    out = words.call(module, tokens, 0)
    touched = not torch.equal(parameters_of(module)[words.table], before[words.table])
    table = dict(module.named_parameters())[words.table]
    way = torch.linspace(-1.0, 1.0, table.numel(), dtype=torch.float64).view_as(table)
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=torch.float64).view_as(out)
    told = float((torch.autograd.grad((out * weights).sum(), table)[0] * way).sum())
    sums = []
    for sign in (1, -1):
        moved = words.ready(words.module)
        with torch.no_grad():
            dict(moved.named_parameters())[words.table].add_(sign * STEP * way)
            sums.append(float((words.call(moved, tokens, 0) * weights).sum()))
    slope = (sums[0] - sums[1]) / (2.0 * STEP)
    true = abs(told - slope) <= EXACT * max(abs(slope), 1e-3)
    return (
        Check(
            "evaluation",
            still,
            "evaluation tosses nothing"
            if still
            else "two calls in evaluation mode differ: something is still tossed",
        ),
        Check(
            "parameters",
            not touched,
            "a call changes the table itself: words that are dropped are gone for good"
            if touched
            else "a call leaves the parameters as they are",
        ),
        Check(
            "gradients",
            true,
            "the gradient of the table is that of what is computed, masks included"
            if true
            else f"the gradient of the table is not that of what is computed: the backward pass "
            f"says {told:.4g}, a small step says {slope:.4g}",
        ),
    )


def _walk(words: Words, tokens_TB: Tensor) -> Iterator[tuple[nn.Module, int]]:
    """The module as it is before each of its consecutive calls, and the call's seed."""
    walker = copy.deepcopy(words.module).train()
    for seed in itertools.count():
        yield copy.deepcopy(walker), seed
        with torch.no_grad():
            words.call(walker, tokens_TB, seed)


def _factors(words: Words, snapshots: list[tuple[nn.Module, int]], tokens_TB: Tensor) -> Array:
    """What the words are multiplied by, [N, T, B, D]."""
    with torch.no_grad():
        drawn = [words.call(words.ready(module), tokens_TB, seed) for module, seed in snapshots]
    return cleaned(torch.stack(drawn).numpy(), 1e-4)


def _of_words(values: Array) -> Extent:
    """Whether two words of a row, one at even and one at odd steps, share a decision."""
    return sharing.extent(values[:, :2], 1)
