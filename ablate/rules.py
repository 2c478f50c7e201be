"""Whether an edge takes a drop, and what it is with the edge's defaults: `ablate.edges.RULES`."""

from ablate.drops import ALL, Drop, Fill, Layers, Scale
from ablate.edges import ONCE, RULES, Edge, Rule
from ablate.errors import WrongValue
from ablate.noise import BERNOULLI

HOLD, TRAIN, MEAN = Fill.HOLD, Scale.TRAIN, Scale.MEAN


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
        holding = ", ".join(each.label for each, own in RULES.items() if HOLD in own.fills)
        mend = f"HOLD exists on {holding}"
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
