"""How numbers are written: the same digits, signs and intervals in every table and caption."""

import math
from collections.abc import Callable, Sequence

from ablate.quantities import perplexity_text
from ablate.report.statistics import SEEDS_FOR_INTERVAL

MINUS = "\N{MINUS SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
NOTHING = "\N{EN DASH}"

Writer = Callable[[float], str]


def perplexity(value: float) -> str:
    """A perplexity, or a dash where it is no number."""
    return NOTHING if math.isnan(value) else perplexity_text(value)


def nats(value: float, digits: int = 3) -> str:
    """Nats, with three digits behind the point (seeds differ by some thousandths).

    No sign where it rounds to zero.
    """
    if math.isnan(value):
        return NOTHING
    text = f"{abs(value):.{digits}f}"
    return f"{MINUS}{text}" if value < 0 and float(text) != 0 else text


def signed_nats(value: float) -> str:
    """A difference in nats with its sign; no sign where it rounds to zero."""
    text = nats(abs(value))
    if math.isnan(value) or float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def percent(factor: float) -> str:
    """A factor as a change in per cent with its sign: `+2.4` of 1.024; none where it is zero."""
    if math.isnan(factor):
        return NOTHING
    text = f"{100 * abs(factor - 1):.1f}"
    return text if float(text) == 0 else (MINUS if factor < 1 else "+") + text


def signed(value: float) -> str:
    """A difference of perplexities with its sign; no sign where it rounds to zero."""
    if math.isnan(value):
        return NOTHING
    text = perplexity(abs(value))
    if float(text.replace(",", "")) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def rate(value: float | None) -> str:
    """A rate as labels show it: `.5`."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:g}".removeprefix("0") or "0"


def share(value: float) -> str:
    """A probability with two digits: `.67`, `0`, `1`."""
    if math.isnan(value):
        return NOTHING
    return f"{value:.2f}".removeprefix("0") if 0 < value < 1 else f"{value:g}"


def p_value(value: float) -> str:
    """A p-value, with as many digits as mean something."""
    if math.isnan(value):
        return NOTHING
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def spread(values: Sequence[float], half: float, write: Writer) -> str:
    """What stands behind a mean: its t interval from three seeds on, both values of two."""
    if len(values) >= SEEDS_FOR_INTERVAL:
        # Without a finite value in each seed there is no interval.
        return "" if math.isnan(half) else f"{PLUS_MINUS} {write(half)}"
    return f"({', '.join(map(write, values))})" if len(values) > 1 else ""


def seeds(low: int, high: int) -> str:
    """`2 seeds`, `1 to 3 seeds`, `1 seed`."""
    many = f"{low} to {high}" if low != high else f"{high}"
    return f"{many} seed{'' if high == 1 else 's'}"
