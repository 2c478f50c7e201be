"""A strategy: a function from a few arguments to a placement, with its metadata."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ablate.cells import LSTM, Cell
from ablate.docstrings import docstring
from ablate.errors import AblateError, UnknownName, WrongValue, in_words, line_in
from ablate.placement import Placement
from ablate.registry import Registry
from ablate.sources import built_in
from ablate.strategies.parameters import Parameter, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# A rate scaled along a dial could exceed 1; above .9 trials only diverge.
CAP: Final = 0.9

Function = Callable[..., Placement]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named function from a few arguments to a placement, with its paper and its default point.

    `dial` names the rate that represents the strategy's strength in sweeps and figures, `for_cell`
    the parameter that receives the net's cell.
    """

    function: Function
    parameters: Mapping[str, Parameter]
    paper: str | None = None
    bibtex: str | None = None
    dial: str | None = None
    for_cell: str | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def origin(self) -> str:
        """Its package with the version: `ablate 0.1.0`, or a plugin's."""
        return STRATEGIES.origin_of(self.function.__module__)

    @property
    def plugin(self) -> str | None:
        """The plugin that it comes from, with its version; None for a built-in one."""
        return None if built_in(self.function.__module__) else self.origin

    @property
    def doc(self) -> str:
        return docstring(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0]

    def arguments(self, /, **given: Value) -> dict[str, Value]:
        """Return every argument: the given ones, defaults for the rest.

        If the dial is given, the other rates keep their default ratio to it, up to .9, unless they
        are given too. Raises AblateError for a name or a value that the signature does not allow.
        """
        self._check(given)
        defaults = {name: parameter.default for name, parameter in self.parameters.items()}
        if self.dial in given:
            defaults |= self._along_the_dial(float(given[self.dial]))
        # -0.0 is 0.0 under another name.
        return {
            name: float(value) + 0.0 if self.parameters[name].kind == "rate" else value
            for name, value in (defaults | given).items()
        }

    def place(self, cell: Cell = LSTM, /, **given: Value) -> Placement:
        """Return the placement at these arguments, for nets of `cell`.

        `Placement.check` says whether the cell has all its edges. Raises AblateError as `arguments`
        does, for any exception of the function, and for a placement without a canonical text.
        """
        arguments = self.arguments(**given)
        of_net = {self.for_cell: cell} if self.for_cell else {}
        try:
            placement = self.function(**arguments, **of_net)
        except Exception as error:  # a plugin may raise anything
            verb = ":" if isinstance(error, AblateError) else " raises"
            where = f"strategy '{self.name}' ({self._whereabouts(error)})"
            raise AblateError(f"{where}{verb} {in_words(error)}") from error
        if not isinstance(placement, Placement):
            raise AblateError(
                f"strategy '{self.name}' must return a Placement, got {placement!r}; "
                f"tell the authors of {self.origin}",
                given=placement,
            )
        _ = placement.text
        return placement

    def dial_value(self, arguments: Mapping[str, Value]) -> float | None:
        """The value of the dial in a full set of arguments; None without a dial."""
        return float(arguments[self.dial]) if self.dial else None

    def search_space(self) -> "dict[str, BaseDistribution]":
        """The Optuna distribution of each parameter."""
        return {name: parameter.distribution() for name, parameter in self.parameters.items()}

    def _whereabouts(self, error: Exception) -> str:
        """The function's file or package, and the line that failed: `mine.py, line 8`."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        if code is None:
            return self.origin
        name, line = Path(code.co_filename).name, line_in(code.co_filename, error)
        # The origin of a file plugin begins with its name; that of an unregistered one is a module.
        own = self.origin.startswith(name) or self.origin == self.function.__module__
        whose = name if own else f"{self.origin}, {name}"
        return f"{whose}, line {line}" if line else whose

    def _along_the_dial(self, value: float) -> dict[str, Value]:
        dial = self.dial or ""
        # Compute the factor first: at the default point it is exactly 1. Rounding shortens texts.
        factor = value / float(self.parameters[dial].default)
        return {
            name: min(CAP, round(float(parameter.default) * factor, 12))
            for name, parameter in self.parameters.items()
            if parameter.kind == "rate"
        }

    def _check(self, given: Mapping[str, Value]) -> None:
        for name, value in given.items():
            if name not in self.parameters:
                kind = f"parameter of strategy '{self.name}'"
                raise UnknownName(kind, name, self.parameters)
            parameter = self.parameters[name]
            if not parameter.accepts(value):
                where = f"'{name}' of strategy '{self.name}'"
                raise WrongValue(where, parameter.allowed, value)


STRATEGIES: Final[Registry[Strategy]] = Registry(
    "strategy",
    group="ablate.strategies",
    elsewhere="one of your own needs --plugin FILE or plugins = [...] in the study",
)
