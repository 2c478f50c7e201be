"""Where, how often and how should dropout be placed in a recurrent network? Evidence, not opinion.

import ablate
lstm = ablate.LSTM(10, 20, placement=ablate.Placement({ablate.Edge.RECURRENT: ablate.Drop(0.25)}))
frame = ablate.results("placement")     # one row a trial, perplexities derived
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ablate import cells, noise, schedules, strategies
    from ablate.auditing import audit
    from ablate.drops import (
        ALL,
        BOTTOM,
        GROWING,
        PER_STEP,
        TOP,
        VARIATIONAL,
        Drop,
        Fill,
        Layers,
        Scale,
        Sharing,
    )
    from ablate.edges import Edge
    from ablate.errors import AblateError, AblateWarning
    from ablate.model.embedding import Embedding
    from ablate.model.gru import GRU
    from ablate.model.lstm import LSTM
    from ablate.model.module import LanguageModel
    from ablate.model.rnn import RNN
    from ablate.noise import GAUSSIAN, Noise
    from ablate.placement import Placement
    from ablate.report.frame import results
    from ablate.schedules import ANNEALED, CURRICULUM, Schedule
    from ablate.strategies import Range, Rate, strategy

# Lazy, so that `ablate --help` and the language import neither torch nor pandas.
_HOME = {
    "ALL": "ablate.drops",
    "ANNEALED": "ablate.schedules",
    "AblateError": "ablate.errors",
    "AblateWarning": "ablate.errors",
    "BOTTOM": "ablate.drops",
    "CURRICULUM": "ablate.schedules",
    "Drop": "ablate.drops",
    "Edge": "ablate.edges",
    "Embedding": "ablate.model.embedding",
    "Fill": "ablate.drops",
    "GAUSSIAN": "ablate.noise",
    "GROWING": "ablate.drops",
    "GRU": "ablate.model.gru",
    "LSTM": "ablate.model.lstm",
    "LanguageModel": "ablate.model.module",
    "Layers": "ablate.drops",
    "Noise": "ablate.noise",
    "PER_STEP": "ablate.drops",
    "Placement": "ablate.placement",
    "RNN": "ablate.model.rnn",
    "Range": "ablate.strategies",
    "Rate": "ablate.strategies",
    "Scale": "ablate.drops",
    "Schedule": "ablate.schedules",
    "Sharing": "ablate.drops",
    "TOP": "ablate.drops",
    "VARIATIONAL": "ablate.drops",
    "audit": "ablate.auditing",
    "results": "ablate.report.frame",
    "strategy": "ablate.strategies",
}

# Modules that messages and plugins name in full, as `ablate.strategies.get("gal2016")`.
_MODULES = ("cells", "noise", "schedules", "strategies")

__all__ = [
    "ALL",
    "ANNEALED",
    "BOTTOM",
    "CURRICULUM",
    "GAUSSIAN",
    "GROWING",
    "GRU",
    "LSTM",
    "PER_STEP",
    "RNN",
    "TOP",
    "VARIATIONAL",
    "AblateError",
    "AblateWarning",
    "Drop",
    "Edge",
    "Embedding",
    "Fill",
    "LanguageModel",
    "Layers",
    "Noise",
    "Placement",
    "Range",
    "Rate",
    "Scale",
    "Schedule",
    "Sharing",
    "__version__",
    "audit",
    "cells",
    "noise",
    "results",
    "schedules",
    "strategies",
    "strategy",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"ablate.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
