"""The order of a module's gates and what is added to them in code, read off calls in evaluation.

Each gate is seen in the cell or in the state when one quarter of the biases is raised: only g moves
an empty cell, i takes what g would write, o hides the cell, f forgets the old one.

Shapes: L layers, B batch, H hidden.
"""

import math

import torch
from torch import Tensor

from ablate.auditing.gates import Gates, Unread
from ablate.auditing.subject import MaskDraw, Setting, Subject

_SHUT, _OPEN, _SIGNAL = -40.0, 40.0, 1e-3


def read_gates(subject: Subject, draw: MaskDraw) -> Gates:
    """The module's gates; raises Unread where its biases do not act as an LSTM's do."""
    order = _order(subject, draw)
    found = _Probe(subject, draw, order)
    shut_f = found.cell(f=_SHUT, c0=_SIGNAL)
    added = []
    forgotten = found.cell(c0=_SIGNAL) - shut_f, found.cell(f=_OPEN, c0=_SIGNAL) - shut_f
    written = found.cell(g=_SIGNAL), found.cell(g=_SIGNAL, i=_OPEN)
    shown = found.state(g=_SIGNAL), found.state(g=_SIGNAL, o=_OPEN)
    for layer in range(subject.layers):
        parts = [_logit(half[layer], whole[layer]) for half, whole in (written, forgotten, shown)]
        added.append((parts[0], parts[1], 0.0, parts[2]))
    return Gates(order, tuple(added) if any(map(any, added)) else ())


class _Probe:
    """Calls in evaluation with the same biases in every unit of every layer."""

    def __init__(self, subject: Subject, draw: MaskDraw, order: tuple[int, int, int, int]) -> None:
        self._subject, self._draw, self._order = subject, draw, order

    def quarters(self, values: tuple[float, ...], c0: float = 0.0) -> tuple[Tensor, Tensor]:
        """c and s [L, B, H] at biases by quarter, in the module's own order."""
        one = torch.tensor(values, dtype=torch.float64).repeat_interleave(self._subject.hidden)
        draw = MaskDraw(self._draw.before, self._draw.seed, 1, self._draw.batch)
        setting = Setting(dict.fromkeys(range(self._subject.layers), one), c0=c0)
        out = self._subject.call(draw, setting, training=False)
        return out.c_LBH, out.s_LBH

    def cell(self, c0: float = 0.0, **biases: float) -> Tensor:
        return self._named(c0, biases)[0]

    def state(self, c0: float = 0.0, **biases: float) -> Tensor:
        return self._named(c0, biases)[1]

    def _named(self, c0: float, biases: dict[str, float]) -> tuple[Tensor, Tensor]:
        values = [0.0] * 4
        for name, value in biases.items():
            values[self._order["ifgo".index(name)]] = value
        return self.quarters(tuple(values), c0)


def _order(subject: Subject, draw: MaskDraw) -> tuple[int, int, int, int]:
    probe = _Probe(subject, draw, (0, 1, 2, 3))

    def with_quarter(number: int, value: float, g: int | None = None) -> tuple[Tensor, Tensor]:
        values = [0.0] * 4
        if g is not None:
            values[g] = _SIGNAL
        values[number] = value
        return probe.quarters(tuple(values))

    writes = [q for q in range(4) if _alive(with_quarter(q, _SIGNAL)[0])]
    if len(writes) != 1:
        raise Unread(
            "raising one bias a little should write to the cell, as g's does, and "
            f"{len(writes) or 'none'} of four did: its gates are not an LSTM's, or normalised"
        )
    g = writes[0]
    others = [q for q in range(4) if q != g]
    closed = {q: with_quarter(q, _SHUT, g) for q in others}
    i = [q for q in others if not _alive(closed[q][0])]
    o = [q for q in others if _alive(closed[q][0]) and not _alive(closed[q][1])]
    if len(i) != 1 or len(o) != 1:
        raise Unread(
            "its gates do not open and shut by their biases, as an LSTM's do; are they normalised?"
        )
    (f,) = (q for q in others if q not in (*i, *o))
    if not _alive(probe.quarters((0.0,) * 4, c0=_SIGNAL)[0]):
        raise Unread("the cell that it returns does not begin from the one that it is given")
    return i[0], f, g, o[0]


def _alive(value: Tensor) -> bool:
    """Whether in each layer some value is more than rounding leaves."""
    return bool((value.abs() > 1e-9 * _SIGNAL).flatten(1).any(1).all())


def _logit(half: Tensor, whole: Tensor) -> float:
    """What is added to a gate that lets `half` through where an open one lets `whole`."""
    # A mask that is still sampled in evaluation shows in what passes, and is another check's.
    ratio = (half / whole)[whole != 0.0]
    if not ratio.numel() or float(ratio.max() - ratio.min()) > 1e-6:
        raise Unread("its gates do not open by their biases alone: their z is normalised")
    share = min(max(float(ratio.mean()), 1e-12), 1.0 - 1e-12)
    added = math.log(share / (1.0 - share))
    return 0.0 if abs(added) < 1e-6 else added
