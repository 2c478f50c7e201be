"""Whether units are seen one by one where a module begins and ends, as a measurement presumes.

Whatever masks lie between, y is a number times each unit's own h: twice the h is twice the y, one
unit's h is in one unit's y, no h is no y. A normalisation, a softmax or a matrix behind the layers
breaks one of these, and an OUTPUT mask seen through it would be a guess. So it is with what a
layer's gates read of x, of the layer below and of its own h.

Shapes: T time, B batch, H hidden, L layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ablate.auditing.calling import CallResult
from ablate.auditing.probes import CARRIED, NOTHING, OPEN, PASS, SHUT, SIGNAL, biases, reader
from ablate.auditing.subject import MaskDraw, Setting, Subject

_BATCH = 4
_ALIKE = 1e-6 * SIGNAL  # what rounding leaves of two values that are one

_HANDED_ON = (SHUT, OPEN, 0.0, OPEN)  # the state is the cell that was given

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


def find_unread(subject: Subject) -> dict[tuple[int, str], str]:
    """Why what a layer's gates read is not what is given, by (layer, kind of its weights).

    In training masks are in between, which are the same at each look; in evaluation there are none,
    and every unit is multiplied by one number.
    """
    found = {}
    for layer in range(subject.layers):
        for kind in ("weight_ih", "weight_hh"):
            looks = (_look_in(subject, layer, kind, training=mode) for mode in (False, True))
            why = next(filter(None, looks), "")
            if why:
                found[layer, kind] = why
    return found


def _look_in(subject: Subject, layer: int, kind: str, *, training: bool) -> str:
    """Look at what the gate g of `layer` reads of units of a choice."""
    draw = MaskDraw(subject.module, 0, 1, _BATCH)
    of_input = kind == "weight_ih" and layer == 0
    columns = subject.inputs if of_input else subject.hidden
    units = min(columns, subject.hidden)
    gates = biases(subject, NOTHING) | {layer: biases(subject, PASS)[layer]}
    below = layer - (kind == "weight_ih")
    if below < layer and not of_input:
        gates[below] = biases(subject, _HANDED_ON)[below]
    weights = {(layer, kind): reader(subject, 2, columns, 0, 1.0)}
    draws = torch.Generator().manual_seed(0)
    given = SIGNAL * (0.5 + torch.rand(_BATCH, columns, generator=draws, dtype=torch.float64))

    def read(given: Tensor) -> Tensor:
        whole = torch.zeros(subject.layers, *given.shape, dtype=torch.float64)
        whole[below] = given
        if of_input:
            signals = {"x": given[None]}
        else:
            signals = {"c0" if below < layer else "h0": whole}
        setting = Setting(gates, weights, **signals)
        return subject.call(draw, setting, training=training).c_LBH[layer, :, :units]

    where = f"what the gates read of {_given(layer, kind)}"
    one, none, other = read(given), read(torch.zeros_like(given)), given.clone()
    if _differ(none, torch.zeros_like(none)):
        return f"{where} is not 0 where that is: a bias or a normalisation stands before it"
    other[0, 0] *= 2.0
    moved = (read(other) - one).abs() > _ALIKE
    if moved[1:].any():
        return f"{where} mixes rows of the batch, as a batch normalisation does"
    if moved.sum() > 1:
        return f"{where} mixes units: a matrix or a normalisation stands before it"
    if _differ(read(2.0 * given), 2.0 * one):
        return f"{where} does not double with it: a normalisation or a bent function"
    alike = read(torch.full_like(given, SIGNAL))
    if not training and _differ(alike, alike[:1, :1].expand_as(alike)):
        return f"{where} is multiplied by another number for each unit, without any mask"
    return ""


def _given(layer: int, kind: str) -> str:
    if kind == "weight_hh":
        return "the state"
    return "the layer below" if layer else "x"


def _differ(one: Tensor, other: Tensor) -> bool:
    return bool(((one - other).abs() > _ALIKE).any())
