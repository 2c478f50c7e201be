"""Quantities that users read: perplexities from nats, and perplexities and times as text."""

from typing import Any, Final

import numpy as np

# From here on digits say nothing: such a perplexity is that of a model which is far off.
_HUGE: Final = 1e6


def perplexity(nll: Any) -> Any:
    """Perplexity per word of a mean nll in nats, or of an array of them; inf where it overflows."""
    with np.errstate(over="ignore"):
        return np.exp(nll)


def perplexity_text(value: float) -> str:
    """A perplexity: one digit behind the point below a thousand, none above, `5.2e21`, `inf`."""
    if value >= _HUGE:
        return f"{value:.1e}".replace("e+", "e").replace("e0", "e")
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes, or seconds."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
