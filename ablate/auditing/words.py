"""Audit of a module with the interface of `torch.nn.Embedding`: which words it drops, and when.

With a table of ones what comes out is the mask itself, so that everything is read directly.

Shapes: T time, B batch, D embedding, N tosses.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ablate.auditing import sharing
from ablate.auditing.checks import STEP, Check, quiet, same_slope, untouched
from ablate.auditing.direct import AXES, Look, rows_of_wide
from ablate.auditing.drafts import UNITS
from ablate.auditing.meaning import Meant
from ablate.auditing.measure import Measured
from ablate.auditing.probes import Array, cleaned
from ablate.auditing.subject import copied_module, parameters_of, seeded
from ablate.drops import ALL, Extent
from ablate.edges import Edge
from ablate.errors import AblateError

STEPS, BATCH, TOSSES = 12, 8, 48


@dataclass(frozen=True, slots=True)
class Words:
    """An embedding in float64, with the name and the [count, width] of its table.

    Tokens are [T, B] or [B, T].
    """

    module: nn.Module
    table: str
    batch_first: bool
    count: int
    width: int

    @classmethod
    def of(cls, module: nn.Module, *, batch_first: bool) -> "Words":
        """Raises AblateError where the module has not one table of words, or less than two."""
        tables = {n: tuple(p.shape) for n, p in module.named_parameters() if p.dim() == 2}
        if len(tables) != 1:
            raise AblateError(
                "it needs one matrix, the table of its words, as torch.nn.Embedding has; this one "
                f"has {', '.join(tables) or 'none'}"
            )
        ((name, shape),) = tables.items()
        if shape[0] < 2:
            raise AblateError(f"an audit of words needs two of them at least, got {shape[0]}")
        found = cls(copied_module(module), name, batch_first, shape[0], shape[1])
        tokens = torch.zeros(2, 3, dtype=torch.int64)
        try:
            shape_of_call = tuple(found.call(found.ready(found.module), tokens, 0).shape)
        except Exception as error:
            raise AblateError(f"it takes no tokens ({error})") from None
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


def measure_words(words: Words, want: Meant | None = None) -> Measured:
    """The mask on words that acts in the module, if one does, or how surely none does."""
    look = _look(words, BATCH, want)
    if look.open:
        look = _look(words, rows_of_wide(STEPS * TOSSES, words.width), want)
    return look.measured


def _look(words: Words, batch: int, want: Meant | None) -> Look:
    same = torch.zeros(STEPS, batch, dtype=torch.int64)
    # Row 0 repeats one word, and no two steps are alike in all rows: the others count in binary.
    apart = (torch.arange(STEPS)[:, None] >> (torch.arange(batch).clamp(min=1) - 1) % 8) & 1
    apart[:, 0] = 0
    mixed = (torch.arange(STEPS) % 2)[:, None].expand(STEPS, batch).contiguous()
    # As many words as there are steps, if there are: each is a decision of its own.
    many = (torch.arange(STEPS) % words.count)[:, None].expand(STEPS, batch).contiguous()
    snapshots = list(itertools.islice(_walk(words, same), TOSSES))
    one, every = _factors(words, snapshots, same), _factors(words, snapshots, many)
    still = words.call(words.ready(snapshots[0][0], training=False), same, 0).detach().numpy()
    evaluation = float(np.median(still))
    if not sharing.activity(one) and not sharing.activity(every):
        return Look.silent(Edge.EMBEDDING, 0, every[:, : words.count], evaluation, want, _SIZES)
    repeated = _factors(words, list(itertools.islice(_walk(words, apart), TOSSES)), apart)[:, :, :1]
    shared: dict[str, Extent] = {}
    for axis, values, number in (
        ("unit", one, 3),
        ("time", repeated, 1),
        ("batch", one, 2),
        ("update", one, 0),
    ):
        shared[axis] = sharing.extent(_reduced(values, shared, axis), number)
    values = every
    if shared["time"] is ALL:
        shared["word"] = _of_words(_factors(words, snapshots, mixed))
        own = words.count if shared["word"] == 1 else 1
        values = every[:, :own]
    elif shared["time"] is None:
        values = every[:, :1]
    for axis in ("unit", "batch", "update"):
        values = sharing.first_of(values, AXES[axis], shared[axis] or ALL)
    return Look.of(Edge.EMBEDDING, 0, values, shared, evaluation, want, _SIZES | {"batch": batch})


_SIZES = {"batch": BATCH, "update": TOSSES}


def _reduced(values: Array, shared: Mapping[str, Extent], axis: str) -> Array:
    """One value for each decision along the axes that were looked at before."""
    for known, extent in shared.items():
        if known != axis:
            values = sharing.first_of(values, AXES[known], extent or ALL)
    return values


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
    true = same_slope(told, slope)
    return (
        quiet(still),
        untouched(
            "a call changes the table itself: words that are dropped are gone for good"
            if touched
            else None
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
        drawn = [
            words.call(words.ready(module), tokens_TB, seed)[..., :UNITS]
            for module, seed in snapshots
        ]
    return cleaned(torch.stack(drawn).numpy(), 1e-4)


def _of_words(values: Array) -> Extent:
    """Whether two words of a row, one at even and one at odd steps, share a decision."""
    return sharing.extent(values[:, :2], 1)
