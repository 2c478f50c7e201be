"""Settings of weights that make an LSTM a measuring instrument, and what they show of one draw.

Gates are opened (1), shut (0) or half open (1/2) by their biases, values are so small that tanh is
the identity, and weights are zero but for those of the path under study. Then what comes out is a
known number times the masks on that path. Two kinds of path are enough:

    carried   c_0 -> c_T and s_T with the forget gate half open: CELL, CARRY and HIDDEN, and
              every step at which the old value was held leaves a factor of two
    written   a bias of g -> c_T, s_T and y: also UPDATE and OUTPUT, each step by itself

and one kind of difference: a weight is raised a little, and the relative change of what comes out
is the change of one gate's z, whatever masks lie behind that gate. So INPUT, INTERLAYER, RECURRENT
and WEIGHT are read gate by gate.

Shapes: T time, B batch, D input, H hidden, L layers, G gates i, f, g, o.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablate.auditing.calling import CallResult
from ablate.auditing.subject import MaskDraw, Setting, Subject

Array = NDArray[np.float64]

SIGNAL = 1e-5  # values: tanh bends them by a part in 3e10, ten thousandfold ones by a thousandth
RISE = 1e-8  # what a raised weight adds to z: changes of second order are lost in rounding
DEAD = 1e-9  # smaller than this part of what was sent: nothing came
# Two factors closer than this part are one: kept values are read to a part in 1e7.
CLOSE = 2e-5
# A gate's multiplier is read to 3e-8 of what was sent in full: what was sent more faintly than this
# part would not be read to CLOSE.
FAINT = 5e-3

SHUT, FORWARD_OUTPUT, OPEN = -40.0, 0.0, 40.0  # sigmoid: 0, 1/2 and 1 to the last bit
WRITE = float(np.arctanh(SIGNAL))  # the bias at which g is SIGNAL

# Biases (i, f, g, o) at which a gate's z shows as a relative change, and how much z one part is.
_GATES = {
    0: ((FORWARD_OUTPUT, SHUT, WRITE, OPEN), 2.0),
    1: ((SHUT, FORWARD_OUTPUT, 0.0, OPEN), 2.0),
    2: ((OPEN, SHUT, WRITE, OPEN), SIGNAL / (1.0 - SIGNAL**2)),
    3: ((OPEN, SHUT, WRITE, FORWARD_OUTPUT), 2.0),
}
WRITTEN = _GATES[2][0]
CARRIED = _GATES[1][0]
NOTHING = (SHUT, SHUT, 0.0, OPEN)
PASS = (OPEN, SHUT, 0.0, OPEN)


def biases(subject: Subject, gates: tuple[float, ...]) -> dict[int, Tensor]:
    """The same biases (i, f, g, o) for every unit of every layer."""
    one = torch.tensor(gates, dtype=torch.float64).repeat_interleave(subject.hidden)
    return dict.fromkeys(range(subject.layers), one)


def reader(subject: Subject, gate: int, columns: int, shift: int, weight: float) -> Tensor:
    """A weight [4H, X] with which row j of `gate` reads unit (j + shift) mod X."""
    rows = torch.arange(subject.hidden)
    made = torch.zeros(4, subject.hidden, columns, dtype=torch.float64)
    made[gate, rows, (rows + shift) % columns] = weight
    return made.flatten(0, 1)


def shifts(subject: Subject, columns: int, *further: int) -> tuple[int, ...]:
    """Shifts under which every unit is read, most of them by several rows."""
    wide = range(0, columns, subject.hidden)
    return tuple(dict.fromkeys([*wide, *(shift % columns for shift in further)]))


def shown_of(subject: Subject, out: CallResult) -> CallResult:
    """What came out, y not seen where it tells nothing of the units."""
    if not subject.sequence_hidden:
        return out
    return out._replace(y_TBH=torch.full_like(out.y_TBH, torch.nan))


def z_change(base: CallResult, raised: CallResult, gate: int, *, h0: float, c0: float) -> Array:
    """How much each unit's z of `gate` rose in the last step, [L, B, H]; NaN where nothing shows.

    It is read off the cell, and off the state where nothing of the cell came through or the gate is
    the output's. Where a unit holds its old value, what it shows is not of this step.
    """
    found = _relative(base.s_LBH, raised.s_LBH, h0)
    if gate != 3:
        of_cell = _relative(base.c_LBH, raised.c_LBH, c0)
        through = abs(base.c_LBH.numpy()) > DEAD * SIGNAL
        found = np.where(through, of_cell, found)
    return found * _GATES[gate][1]


def _relative(before: Tensor, after: Tensor, old: float) -> Array:
    value, raised = before.numpy(), after.numpy()
    seen = (abs(value) > DEAD * SIGNAL) & (abs(value - old) > DEAD * SIGNAL)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(seen, (raised - value) / value, np.nan)


def multiplier(z: Array, sent: Array | float = 1.0) -> Array:
    """What a gate read of a rise in z, by what was sent; NaN where that was too faint.

    All gates read one multiplier as one: none is nothing to one gate and something to another.
    """
    read = z / RISE
    read = np.where(abs(read) < CLOSE / 2.0, 0.0, read)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(abs(np.nan_to_num(sent)) < FAINT, np.nan, read / sent)


def ratio(value: Array, sent: Array) -> Array:
    """What came of what was sent; NaN where nothing was, or where that is not seen."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.nan_to_num(sent) == 0.0, np.nan, value / sent)


