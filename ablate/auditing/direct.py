"""Findings from values that are a mask themselves: words, and a layer that only drops.

Shapes: N draws, T time, B batch, D units.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from torch import nn

from ablate.auditing import sharing
from ablate.auditing.drafts import UNITS
from ablate.auditing.estimate import estimate
from ablate.auditing.findings import Finding, Silent, Unmeasured
from ablate.auditing.layer_edges import Expected, LayerEdge
from ablate.auditing.measure import Measurement
from ablate.auditing.probes import Array
from ablate.auditing.subject import consecutive_calls
from ablate.auditing.tails import unseen
from ablate.auditing.time_sharing import WIDE
from ablate.drops import Extent, Fill
from ablate.edges import Edge

STEPS: Final = 12
BATCH: Final = 8

AXES: Final = {"update": 0, "time": 1, "batch": 2, "unit": 3}


@dataclass(frozen=True, slots=True)
class MaskedEdge:
    """The one edge at which such a module can drop, and what a placement means there.

    evaluation: what stands there in evaluation; sizes: the length of each axis that was looked at;
    name: what the edge is called where the module does not say which one it is.
    """

    edge: Edge
    layer: int
    evaluation: float
    want: Expected | None
    sizes: Mapping[str, int]
    name: str = ""

    def masked(self, decisions: Array, shared: Mapping[str, Extent]) -> "DirectMeasurement":
        """One mask, from one value for each of its decisions."""
        found = estimate(decisions)
        finding = Finding(
            **found.estimated(),
            edge=self.edge,
            layer=self.layer,
            fill=Fill.ZERO,
            evaluation=self.evaluation,
            sharing=shared,
            stated=self.want.rate if self.want is not None else None,
            name=self.name,
        )
        if found.kept == 0.0:
            silent = {} if self.want is None else {finding.at: Silent(found.seen, 0.0)}
            dead = Unmeasured.dead(self.edge, self.layer, self.evaluation)
            return DirectMeasurement(Measurement((), (dead,), silent, self.sizes), False)
        few = finding.rarer < 2.0 * sharing.SURE or finding.scaled is None
        return DirectMeasurement(Measurement((finding,), (), {}, self.sizes), few)

    def silent(self, values: Array) -> "DirectMeasurement":
        """No mask, in as many decisions as the placement means."""
        if self.want is None:
            return DirectMeasurement(Measurement((), (), {}, self.sizes), False)
        # Words that repeat share over time, so that each value is a decision here.
        axes = {a: n for a, n in AXES.items() if (a, self.edge) != ("time", Edge.EMBEDDING)}
        values = sharing.decisions(values, axes, dict(self.want.drop.shared.given()))
        silent = {LayerEdge(self.edge, self.layer): Silent(values.size, float(np.median(values)))}
        few = unseen(self.want.rate, values.size)
        return DirectMeasurement(Measurement((), (), silent, self.sizes), few)


@dataclass(frozen=True, slots=True)
class DirectMeasurement:
    """What was measured, and whether a wider batch would tell more."""

    measured: Measurement
    open: bool


def measure_direct(
    measure: Callable[[int], DirectMeasurement], draws: int, units: int
) -> Measurement:
    """What `measure` tells of a batch, or of a wide one where that tells more."""
    found = measure(BATCH)
    if found.open:
        # As many rows as stay within some tens of megabytes.
        room = 2**22 // (STEPS * draws * min(units, UNITS))
        found = measure(max(8, min(WIDE, room)))
    return found.measured


def snapshots(
    module: nn.Module, call: Callable[[nn.Module, int], object], count: int
) -> list[tuple[nn.Module, int]]:
    """The module before each of its first calls, and the calls' seeds."""
    return list(itertools.islice(consecutive_calls(module, call), count))
