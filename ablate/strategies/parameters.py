"""The parameters of a strategy, read from its signature: its arguments and its search space.

A parameter's annotation is `Rate`, `Literal[...]`, `bool`, or `Annotated[int, Range]` or
`Annotated[float, Range]`. A parameter annotated `Cell` is no argument: it receives the cell of the
net.
"""

import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ablate.cells import Cell
from ablate.errors import AblateError, WrongValue

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Every whole number between these is a float.
_WHOLE = (-(2**53), 2**53)

Value = float | int | bool | str
Kind = Literal["rate", "choice", "bool", "int"]


@dataclass(frozen=True, slots=True)
class Range:
    """The bounds of a search, in the annotation of a parameter."""

    low: float
    high: float


Rate = Annotated[float, Range(0.0, 0.9)]
"""The probability of dropping. Any rate in [0, 1) is allowed; a search covers [0, .9]."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a strategy: its kind, its default, and its range or its choices."""

    kind: Kind
    default: Value
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        match self.kind:
            case "rate":
                return "a rate in [0, 1), the probability of dropping"
            case "choice":
                return " or ".join(map(repr, self.choices))
            case "bool":
                return "true or false"
            case "int":
                return f"a whole number in [{self.low:g}, {self.high:g}]"

    def accepts(self, value: object) -> bool:
        """Whether `value` is allowed; a number is not a truth value."""
        if isinstance(value, bool) or self.kind == "bool":
            return isinstance(value, bool) and self.kind == "bool"
        match self.kind:
            case "choice":
                return value in self.choices
            case "int":
                return isinstance(value, int) and self.low <= value <= self.high  # pyright: ignore
            case _:
                return isinstance(value, int | float) and math.isfinite(value) and 0 <= value < 1

    def distribution(self) -> "BaseDistribution":
        """The Optuna distribution from which a search samples this argument."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.low is None or self.high is None:
            return CategoricalDistribution(self.choices or (False, True))
        if self.kind == "int":
            return IntDistribution(int(self.low), int(self.high))
        return FloatDistribution(self.low, self.high)


def read_parameters(function: Callable[..., Any]) -> Mapping[str, Parameter]:
    """Read the parameters of a strategy from its signature, in order, except the net's cell.

    Raises AblateError for a parameter without a default, with an annotation that states no range,
    or with a default outside its annotation.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    return MappingProxyType(
        {
            name: _read(f"parameter '{name}' of strategy '{function.__name__}'", hints, parameter)
            for name, parameter in inspect.signature(function).parameters.items()
            if hints.get(name) is not Cell
        }
    )


def read_cell(function: Callable[..., Any]) -> str | None:
    """The parameter annotated `Cell`, which receives the net's cell; None if there is none.

    Raises AblateError for two of them: a net has one cell.
    """
    hints = typing.get_type_hints(function)
    names = [name for name in inspect.signature(function).parameters if hints.get(name) is Cell]
    if len(names) > 1:
        raise AblateError(
            f"strategy '{function.__name__}' is given one cell, that of the net, and has the "
            f"parameters {', '.join(names)} annotated Cell; keep one"
        )
    return names[0] if names else None


def _read(where: str, hints: Mapping[str, Any], given: inspect.Parameter) -> Parameter:
    if given.kind in (given.VAR_POSITIONAL, given.VAR_KEYWORD, given.POSITIONAL_ONLY):
        raise AblateError(f"{where} must be an ordinary named parameter, got '{given}'")
    if given.default is given.empty:
        raise AblateError(f"{where} needs a default: the paper's value, or a sensible one")
    parameter = _of_annotation(where, hints.get(given.name), given.default)
    if not parameter.accepts(given.default):
        raise WrongValue(f"the default of {where}", parameter.allowed, given.default)
    return parameter


def _ends(annotation: str, span: Range, *, whole: bool) -> tuple[float, float]:
    """The ends of a range from which numbers can be drawn: whole ones, or rates."""
    ends = (span.low, span.high)
    numbers = all(type(end) in (int, float) for end in ends)
    # A search draws whole numbers as floats.
    within = _WHOLE if whole else (0.0, math.nextafter(1.0, 0.0))
    if not (numbers and within[0] <= span.low < span.high <= within[1]) or (
        whole and any(end != int(end) for end in ends)
    ):
        kinds = ("rates in [0, 1), as Rate", "whole numbers up to 2**53, as Range(1, 50)")
        allowed = f"a low end below a high one, both {kinds[whole]}"
        raise WrongValue(annotation, allowed, span)
    return ends


def _of_annotation(where: str, hint: Any, default: Value) -> Parameter:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        return Parameter("bool", default)
    if origin is Literal and all(isinstance(choice, str) for choice in arguments):
        return Parameter("choice", default, choices=arguments)
    if origin is Annotated and isinstance(arguments[1], Range):
        span, base = arguments[1], arguments[0]
        if base in (int, float):
            low, high = _ends(f"the annotation of {where}", span, whole=base is int)
            return Parameter("int" if base is int else "rate", default, low, high)
    raise AblateError(
        f"{where} must be annotated as Rate, bool, Literal of words, Annotated[int, Range(a, b)] "
        "or Annotated[float, Range(a, b)], or Cell, which is given the net's"
    )