def cleaned(values: Array, unit: float) -> Array:
    """Zero what is nothing but rounding."""
    return np.where(abs(values) < 1e-4 * unit, 0.0, values)


@dataclass(frozen=True, slots=True)
class StepReadings:
    """What one draw of a single step shows, each a factor relative to what was sent.

    width: units of the input. Of layers, [L, B, H]: carried_c, carried_s, written_c, written_s as
    above; kept_c, kept_s, kept_h, what is held of an old cell or state where nothing is written. Of
    the top, [B, H]: written_y and kept_y, what of it reached y. By (layer, gate, shift), [B, H]:
    input, recurrent.
    By layer: kept_up, what the layer reads of a state held below it; unsent, where the layer above
    read something although the state handed on is zero.
    """

    width: int
    carried_c: Array
    carried_s: Array
    written_c: Array
    written_s: Array
    written_y: Array
    kept_c: Array
    kept_s: Array
    kept_h: Array
    kept_y: Array
    input: dict[tuple[int, int, int], Array]
    recurrent: dict[tuple[int, int, int], Array]
    kept_up: dict[int, Array]
    unsent: dict[int, Array]


def read_step(subject: Subject, draw: MaskDraw, *, training: bool = True) -> StepReadings:
    """Look at one draw of a one-step window."""

    def call(
        gates: tuple[float, ...],
        weights: Mapping[tuple[int, str], Tensor] | None = None,
        **signals: float,
    ) -> CallResult:
        setting = Setting(biases(subject, gates), weights or {}, **signals)
        return shown_of(subject, subject.call(draw, setting, training=training))

    def part(tensor: Tensor, sent: float = SIGNAL) -> Array:
        return cleaned(tensor.numpy() / sent, 1e-4)

    def changed(
        base: CallResult, raised: CallResult, gate: int, *, c0: float, h0: float = 0.0
    ) -> Array:
        z = z_change(base, raised, gate, h0=h0, c0=c0)
        # A cell that is held shows its old value in the state too, where CARRY drops it itself.
        return np.where(part(kept_c.s_LBH) != 0.0, np.nan, z) if c0 else z

    carried = call(CARRIED, c0=SIGNAL)
    written = call(WRITTEN)
    kept_c = call(NOTHING, c0=SIGNAL)
    kept_h = call(NOTHING, h0=SIGNAL)
    inputs: dict[tuple[int, int, int], Array] = {}
    recurrent: dict[tuple[int, int, int], Array] = {}
    unsent: dict[int, Array] = {}
    for gate, (gates, _) in _GATES.items():
        c0 = SIGNAL if gate == 1 else 0.0
        base = call(gates, c0=c0)
        for number, (first, above) in enumerate(_shift_pairs(subject)):
            weights = {(0, "weight_ih"): reader(subject, gate, subject.inputs, first, 1.0)}
            weight = reader(subject, gate, subject.hidden, above, RISE / SIGNAL)
            weights |= {(layer, "weight_ih"): weight for layer in range(1, subject.layers)}
            raised = call(gates, weights, x=RISE, c0=c0)
            z = changed(base, raised, gate, c0=c0)
            for layer in range(subject.layers):
                sent = np.ones(z.shape[1:])
                if layer:
                    # What the layer below wrote rose with what it read.
                    sent = np.roll(part(raised.s_LBH[layer - 1]), -above, axis=-1)
                if layer and (gate, above) == (0, 0):
                    heard = np.nan_to_num(multiplier(z[layer])) != 0.0
                    unsent[layer - 1] = (
                        (sent == 0.0) & heard & (not subject.upward_hidden(layer - 1))
                    )
                if layer == 0 or number < len(shifts(subject, subject.hidden, 1)):
                    shift = above if layer else first
                    read = multiplier(z[layer], sent)
                    inputs[layer, gate, shift] = _unless_unread(subject, layer, "weight_ih", read)
        base = call(gates, h0=SIGNAL, c0=c0)
        for shift in shifts(subject, subject.hidden, 1, 3):
            weight = reader(subject, gate, subject.hidden, shift, RISE / SIGNAL)
            weights = {(layer, "weight_hh"): weight for layer in range(subject.layers)}
            raised = call(gates, weights, h0=SIGNAL, c0=c0)
            z = changed(base, raised, gate, h0=SIGNAL, c0=c0)
            for layer in range(subject.layers):
                read = multiplier(z[layer])
                recurrent[layer, gate, shift] = _unless_unread(subject, layer, "weight_hh", read)
    return StepReadings(
        width=subject.inputs,
        carried_c=part(carried.c_LBH),
        carried_s=part(carried.s_LBH),
        written_c=part(written.c_LBH),
        written_s=part(written.s_LBH),
        written_y=part(written.y_TBH[-1]),
        kept_c=part(kept_c.c_LBH),
        kept_s=part(kept_c.s_LBH),
        kept_h=part(kept_h.s_LBH),
        kept_y=part(kept_h.y_TBH[-1]),
        input=inputs,
        recurrent=recurrent,
        kept_up=_kept_upward(subject, draw, training=training),
        unsent=unsent,
    )


