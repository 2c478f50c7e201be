"""Findings from values that are a mask themselves: words, and a layer that only drops.

Shapes: N tosses, T time, B batch, D units.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.chances import unseen
from ablate.auditing.drafts import UNITS
from ablate.auditing.estimate import estimate
from ablate.auditing.factors import Place
from ablate.auditing.findings import Finding, Silent, Unmeasured
from ablate.auditing.meaning import Meant
from ablate.auditing.measure import Measured
from ablate.auditing.probes import Array
from ablate.auditing.timing import WIDE
from ablate.drops import ALL, Extent, Fill
from ablate.edges import Edge

AXES = {"update": 0, "time": 1, "batch": 2, "unit": 3}


@dataclass(frozen=True, slots=True)
class Look:
    """What was measured, and whether a wider batch would tell more."""

    measured: Measured
    open: bool

    @classmethod
    def of(
        cls,
        edge: Edge,
        layer: int,
        decisions: Array,
        shared: Mapping[str, Extent],
        evaluation: float,
        want: Meant | None,
        sizes: Mapping[str, int],
        name: str = "",
    ) -> "Look":
        """One mask, from one value for each of its decisions."""
        told = estimate(decisions)
        finding = Finding(
            edge=edge,
            layer=layer,
            fill=Fill.ZERO,
            rate=told.rate,
            error=told.error,
            kept=told.kept,
            evaluation=evaluation,
            sharing=shared,
            seen=told.seen,
            dropped=told.dropped,
            average=told.average,
            stated=want.rate if want is not None else None,
            name=name,
        )
        if told.kept == 0.0:
            silent = {} if want is None else {Place(edge, layer): Silent(told.seen, 0.0)}
            dead = Unmeasured.dead(edge, layer, evaluation)
            return cls(Measured((), (dead,), silent, sizes), False)
        seldom = min(told.rate, 1.0 - told.rate) * told.seen
        poor = seldom < 2.0 * sharing.SURE or finding.scaled is None
        return cls(Measured((finding,), (), {}, sizes), poor)

    @classmethod
    def silent(
        cls,
        edge: Edge,
        layer: int,
        values: Array,
        evaluation: float,
        want: Meant | None,
        sizes: Mapping[str, int],
    ) -> "Look":
        """No mask, in as many decisions as the placement means."""
        if want is None:
            return cls(Measured((), (), {}, sizes), False)
        for axis, number in AXES.items():
            extent = getattr(want.drop.shared, axis)
            if axis == "time" and edge is Edge.EMBEDDING:
                continue
            values = sharing.first_of(values, number, ALL if extent is None else extent)
        kept = float(np.median(values))
        silent = {Place(edge, layer): Silent(values.size, kept)}
        return cls(Measured((), (), silent, sizes), unseen(want.rate, values.size))


def rows_of_wide(calls: int, units: int) -> int:
    """Rows of a batch for small rates, within some tens of megabytes."""
    return max(8, min(WIDE, 2**22 // (calls * min(units, UNITS))))
