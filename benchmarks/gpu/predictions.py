"""What was predicted before anything ran on a GPU: the table of README.md beside this file."""

import functools
import re
from pathlib import Path
from typing import Final

# | medium bf16 K=16 zaremba2014 | 11 to 18 | ms |
_ROW: Final = re.compile(r"^\| (?P<what>[^|]+?) \| (?P<low>[\d.]+) to (?P<high>[\d.]+) \|")


@functools.cache
def predictions() -> dict[str, tuple[float, float]]:
    """By what is measured: the least and the most that was predicted."""
    lines = Path(__file__).with_name("README.md").read_text().splitlines()
    found = filter(None, map(_ROW.match, lines))
    return {row["what"]: (float(row["low"]), float(row["high"])) for row in found}


def beside(what: str, value: float) -> str:
    """A measured value and, where there is one, its prediction."""
    if what not in predictions():
        return f"{what}: {value:.3g}"
    low, high = predictions()[what]
    told = f"{what}: {value:.3g}, predicted {low:g} to {high:g}"
    if value < low:
        return f"{told}: {value / low:.2f} of the least"
    return f"{told}: {value / high:.2f} of the most" if value > high else told
