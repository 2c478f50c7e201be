"""The decorator that registers a function as a strategy.

`ablate.registry` describes packages of strategies, `plugins` describes single files.
"""

import inspect
from collections.abc import Callable
from typing import Final

from ablate.bibtex import check_citation
from ablate.docstrings import docstring
from ablate.errors import AblateError, WrongValue
from ablate.strategies.definition import STRATEGIES, Function, Strategy
from ablate.strategies.parameters import read_cell, read_parameters

# Keys of a table in a study file that are no arguments.
_RESERVED: Final = frozenset({"name", "without"})


def strategy(
    bare: object = None,
    /,
    *,
    paper: str | None = None,
    bibtex: str | None = None,
    dial: str | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function as a strategy and return it unchanged.

    paper: an arXiv id (`arXiv:1409.2329`) or a DOI (`doi:10.1109/...`); bibtex: its BibTeX entry;
    dial: the name of a rate.
    Raises AblateError for a function that cannot be a strategy, or a taken name.
    """
    if bare is not None:
        raise AblateError(
            "the decorator is called, by name alone: write @strategy() or @strategy(dial=...), got "
            + (f"@strategy above '{bare.__name__}'" if inspect.isfunction(bare) else repr(bare))
        )

    def register(function: Function) -> Function:
        STRATEGIES.add(function.__name__, _make(function, paper, bibtex, dial), function)
        return function

    return register


def _make(function: Function, paper: str | None, bibtex: str | None, dial: str | None) -> Strategy:
    name, parameters = function.__name__, read_parameters(function)
    if taken := _RESERVED & parameters.keys():
        raise AblateError(
            f"a table of a study file has keys of its own called {', '.join(sorted(_RESERVED))}; "
            f"call the parameter of strategy '{name}' otherwise than {', '.join(sorted(taken))}",
            given=tuple(sorted(taken)),
        )
    check_citation(f"strategy '{name}'", paper, bibtex)
    if docstring(function) == "":
        raise AblateError(f"strategy '{name}' needs a docstring: its first line is its help")
    if dial is not None:
        rates = [key for key, parameter in parameters.items() if parameter.kind == "rate"]
        if dial not in rates:
            allowed = f"one of its rates ({', '.join(rates) or 'none'})"
            raise WrongValue(f"the dial of strategy '{name}'", allowed, dial)
        if not parameters[dial].default:
            raise AblateError(
                f"the dial '{dial}' of strategy '{name}' needs a default above 0: the other rates "
                "keep their ratio to it"
            )
    return Strategy(function, parameters, paper, bibtex, dial, read_cell(function))
