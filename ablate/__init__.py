"""Where, how often and how should dropout be placed in a recurrent network? Evidence, not opinion.

import ablate
lstm = ablate.LSTM(10, 20, placement=ablate.Placement({ablate.Edge.RECURRENT: ablate.Drop(0.25)}))
frame = ablate.results("placement")     # one row a trial, perplexities derived
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ablate.auditing import audit
    from ablate.drops import ALL, PER_STEP, VARIATIONAL, Drop, Fill, Scale, Sharing
    from ablate.edges import Edge
    from ablate.errors import AblateError
    from ablate.model.embedding import Embedding
    from ablate.model.lstm import LSTM
    from ablate.model.module import LanguageModel
    from ablate.placement import Placement
    from ablate.report.frame import results

# Lazy, so that `ablate --help` and the language import neither torch nor pandas.
_HOME = {
    "ALL": "ablate.drops",
    "AblateError": "ablate.errors",
    "Drop": "ablate.drops",
    "Edge": "ablate.edges",
    "Embedding": "ablate.model.embedding",
    "Fill": "ablate.drops",
    "LSTM": "ablate.model.lstm",
    "LanguageModel": "ablate.model.module",
    "PER_STEP": "ablate.drops",
    "Placement": "ablate.placement",
    "Scale": "ablate.drops",
    "Sharing": "ablate.drops",
    "VARIATIONAL": "ablate.drops",
    "audit": "ablate.auditing",
    "results": "ablate.report.frame",
}

__all__ = [
    "ALL",
    "LSTM",
    "PER_STEP",
    "VARIATIONAL",
    "AblateError",
    "Drop",
    "Edge",
    "Embedding",
    "Fill",
    "LanguageModel",
    "Placement",
    "Scale",
    "Sharing",
    "__version__",
    "audit",
    "results",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
