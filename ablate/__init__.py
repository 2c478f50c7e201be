"""Where, how often and how should dropout be placed in a recurrent network? Evidence, not opinion.

import ablate
frame = ablate.results("placement")     # one row a trial, perplexities derived
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ablate.report.frame import results

__all__ = ["__version__", "results"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `ablate --help` and the language import neither torch nor pandas.
    if name == "results":
        from ablate.report.frame import results

        return results
    raise AttributeError(f"module 'ablate' has no attribute {name!r}")
