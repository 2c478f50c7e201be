"""Audit of a module with the interface of `torch.nn.Embedding`: which words it drops, and when.

With one number in the whole table what comes out is the mask itself, so that all is read directly.

Shapes: T time, B batch, D embedding, N draws.
"""

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from ablate.auditing import sharing
from ablate.auditing.checks import Check, quiet, true_gradient, untouched
from ablate.auditing.direct import (
    AXES,
    BATCH,
    STEPS,
    DirectMeasurement,
    MaskedEdge,
    measure_direct,
    snapshots,
)
from ablate.auditing.drafts import UNITS
from ablate.auditing.layer_edges import Expected
from ablate.auditing.measure import Measurement
from ablate.auditing.probes import Array, cleaned
from ablate.auditing.subject import copied_module, seeded
from ablate.drops import ALL, Extent
from ablate.edges import Edge
from ablate.errors import AblateError, WrongValue

DRAWS: Final = 48
# Words too short for a largest norm; a power of two divides out exactly.
ENTRY: Final = 2.0**-20


@dataclass(frozen=True, slots=True)
class EmbeddingSubject:
    """An embedding in float64, with the name and the [count, width] of its table.

    Tokens are [T, B] or [B, T].
    """

    module: nn.Module
    table: str
    batch_first: bool
    count: int
    width: int

    @classmethod
    def of(cls, module: nn.Module, *, batch_first: bool) -> "EmbeddingSubject":
        """Raises AblateError where the module has not one table of words, or less than two."""
        tables = {n: tuple(p.shape) for n, p in module.named_parameters() if p.dim() == 2}
        if len(tables) != 1:
            raise AblateError(
                "it needs one matrix, the table of its words, as torch.nn.Embedding has; this one "
                f"has {', '.join(tables) or 'none'}"
            )
        ((name, shape),) = tables.items()
        if shape[0] < 2:
            raise WrongValue("an audit of words", "two of them at least", shape[0])
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

    def ready(self, before: nn.Module, *, training: bool = True, entry: float = ENTRY) -> nn.Module:
        """A copy with one number in every entry of its table."""
        module = copy.deepcopy(before).train(training)
        with torch.no_grad():
            dict(module.named_parameters())[self.table].fill_(entry)
        return module

    def touches(self, tokens_TB: Tensor, *, training: bool) -> bool:
        """Whether a call changes the table itself."""
        module = self.ready(self.module, training=training, entry=1.0)
        self.call(module, tokens_TB, 0)
        table = dict(module.named_parameters())[self.table]
        return not torch.equal(table, torch.ones_like(table))

    def call(self, module: nn.Module, tokens_TB: Tensor, seed: int) -> Tensor:
        """The vectors [T, B, D]."""
        with seeded(seed):
            out = module(tokens_TB.t() if self.batch_first else tokens_TB)
        return out.transpose(0, 1) if self.batch_first else out


def measure_embedding(words: EmbeddingSubject, want: Expected | None = None) -> Measurement:
    """The mask on words that acts in the module, if one does, or how surely none does."""
    return measure_direct(lambda batch: _measure(words, batch, want), DRAWS, words.width)


def _measure(words: EmbeddingSubject, batch: int, want: Expected | None) -> DirectMeasurement:
    same = torch.zeros(STEPS, batch, dtype=torch.int64)
    # Row 0 repeats one word, and no two steps are alike in all rows: the others count in binary.
    apart = (torch.arange(STEPS)[:, None] >> (torch.arange(batch).clamp(min=1) - 1) % 8) & 1
    apart[:, 0] = 0
    mixed = (torch.arange(STEPS) % 2)[:, None].expand(STEPS, batch).contiguous()
    # As many words as there are steps, if there are: each is a decision of its own.
    many = (torch.arange(STEPS) % words.count)[:, None].expand(STEPS, batch).contiguous()
    before = _snapshots(words, same)
    one, every = _factors(words, before, same), _factors(words, before, many)
    still = words.call(words.ready(before[0][0], training=False), same, 0).detach().numpy()
    evaluation = float(np.median(still)) / ENTRY
    sizes = {"batch": BATCH, "update": DRAWS}
    if not sharing.activity(one) and not sharing.activity(every):
        at = MaskedEdge(Edge.EMBEDDING, 0, evaluation, want, sizes)
        return at.silent(every[:, : words.count])
    repeated = _factors(words, _snapshots(words, apart), apart)[:, :, :1]
    shared: dict[str, Extent] = {}
    for axis, values in (("unit", one), ("time", repeated), ("batch", one), ("update", one)):
        # One value for each decision along the axes that were looked at before.
        known = {name: AXES[name] for name in shared}
        shared[axis] = sharing.extent(sharing.decisions(values, known, shared), AXES[axis])
    values = every
    if shared["time"] is ALL:
        # Whether two words of a row, one at even and one at odd steps, share a decision.
        shared["word"] = sharing.extent(_factors(words, before, mixed)[:, :2], 1)
        values = every[:, : words.count if shared["word"] == 1 else 1]
    elif shared["time"] is None:
        values = every[:, :1]
    axes = {axis: AXES[axis] for axis in ("unit", "batch", "update")}
    at = MaskedEdge(Edge.EMBEDDING, 0, evaluation, want, sizes | {"batch": batch})
    return at.masked(sharing.decisions(values, axes, shared), shared)


def check_embedding(words: EmbeddingSubject) -> tuple[Check, ...]:
    """The laws of every module, for words."""
    tokens = (torch.arange(STEPS * BATCH) % 2).view(STEPS, BATCH)
    module = words.ready(words.module, training=False)
    still = torch.equal(words.call(module, tokens, 0), words.call(module, tokens, 1))
    module = words.ready(words.module)
    out = words.call(module, tokens, 0)
    table = dict(module.named_parameters())[words.table]
    way = torch.linspace(-1.0, 1.0, table.numel(), dtype=torch.float64).view_as(table)
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=torch.float64).view_as(out)
    told = float((torch.autograd.grad((out * weights).sum(), table)[0] * way).sum())

    def total(step: float) -> float:
        moved = words.ready(words.module)
        with torch.no_grad():
            dict(moved.named_parameters())[words.table].add_(step * way)
            return float((words.call(moved, tokens, 0) * weights).sum())

    return (
        quiet(still),
        untouched(_touched(words, tokens)),
        true_gradient("the table", told, total),
    )


def _touched(words: EmbeddingSubject, tokens_TB: Tensor) -> str | None:
    if words.touches(tokens_TB, training=False):
        return (
            "a call changes the table itself, in evaluation too, as max_norm does: words that are "
            "too long are shortened for good"
        )
    if words.touches(tokens_TB, training=True):
        return "a call changes the table itself: words that are dropped are gone for good"
    return None


def _snapshots(words: EmbeddingSubject, tokens_TB: Tensor) -> list[tuple[nn.Module, int]]:
    return snapshots(words.module, lambda m, seed: words.call(m, tokens_TB, seed), DRAWS)


def _factors(
    words: EmbeddingSubject, before: list[tuple[nn.Module, int]], tokens_TB: Tensor
) -> Array:
    """What the words are multiplied by, [N, T, B, D]."""
    with torch.no_grad():
        drawn = [
            words.call(words.ready(module), tokens_TB, seed)[..., :UNITS] / ENTRY
            for module, seed in before
        ]
    return cleaned(torch.stack(drawn).numpy(), 1e-4)
