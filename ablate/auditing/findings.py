"""What an audit found at one edge of one layer, and what it could not find out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ablate.auditing.estimate import Average, Estimate
from ablate.auditing.layer_edges import LayerEdge
from ablate.auditing.tails import ERRORS, refuted, spread_refuted
from ablate.drops import Extent, Fill
from ablate.edges import Edge

# Multipliers are read off values that tanh bends by less than this part.
EXACT: Final = 1e-5

UNDECIDED: Final = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Estimate):
    """A mask at an edge of a layer, as it was seen to act.

    evaluation: what stands there in evaluation (for a held edge: the part of the old value), with
    the error of what was presumed; sharing: by axis, None where too little was seen; written:
    whether the state is masked when it is written; stated: the rate that a placement states there,
    if one does; name: what the edge is called where the module does not say which one it is.
    """

    edge: Edge
    layer: int
    fill: Fill
    evaluation: float | None
    sharing: Mapping[str, Extent] = field(default_factory=dict)
    written: bool = False
    evaluation_error: float = 0.0
    stated: float | None = None
    name: str = ""

    @property
    def at(self) -> LayerEdge:
        """The edge, its layer and its fill."""
        return LayerEdge(self.edge, self.layer, hold=self.fill is Fill.HOLD)

    @property
    def where(self) -> str:
        """The edge and its layer in words."""
        if self.name:
            return self.name
        name = "the state handed on" if self.written else self.edge.label
        return f"{name} at layer {self.layer}"

    @property
    def mean(self) -> float:
        """The mean of the sampled multiplier (HOLD: the part of the old value)."""
        if self.fill is Fill.HOLD:
            return self.rate
        if self.kept is None:
            return self.average.value if self.average else 1.0
        return (1.0 - self.rate) * self.kept

    def refutes(self, low: float, high: float) -> bool:
        """Whether what was seen speaks against every rate from `low` to `high`."""
        nearest = min(max(self.rate, low), high)
        if self.kept is None and not spread_refuted(
            self.rate / (1.0 - self.rate), self.seen, nearest / (1.0 - nearest)
        ):
            return False
        if self.dropped is None:
            return abs(self.rate - nearest) > ERRORS * self.error
        return refuted(self.dropped, self.seen, nearest)

    @property
    def scaled(self) -> bool | None:
        """Whether evaluation has the mean of training.

        A kept value and evaluation are read exactly, so that they tell at which rate the two have
        one mean; the count of drops is for that rate, or against it. None where neither evaluation
        nor a kept value was seen, or where the count would also be that of a scale applied twice.
        """
        if self.evaluation is None or self.kept == 0.0:
            return None
        if self.kept is None:
            average = self.average or Average(1.0, 0.0)
            return abs(average.value - self.evaluation) <= EXACT + ERRORS * (
                average.error + self.evaluation_error
            )
        low, high = self._implied()
        if high < 0.0 or self.refutes(low, high):
            return False
        if self.fill is Fill.HOLD:
            return True
        if self.stated is not None and low <= self.stated <= high and high > 2.0 * EXACT:
            return True
        twice = self.refutes(1.0 - (1.0 - max(low, 0.0)) ** 0.5, 1.0 - (1.0 - high) ** 0.5)
        return True if twice else None

    def _implied(self) -> tuple[float, float]:
        """The rates at which training and evaluation have one mean."""
        assert self.evaluation is not None
        allowed = EXACT + ERRORS * self.evaluation_error
        if self.fill is Fill.HOLD:
            return self.evaluation - allowed, min(self.evaluation + allowed, 1.0)
        assert self.kept
        rate, allowed = 1.0 - self.evaluation / self.kept, allowed / abs(self.kept)
        return rate - allowed, min(rate + allowed, 1.0)

    @property
    def unscaled(self) -> bool:
        """Whether a kept value is multiplied by 1, in training or in evaluation alike."""
        return self.kept is not None and abs(self.kept - 1.0) < EXACT

    @property
    def gain(self) -> float | None:
        """What evaluation multiplies by where neither it nor training multiplies by 1.

        Then something beside the mask multiplies in both, as `x * sqrt(d)` does in front of it, and
        whether the mask's own scale is TRAIN or TEST cannot be told.
        """
        if not self.kept or not self.evaluation or self.fill is Fill.HOLD or self.unscaled:
            return None
        allowed = EXACT + ERRORS * self.evaluation_error
        return None if abs(self.evaluation - 1.0) <= allowed else self.evaluation

    @property
    def scale(self) -> str:
        """Where the expectation is kept, as the table says it."""
        if self.evaluation is None or self.kept == 0.0:
            return "not seen"
        if self.scaled is None:
            return UNDECIDED
        if not self.scaled:
            return "wrong"
        if self.fill is Fill.HOLD:
            return "MEAN"
        return "TEST" if self.unscaled else "TRAIN"


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """An edge of a layer of which nothing can be told, and why.

    shut: whether a value passes there in evaluation, and none did in training.
    """

    edge: Edge
    layer: int
    why: str
    shut: bool = False

    @classmethod
    def dead(cls, edge: Edge, layer: int, evaluation: float | None) -> "Unmeasured":
        """An edge through which nothing comes in training."""
        if not evaluation:
            why = "no small change of what is read there reaches anything, in evaluation either"
            return cls(edge, layer, why)
        why = (
            "nothing came through in training, where evaluation multiplies by "
            f"{evaluation:.4g}: a rate of 1, or so near to 1 that neither it nor its scale and "
            "sharing can be seen"
        )
        return cls(edge, layer, why, shut=True)

    @property
    def sentence(self) -> str:
        """What the verdict says."""
        return f"{self.edge.label} at layer {self.layer} was not measured: {self.why}"


@dataclass(frozen=True, slots=True)
class Silent:
    """An edge at which a placement drops and all separate decisions came out alike.

    kept: what a value is multiplied by, 0 where nothing was kept; None where nothing was seen.
    """

    decisions: int
    kept: float | None
