"""Where strategies are registered and found: the built-in ones and those of other packages.

Another package names the module that holds its strategies in its `pyproject.toml`:

    [project.entry-points."ablate.strategies"]
    mine = "my_package.strategies"

Importing that module runs its decorators, which is all that registering is.
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Final

from ablate.errors import AblateError, did_you_mean
from ablate.placement import Placement
from ablate.strategies.parameters import Parameter, Value, read_parameters

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ENTRY_POINTS: Final = "ablate.strategies"

# Along a dial a rate may grow past 1; beyond .9 so little is left that trials only diverge.
CAP: Final = 0.9

Function = Callable[..., Placement]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named function from a few arguments to a placement, with its paper and its default point.

    `dial` names the one rate that stands for the strategy's strength in sweeps and figures.
    """

    function: Function
    parameters: Mapping[str, Parameter]
    origin: str
    paper: str | None = None
    bibtex: str | None = None
    dial: str | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0]

    def arguments(self, /, **given: Value) -> dict[str, Value]:
        """Return every argument: what is given, the rest by default.

        When the dial is given, the rates that are not given keep their default ratio to it, up to
        .9. Raises AblateError for a name or a value that the signature does not allow.
        """
        self._check(given)
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        if self.dial in given:
            defaults |= self._along_the_dial(float(given[self.dial]))
        return {
            name: float(value) if self.parameters[name].kind == "rate" else value
            for name, value in (defaults | given).items()
        }

    def place(self, /, **given: Value) -> Placement:
        """Return the placement at these arguments; raises AblateError as `arguments` does."""
        placement = self.function(**self.arguments(**given))
        if not isinstance(placement, Placement):
            raise AblateError(
                f"strategy '{self.name}' must return a Placement, got {placement!r}; "
                f"tell the authors of {self.origin}"
            )
        return placement

    def dial_value(self, arguments: Mapping[str, Value]) -> float | None:
        """The value of the dial in a full set of arguments; None where there is no dial."""
        return float(arguments[self.dial]) if self.dial else None

    def search_space(self) -> "dict[str, BaseDistribution]":
        """The Optuna distribution of each parameter."""
        return {name: parameter.distribution() for name, parameter in self.parameters.items()}

    def _along_the_dial(self, value: float) -> dict[str, Value]:
        dial = self.dial or ""
        # First the factor, so that the default point is hit exactly; rounding keeps texts short.
        factor = value / float(self.parameters[dial].default)
        return {
            name: min(CAP, round(float(parameter.default) * factor, 12))
            for name, parameter in self.parameters.items()
            if parameter.kind == "rate"
        }

    def _check(self, given: Mapping[str, Value]) -> None:
        for name, value in given.items():
            if name not in self.parameters:
                takes = ", ".join(self.parameters) or "no parameters"
                raise AblateError(
                    f"strategy '{self.name}' has no parameter '{name}'"
                    f"{did_you_mean(name, self.parameters)}; it takes {takes}"
                )
            parameter = self.parameters[name]
            if not parameter.accepts(value):
                raise AblateError(
                    f"'{name}' of strategy '{self.name}' takes {parameter.allowed}, got {value!r}"
                )


_registry: dict[str, Strategy] = {}


def strategy(
    *, paper: str | None = None, bibtex: str | None = None, dial: str | None = None
) -> Callable[[Function], Function]:
    """Register the decorated function as a strategy and return it unchanged.

    paper: an arXiv id (`arXiv:1409.2329`) or a DOI (`doi:10.1109/...`); dial: the name of a rate.
    Raises AblateError for a function that cannot be a strategy, or a name that is taken.
    """

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
    _load_entry_points()
    if name not in _registry:
        near = did_you_mean(name, _registry)
        raise AblateError(
            f"no strategy is called '{name}'{near or '; there are ' + ', '.join(_registry)}"
        )
    return _registry[name]


def names() -> tuple[str, ...]:
    """The names of all strategies: the built-in ones first, each family together."""
    return tuple(strategy.name for strategy in all_strategies())


def all_strategies() -> tuple[Strategy, ...]:
    """All strategies, in the order of their registration."""
    _load_entry_points()
    return tuple(_registry.values())


def _make(function: Function, paper: str | None, bibtex: str | None, dial: str | None) -> Strategy:
    name, parameters = function.__name__, read_parameters(function)
    if not inspect.getdoc(function):
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
    return Strategy(function, parameters, _origin_of(function), paper, bibtex, dial)


def _same_source(one: Function, other: Function) -> bool:
    """Whether `other` is `one` defined again: a reload, or a notebook's cell run twice."""
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def _origin_of(function: Function) -> str:
    module = function.__module__
    return _release("ablate", "ablate-dropout") if module.startswith("ablate.") else module


def _release(name: str, distribution: str) -> str:
    try:
        return f"{name} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return name


@functools.cache
def _load_entry_points() -> None:
    """Import the strategies of other packages, once; a broken one is a warning that names it."""
    for point in metadata.entry_points(group=ENTRY_POINTS):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        before = set(_registry)
        try:
            point.load()
        except Exception as error:
            # Another package's mistake must not take ours down, whatever it is.
            warnings.warn(
                f"the strategies '{point.name}' of {origin} could not be loaded: "
                f"{type(error).__name__}: {error}",
                stacklevel=3,
            )
        for name in set(_registry) - before:
            _registry[name] = replace(_registry[name], origin=origin)
