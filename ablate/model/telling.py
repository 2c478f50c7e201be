"""A warning that points at the user's line."""

import sys
import warnings
from typing import Final

from ablate.errors import AblateWarning

_OURS: Final = ("ablate", "torch")


def tell(message: str) -> None:
    """Warn at the innermost call outside ablate and torch."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, AblateWarning, stacklevel=level)
