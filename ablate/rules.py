"""The table of valid combinations of edge, axes, fill, noise and scale.

The defaults are those of the papers named in the README at each edge. CELL and CARRY have the scale
TEST because a division by 1 - p compounds along the cell (x 9e8 in 35 steps at p = .5, f = .9).
"""

from dataclasses import dataclass
from typing import Final

from ablate.drops import ALL, Drop, Fill, Layers, Scale, Sharing
from ablate.edges import ONCE, Edge
from ablate.errors import WrongValue
from ablate.noise import BERNOULLI

ZERO, HOLD = Fill.ZERO, Fill.HOLD
TRAIN, TEST, MEAN = Scale.TRAIN, Scale.TEST, Scale.MEAN


@dataclass(frozen=True, slots=True)
class Rule:
    """What one edge allows.

    Its axes are those that the default `sharing` states, and `direction` if both directions have
    the edge.
    """

    sharing: Sharing
    fills: tuple[Fill, ...]
    noise: bool
    scales: tuple[Scale, ...]
    directions: bool = True

    @property
    def axes(self) -> tuple[str, ...]:
        stated = tuple(axis for axis, _ in self.sharing.given())
        return (*stated, "direction") if self.directions else stated


_STEP = Sharing(time=1, batch=1, unit=1, update=1)
_GATED = Sharing(time=1, batch=1, unit=1, gate=ALL, update=1)

RULES: Final[dict[Edge, Rule]] = {
    Edge.EMBEDDING: Rule(
        Sharing(time=ALL, word=1, batch=1, unit=ALL, update=1),
        (ZERO,),
        False,
        (TRAIN, TEST),
        # Words are dropped before any layer reads them.
        directions=False,
    ),
    Edge.INPUT: Rule(_GATED, (ZERO,), True, (TRAIN, TEST)),
    Edge.INTERLAYER: Rule(_GATED, (ZERO,), True, (TRAIN, TEST)),
    Edge.OUTPUT: Rule(_STEP, (ZERO,), True, (TRAIN, TEST)),
    Edge.WEIGHT: Rule(Sharing(source=1, unit=1, gate=1, update=1), (ZERO,), True, (TRAIN, TEST)),
    Edge.RECURRENT: Rule(_GATED, (ZERO, HOLD), True, (TRAIN, TEST)),
    Edge.HIDDEN: Rule(_STEP, (ZERO, HOLD), True, (TRAIN, TEST)),
    Edge.UPDATE: Rule(_STEP, (ZERO,), True, (TRAIN, TEST)),
    Edge.CELL: Rule(_STEP, (ZERO, HOLD), False, (TEST,)),
    Edge.CARRY: Rule(_STEP, (ZERO, HOLD), False, (TEST,)),
}


def complete(edge: Edge, drop: Drop) -> Drop:
    """Fill in the edge's defaults and check the combination against the table.

    Raises AblateError, in one sentence, for a combination that is not in the table.
    """
    rule, name = RULES[edge], edge.label
    given = drop.shared
    for axis, _ in given.given():
        if axis not in rule.axes:
            allowed = ", ".join(rule.axes)
            raise WrongValue(f"a sharing on {name}", f"the axes {allowed}", axis)
    if drop.fill not in rule.fills:
        mend = "HOLD exists on RECURRENT, HIDDEN, CELL and CARRY"
        raise WrongValue(name, "the fill ZERO", drop.fill.value, mend=mend)
    if drop.noise != BERNOULLI:
        _check_noise(name, rule, drop)
    sharing = given.over(rule.sharing)
    scale = drop.scale
    if drop.fill is HOLD:
        if scale not in (None, MEAN):
            raise WrongValue(f"HOLD on {name}", "the scale MEAN", scale.value)
        if edge is Edge.RECURRENT and sharing.gate is not ALL:
            raise WrongValue(
                "the gate axis of HOLD on RECURRENT",
                "ALL",
                sharing.gate,
                mend="it keeps the state, which all gates share",
            )
        scale = MEAN
    elif scale is None:
        scale = rule.scales[0]
    elif scale not in rule.scales:
        allowed = " or ".join(option.value for option in rule.scales)
        raise WrongValue(f"ZERO on {name}", f"the scale {allowed}", scale.value)
    # With one layer every rule gives the rate itself, and equal placements must have one text.
    layers = Layers.ALL if edge in ONCE else drop.layers
    return Drop(drop.rate, sharing, drop.fill, drop.noise, scale, layers)


def _check_noise(name: str, rule: Rule, drop: Drop) -> None:
    if not rule.noise:
        raise WrongValue(name, "the noise BERNOULLI", drop.noise.name)
    if drop.fill is HOLD:
        raise WrongValue(f"HOLD on {name}", "the noise BERNOULLI", drop.noise.name)
    if drop.scale not in (None, TRAIN):
        raise WrongValue(f"{drop.noise.name} on {name}", "the scale TRAIN", drop.scale.value)
