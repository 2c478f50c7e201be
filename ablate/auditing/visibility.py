"""Whether what is returned shows the top layer's units one by one, as a measurement presumes.

Whatever masks lie between, y is then a number times each unit's own h: twice the h is twice the y,
one unit's h is in one unit's y, no h is no y. A normalisation, a softmax or a matrix behind the
layers breaks one of these, and an OUTPUT mask seen through it would be a guess.

Shapes: T time, B batch, H hidden, L layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ablate.auditing.calling import CallResult
from ablate.auditing.probes import CARRIED, SIGNAL, biases
from ablate.auditing.subject import MaskDraw, Setting, Subject

_BATCH = 4

_NORMAL = "a normalisation or a matrix over units stands behind the layers"


@dataclass(frozen=True, slots=True)
class Visibility:
    """hidden: why y does not show the top layer's units, empty where it does; beside: what else
    reaches y around the layers, empty where nothing does; rows_meet: rows meet behind the layers.
    """

    hidden: str = ""
    beside: str = ""
    rows_meet: bool = False


def find_visibility(subject: Subject) -> Visibility:
    """Look at y with cells of a choice, in evaluation and at one draw of training."""
    draw = MaskDraw(subject.module, 0, 1, _BATCH)
    shape = (subject.layers, _BATCH, subject.hidden)
    draws = torch.Generator().manual_seed(0)
    cells = SIGNAL * (0.5 + torch.rand(shape, generator=draws, dtype=torch.float64))
    x = torch.rand(1, _BATCH, subject.inputs, generator=draws, dtype=torch.float64)
    found = Visibility(subject.sequence_hidden)
    for training in (False, True):
        if not found.hidden:
            found = _look(subject, draw, cells, x, training=training)
    return found


def _look(
    subject: Subject, draw: MaskDraw, cells: Tensor, x: Tensor, *, training: bool
) -> Visibility:
    gates = biases(subject, CARRIED)

    def call(c0: Tensor, given: Tensor | float = 0.0) -> CallResult:
        return subject.call(draw, Setting(gates, x=given, c0=c0), training=training)

    one = call(cells).y_TBH[0]
    if not training and float(one.abs().max()) < 1e-9 * SIGNAL:
        return Visibility("what is returned does not depend on the top layer's h")
    none = call(torch.zeros_like(cells)).y_TBH[0]
    if _differ(none, torch.zeros_like(none)):
        if not _differ(none, one):
            return Visibility("what is returned does not depend on the top layer's h")
        return Visibility(
            "what is returned is not 0 where h is: a softmax, a bias or a normalisation stands "
            "behind the layers"
        )
    other_unit, other_row = cells.clone(), cells.clone()
    other_unit[..., 0] *= 2.0
    other_row[:, 0] *= 2.0
    rows = call(other_row).y_TBH[0]
    if _differ(rows[1:], one[1:]):
        return Visibility(
            "rows of the batch are mixed behind the layers, as a batch normalisation mixes them",
            rows_meet=True,
        )
    if _differ(call(other_unit).y_TBH[0][..., 1:], one[..., 1:]):
        return Visibility(f"units are mixed: {_NORMAL}")
    if _differ(call(2.0 * cells).y_TBH[0], 2.0 * one):
        return Visibility(
            f"twice the h is not twice what is returned: {_NORMAL}, or a bent function"
        )
    if _differ(call(cells, x).y_TBH[0], one):
        return Visibility(beside="the input reaches what is returned around the layers as well")
    return Visibility()


def _differ(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) > 1e-6 * SIGNAL
