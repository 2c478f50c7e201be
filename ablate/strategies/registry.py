"""Where strategies are registered and found: the built-in ones and those of plugins.

Another package names the module that holds its strategies in its `pyproject.toml`:

    [project.entry-points."ablate.strategies"]
    mine = "my_package.strategies"

Importing that module runs its decorators, which is all that registering is. A single file is a
plugin too: `plugins` says how it is loaded.
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import metadata
from typing import Final

from ablate.docstrings import docstring
from ablate.errors import AblateError, AblateWarning, UnknownName, in_words, quoted
from ablate.sources import built_in
from ablate.strategies.definition import CAP, Function, Strategy
from ablate.strategies.parameters import read_cell, read_parameters

__all__ = ["CAP", "ENTRY_POINTS", "Strategy", "all_strategies", "get", "names", "strategy"]

ENTRY_POINTS: Final = "ablate.strategies"

_registry: dict[str, Strategy] = {}
# Whose a module is, with the version, by the first part of the module's name.
_origins: dict[str, str] = {}


def strategy(
    bare: object = None,
    /,
    *,
    paper: str | None = None,
    bibtex: str | None = None,
    dial: str | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function as a strategy and return it unchanged.

    paper: an arXiv id (`arXiv:1409.2329`) or a DOI (`doi:10.1109/...`); dial: the name of a rate.
    Raises AblateError for a function that cannot be a strategy, or a name that is taken.
    """
    if bare is not None:
        raise AblateError(
            "the decorator is called, by name alone: write @strategy() or @strategy(dial=...), got "
            + (f"@strategy above '{bare.__name__}'" if inspect.isfunction(bare) else repr(bare))
        )

    def register(function: Function) -> Function:
        made = _make(function, paper, bibtex, dial)
        other = _registry.get(made.name)
        if other and not _same_source(other.function, function):
            raise AblateError(
                f"two strategies are called '{made.name}', one of {other.origin} and one of "
                f"{made.origin}; rename one of them"
            )
        _registry[made.name] = made
        return function

    return register


def get(name: str) -> Strategy:
    """Return the strategy called `name`; raises AblateError, with the nearest name, if none is."""
    load_entry_points()
    if name not in _registry:
        raise unknown(name)
    return _registry[name]


def unknown(name: str, labels: Iterable[str] = ()) -> AblateError:
    """Return the error for a name that no strategy has, nor any of the points called `labels`."""
    else_ = (
        f"the strategies are {quoted(_registry)}, and one of your own needs --plugin FILE or "
        "plugins = [...] in the study"
    )
    return UnknownName("strategy", name, [*_registry, *labels], else_=else_)


def names() -> tuple[str, ...]:
    """The names of all strategies: the built-in ones first, each family together."""
    return tuple(strategy.name for strategy in all_strategies())


def all_strategies() -> tuple[Strategy, ...]:
    """All strategies, in the order of their registration."""
    load_entry_points()
    return tuple(_registry.values())


def of_module(module: str) -> tuple[Strategy, ...]:
    """The strategies that a module, or one below it, registered."""
    return tuple(
        each for each in _registry.values() if _top(each.function.__module__) == _top(module)
    )


@contextlib.contextmanager
def registering(module: str, origin: str) -> Iterator[None]:
    """Let what `module` registers in this block be known as `origin`'s.

    Where the block raises, nothing of it stays: half a plugin is none.
    """
    before, known = dict(_registry), _origins.get(_top(module))
    _origins[_top(module)] = origin
    try:
        yield
    except BaseException:
        _restore(before)
        if known is None:
            del _origins[_top(module)]
        raise
    # One that was imported earlier did not know whose it is.
    for each in of_module(module):
        _registry[each.name] = replace(each, origin=origin)


def forget(module: str) -> None:
    """Take what a module registered out of the registry."""
    gone = {each.name for each in of_module(module)}
    _restore({name: each for name, each in _registry.items() if name not in gone})


@functools.cache
def load_entry_points() -> None:
    """Import the strategies of other packages, once; a broken one is a warning that names it."""
    for point in metadata.entry_points(group=ENTRY_POINTS):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        try:
            with registering(point.module, origin):
                point.load()
        except (Exception, SystemExit) as error:
            # Another package's mistake must not take ours down, whatever it is: nobody asked for
            # that package by name, and a run that does not need it goes on.
            warnings.warn(
                f"the strategies '{point.name}' of {origin} could not be loaded: {in_words(error)}",
                AblateWarning,
                stacklevel=3,
            )


def _make(function: Function, paper: str | None, bibtex: str | None, dial: str | None) -> Strategy:
    name, parameters = function.__name__, read_parameters(function)
    if docstring(function) == "":
        raise AblateError(f"strategy '{name}' needs a docstring: its first line is its help")
    if dial is not None:
        rates = [key for key, parameter in parameters.items() if parameter.kind == "rate"]
        if dial not in rates:
            allowed = ", ".join(rates) or "none"
            raise AblateError(
                f"the dial of strategy '{name}' must be one of its rates ({allowed}), got '{dial}'"
            )
        if not parameters[dial].default:
            raise AblateError(
                f"the dial '{dial}' of strategy '{name}' needs a default above 0: the other rates "
                "keep their ratio to it"
            )
    origin = _origin_of(function.__module__)
    return Strategy(function, parameters, origin, paper, bibtex, dial, read_cell(function))


def _same_source(one: Function, other: Function) -> bool:
    """Whether `other` is `one` defined again: a reload, or a notebook's cell run twice."""
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def _origin_of(module: str) -> str:
    if built_in(module):
        return _release("ablate", "ablate-dropout")
    return _origins.get(_top(module), module)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _restore(strategies: dict[str, Strategy]) -> None:
    _registry.clear()
    _registry.update(strategies)


def _release(name: str, distribution: str) -> str:
    try:
        return f"{name} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return name
