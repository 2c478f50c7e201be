"""Strategies: named functions from a few rates to a placement, built-in ones and plugins alike.

A strategy of your own, which `ablate.strategies.get("mine")` finds from then on:

    from ablate.drops import PER_STEP, Drop
    from ablate.edges import Edge
    from ablate.placement import Placement
    from ablate.strategies import Rate, strategy

    @strategy(dial="rate")
    def mine(rate: Rate = 0.25) -> Placement:
        \"\"\"Drop what the gates read and what they write, afresh at each step.\"\"\"
        return Placement({Edge.RECURRENT | Edge.UPDATE: Drop(rate, PER_STEP)})

`registry` says how another package publishes its strategies.
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
)
from ablate.strategies.parameters import Parameter, Range, Rate
from ablate.strategies.registry import Strategy, all_strategies, get, names, strategy

__all__ = [
    "Parameter",
    "Range",
    "Rate",
    "Strategy",
    "all_strategies",
    "get",
    "names",
    "strategy",
]
