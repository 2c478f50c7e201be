"""What a draw of several steps shows: whether an edge's mask changes from step to step.

Only the last step's cell and state come out, and only the top layer's sequence. So a step before
the last is seen through everything above it, and an edge's mask there is never seen alone. It need
not be: if a mask is shared, then whatever it dropped in the last step came through at no step that
shares it. One value that came through proves a change; none among many that should have is sharing.

Shapes: T time, B batch, H hidden, L layers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ablate.auditing import probes
from ablate.auditing.calling import CallResult
from ablate.auditing.layer_edges import LayerEdge
from ablate.auditing.probes import Array
from ablate.auditing.subject import MaskDraw, Setting, Subject
from ablate.edges import Edge

Gates = tuple[float, ...]
Weights = Mapping[tuple[int, str], Tensor]


@dataclass(frozen=True, slots=True)
class Track:
    """An edge in the last step [B, H], and what came through it in the steps before [T-1, B, H].

    0 is dropped, NaN is not seen.
    """

    last: Array
    before: Array


@dataclass(frozen=True, slots=True)
class WindowReadings:
    """A track for each place that is not a held one, and how many steps took the new value.

    taken_c and taken_h: [L, B, H], NaN where something else dropped the value. Of the last step
    alone, as factors of what was sent: written_c, written_s, read (what gate i reads of x or of the
    layer below) and recalled (of the state before, itself a factor), [L, B, H], and written_y.
    """

    tracks: Mapping[LayerEdge, Track]
    taken_c: Array
    taken_h: Array
    written_c: Array
    written_s: Array
    written_y: Array
    read: Array
    recalled: Array


def read_window(
    subject: Subject, draw: MaskDraw, *, kept_scale: Array, training: bool = True
) -> WindowReadings:
    """Look at one draw of a window of T >= 2 steps.

    kept_scale: [L], by how much the other masks scale what h takes of its own old value.
    """
    steps, top = draw.time, subject.layers - 1

    def call(gates: Mapping[int, Gates], weights: Weights, **signals: Any) -> CallResult:
        made = {layer: probes.biases(subject, own)[layer] for layer, own in gates.items()}
        out = subject.call(draw, Setting(made, weights, **signals), training=training)
        return probes.shown_of(subject, out)

    every = range(subject.layers)
    written = call(dict.fromkeys(every, probes.WRITTEN), {})
    carried = call(dict.fromkeys(every, probes.CARRIED), {}, c0=probes.SIGNAL)
    half = probes.reader(subject, 2, subject.hidden, 0, 0.5)
    echoed = call(
        dict.fromkeys(every, probes.PASS),
        {(layer, "weight_hh"): half for layer in every},
        h0=probes.SIGNAL,
    )
    tracks: dict[LayerEdge, Track] = {}
    c, s = (_clean(part.numpy() / probes.SIGNAL) for part in (written.c_LBH, written.s_LBH))
    survived = _clean(2.0**steps * carried.c_LBH.numpy() / probes.SIGNAL)
    survived_s = _clean(2.0**steps * carried.s_LBH.numpy() / probes.SIGNAL)
    read, recalled = np.full_like(c, np.nan), np.full_like(c, np.nan)
    for layer in every:
        up, reads, read_state = _upward(subject, call, layer)
        read[layer] = 2.0 * reads[-1]
        if any(subject.upward_hidden(above) for above in range(layer, subject.layers)):
            for by_step in (up, reads, read_state):
                by_step[:-1] = np.nan
        before = up[:-1]
        vertical = Edge.INTERLAYER if layer else Edge.INPUT
        tracks[LayerEdge(vertical, layer)] = Track(reads[-1], reads[:-1])
        came = np.where(np.nan_to_num(up[-2]) == 0.0, np.nan, read_state[-1])
        # The gate i is half open at every step, so that half of what is sent is recalled.
        recalled[layer] = 4.0 * came
        tracks[LayerEdge(Edge.RECURRENT, layer)] = Track(came, read_state[:-1])
        tracks[LayerEdge(Edge.WEIGHT, layer)] = Track(came, read_state[:-1])
        tracks[LayerEdge(Edge.UPDATE, layer)] = Track(
            probes.ratio(c[layer], survived[layer]), before
        )
        tracks[LayerEdge(Edge.HIDDEN, layer)] = Track(probes.ratio(s[layer], c[layer]), before)
        alone = np.full_like(before, np.nan)
        alone[-1] = survived_s[layer]
        tracks[LayerEdge(Edge.CARRY, layer)] = Track(probes.ratio(c[layer], s[layer]), alone)
        either = np.where((c[layer] != 0.0) | (s[layer] != 0.0), 1.0, 0.0)
        tracks[LayerEdge(Edge.CELL, layer)] = Track(either, before)
    y = _clean(written.y_TBH.numpy() / probes.SIGNAL)
    tracks[LayerEdge(Edge.OUTPUT, top)] = Track(probes.ratio(y[-1], s[top]), y[:-1])
    kept = _clean(echoed.s_LBH.numpy() / probes.SIGNAL)
    return WindowReadings(
        tracks,
        _halvings(survived / 2.0**steps, np.full(subject.layers, 0.5), steps),
        _halvings(kept, 0.5 * kept_scale, steps),
        written_c=c,
        written_s=s,
        written_y=y[-1],
        read=read,
        recalled=recalled,
    )


def _upward(
    subject: Subject, call: Callable[..., CallResult], layer: int
) -> tuple[Array, Array, Array]:
    """What one layer wrote, and read of its input and of its state, as y shows it [T, B, H].

    The last step of what it read is taken from its cell, which nothing above can hide.
    """
    above = range(layer + 1, subject.layers)
    gates = dict.fromkeys(range(subject.layers), probes.NOTHING) | dict.fromkeys(above, probes.PASS)
    gates[layer] = (probes.FORWARD_OUTPUT, probes.SHUT, probes.WRITE, probes.OPEN)
    if layer:
        gates[layer - 1] = probes.WRITTEN
    through = probes.reader(subject, 2, subject.hidden, 0, 1.0)
    passing = {(number, "weight_ih"): through for number in above}
    h0 = torch.zeros(subject.layers, 1, 1, dtype=torch.float64)
    h0[layer] = probes.SIGNAL
    base = call(gates, passing, h0=h0)
    # What of the input reaches y around the layers is in both, and no difference.
    along = call(gates, passing, h0=h0, x=probes.RISE)
    columns = subject.hidden if layer else subject.inputs
    weight = probes.RISE / probes.SIGNAL if layer else 1.0
    own = {(layer, "weight_ih"): probes.reader(subject, 0, columns, 0, weight)}
    raised = call(gates, passing | own, h0=h0, x=probes.RISE)
    recall = probes.reader(subject, 0, subject.hidden, 0, probes.RISE / probes.SIGNAL)
    again = {(layer, "weight_hh"): recall}
    recalled = call(gates, passing | again, h0=h0)
    up = _clean(base.y_TBH.numpy() / probes.SIGNAL)
    reads = _rise(base, raised, along, layer)
    if layer:
        sent = _clean(base.s_LBH[layer - 1].numpy() / probes.SIGNAL)
        faint = abs(sent) < probes.FAINT
        reads[-1] = np.where(faint, np.nan, reads[-1] / np.where(faint, 1.0, sent))
    return up, reads, _rise(base, recalled, base, layer)


def _rise(base: CallResult, raised: CallResult, less: CallResult, layer: int) -> Array:
    """The relative change at the top by step, and of the layer's own cell in the last."""
    unit = probes.RISE
    with np.errstate(divide="ignore", invalid="ignore"):
        y, c = base.y_TBH.numpy(), base.c_LBH[layer].numpy()
        change = raised.y_TBH.numpy() - less.y_TBH.numpy()
        by_step = change / np.where(abs(y) < 1e-9 * probes.SIGNAL, np.nan, y)
        last = (raised.c_LBH[layer].numpy() - c) / np.where(
            abs(c) < 1e-9 * probes.SIGNAL, np.nan, c
        )
    by_step[-1] = np.where(np.isnan(last), by_step[-1], last)
    return np.where(abs(by_step) < 1e-3 * unit, 0.0, by_step / unit)


def _clean(values: Array) -> Array:
    return probes.cleaned(values, 1e-4)


def _halvings(values: Array, each: Array, steps: int) -> Array:
    """How many factors of `each` [L] make the values [L, B, H]; NaN where no number does."""
    with np.errstate(divide="ignore", invalid="ignore"):
        counts = np.log(values) / np.log(each)[:, None, None]
        whole = np.round(counts)
        sound = (abs(counts - whole) < 0.01) & (whole >= 0) & (whole <= steps)
    # A noise on the same path makes numbers of every size, some of them whole by chance.
    for layer, alive in enumerate(values != 0.0):
        sound[layer] &= bool(sound[layer].sum() > 0.8 * alive.sum())
    return np.where(sound, whole, np.nan)
