"""Strategies: named functions from a few rates to a placement, built in or from plugins.

A new strategy, which `ablate.strategies.get("mine")` then finds:

    from ablate import PER_STEP, Drop, Edge, Placement, Rate, strategy

    @strategy(dial="rate")
    def mine(rate: Rate = 0.25) -> Placement:
        \"\"\"Drop what the gates read and what they write, with a new mask at each step.\"\"\"
        return Placement({Edge.RECURRENT | Edge.UPDATE: Drop(rate, PER_STEP)})

Load it from a file by `--plugin mine.py`, or by `plugins = ["mine.py"]` at the head of a study
file; `ablate.registry` says how a package publishes its strategies. A plugin may define noises and
schedules: frozen dataclasses that subclass `ablate.noise.Noise` and `ablate.schedules.Schedule`.
They enter each result's key with the digest of their source file.

    @dataclass(frozen=True)
    class Uniform(Noise):
        name: str = "UNIFORM"

        def mean(self, rate): return 1.0
        def variance(self, rate): return rate / (1 - rate)
        def multiplier(self, word, rate):
            return 1 + (3 * rate / (1 - rate)) ** 0.5 * ((2 * word.double() + 1) / 2**32 - 1)

    @dataclass(frozen=True)
    class Warm(Schedule):
        name: str = "WARM"

        def factor(self, update, total): return min(1.0, 4 * update / total)

    Placement({Edge.VERTICAL: Drop(0.5, noise=Uniform())}, Warm())
"""

from ablate.strategies import (  # noqa: F401, I001  (imported to register, in the order of listings)
    none,
    zaremba2014,
    locked,
    single,
    naive,
    gal2016,
    moon2015,
    semeniuta2016,
    zoneout,
    merity2017,
    melis2018,
    token,
    gaussian,
    bursts,
    everywhere,
    morerio2017,
    free,
)
from ablate.registry import import_all
from ablate.strategies.decorator import strategy
from ablate.strategies.definition import STRATEGIES, Strategy
from ablate.strategies.parameters import Parameter, Range, Rate

# A strategy is one file: every other module of the folder registers too.
import_all(__name__, __path__)

get = STRATEGIES.find


def names() -> tuple[str, ...]:
    """The names of all strategies: the built-in ones first, by family."""
    return tuple(STRATEGIES)


def all_strategies() -> tuple[Strategy, ...]:
    """All strategies, in the order of `names`."""
    return tuple(STRATEGIES.values())


__all__ = [
    "STRATEGIES",
    "Parameter",
    "Range",
    "Rate",
    "Strategy",
    "all_strategies",
    "get",
    "names",
    "strategy",
]