def _unless_unread(subject: Subject, layer: int, kind: str, read: Array) -> Array:
    return np.full_like(read, np.nan) if (layer, kind) in subject.unread else read


def _shift_pairs(subject: Subject) -> list[tuple[int, int]]:
    """Shifts for the first layer's input and for those above, side by side."""
    first, above = shifts(subject, subject.inputs, 1), shifts(subject, subject.hidden, 1)
    count = max(len(first), len(above))
    return [(first[n % len(first)], above[n % len(above)]) for n in range(count)]


def _kept_upward(subject: Subject, draw: MaskDraw, *, training: bool) -> dict[int, Array]:
    """For each layer but the first: what its gate i reads of a state that the layer below holds.

    Nothing is written below, so that only a held state can be read.
    """
    found = {}
    for layer in range(1, subject.layers):
        gates = biases(subject, NOTHING) | {layer: biases(subject, _GATES[0][0])[layer]}
        h0 = torch.zeros(subject.layers, 1, 1, dtype=torch.float64)
        h0[layer - 1] = SIGNAL
        weight = reader(subject, 0, subject.hidden, 0, RISE / SIGNAL)
        base = subject.call(draw, Setting(gates, {}, h0=h0), training=training)
        raised = subject.call(
            draw, Setting(gates, {(layer, "weight_ih"): weight}, h0=h0), training=training
        )
        read = multiplier(z_change(base, raised, 0, h0=0.0, c0=0.0)[layer])
        found[layer] = _unless_unread(subject, layer, "weight_ih", read)
    return found
