"""What an audit found at one edge of one layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ablate.drops import Extent, Fill
from ablate.edges import Edge


@dataclass(frozen=True, slots=True)
class Finding:
    """A mask at an edge of a layer, as it was seen to act.

    rate: how often a decision drops or holds, with its standard error; kept: what a kept value is
    multiplied by (None where that differs from one to the next); evaluation: what stands there in
    evaluation (for a held edge: the part of the old value); sharing: by axis, None where too little
    was seen; seen: the number of separate decisions.
    """

    edge: Edge
    layer: int
    fill: Fill
    rate: float
    error: float
    kept: float | None
    evaluation: float | None
    sharing: Mapping[str, Extent] = field(default_factory=dict)
    seen: int = 0
    written: bool = False

    @property
    def where(self) -> str:
        """The edge and its layer in words."""
        name = "the state handed on" if self.written else self.edge.label
        return f"{name} at layer {self.layer}"

    @property
    def mean(self) -> float:
        """The mean of the tossed multiplier (HOLD: the part of the old value)."""
        if self.fill is Fill.HOLD:
            return self.rate
        return 1.0 if self.kept is None else (1.0 - self.rate) * self.kept

    @property
    def scaled(self) -> bool | None:
        """Whether evaluation has the mean of training; None where evaluation was not seen."""
        if self.evaluation is None:
            return None
        allowed = 0.01 + 5.0 * self.error * (self.kept or 1.0)
        return abs(self.mean - self.evaluation) <= allowed

    @property
    def scale(self) -> str:
        """Where the expectation is kept, as the table says it."""
        if self.evaluation is None:
            return "not seen"
        if self.fill is Fill.HOLD:
            return "MEAN" if self.scaled else "wrong"
        if self.scaled:
            tested = self.kept is not None and abs(self.kept - 1.0) < 0.01
            return "TEST" if tested else "TRAIN"
        return "wrong"
