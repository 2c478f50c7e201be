"""Points: a strategy at one set of arguments, and the grids of them that a study file writes down.

A table `{name = "recurrent", rate = [.1, .25], sharing = "window"}` stands for two points. What it
leaves out is the strategy's default; a rate left out follows the strategy's dial where that is
given.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ablate.cells import Cell
from ablate.errors import AblateError, did_you_mean
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.strategies import Strategy, get
from ablate.strategies.parameters import Value

#: Where in a table (keys and positions) a mistake is, and what is wrong, allowed and given.
Mistake = tuple[tuple[str | int, ...], str]

#: The most points that one table may stand for: more is a slip of the pen, not a study.
MOST_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One table of a study file's `strategies`: a name, and for each argument the values to try."""

    name: str
    grid: tuple[tuple[str, tuple[Value, ...]], ...] = ()

    def points(self) -> "Iterator[Point]":
        """Yield the grid's points, the last argument changing fastest."""
        strategy = get(self.name)
        names = [name for name, _ in self.grid]
        for values in itertools.product(*(values for _, values in self.grid)):
            arguments = strategy.arguments(**dict(zip(names, values, strict=True)))
            yield Point(strategy, tuple(arguments.items()))


@dataclass(frozen=True, slots=True)
class Point:
    """A strategy at one full set of arguments."""

    strategy: Strategy
    pairs: tuple[tuple[str, Value], ...]

    def place(self, cell: Cell) -> Placement:
        """The placement that the strategy makes of the arguments for nets of `cell`.

        Raises AblateError, with the point, where the strategy, a plugin's, makes none.
        """
        try:
            return self.strategy.place(cell, **self.arguments)
        except AblateError as error:
            at = ", ".join(f"{name}={_short(value)}" for name, value in self.pairs)
            name = self.strategy.name
            raise AblateError(f"'{name}' at {at or 'its one point'}: {error}") from error

    @property
    def arguments(self) -> dict[str, Value]:
        """Every argument by name."""
        return dict(self.pairs)

    @property
    def dial_value(self) -> float | None:
        """The value of the strategy's dial; None where it has none."""
        return self.strategy.dial_value(self.arguments)

    @property
    def default(self) -> bool:
        """Whether this is the strategy's default point."""
        return self.arguments == self.strategy.arguments()

    @property
    def label(self) -> str:
        """A short text, one for each point: `none`, `zaremba2014 .5`, `recurrent window .25`.

        The dial is always shown; any other argument where it is not what it would have been if
        left out, a word stands alone unless another argument takes the same word.
        """
        arguments, dial = self.arguments, self.strategy.dial
        usual = self.strategy.arguments(**({dial: arguments[dial]} if dial else {}))
        words, named = [], []
        for name, value in self.pairs:
            if name == dial or value == usual[name]:
                continue
            if isinstance(value, str) and self._only_taker(name, value):
                words.append(value)
            else:
                named.append(f"{name}={_short(value)}")
        strength = [_short(arguments[dial])] if dial else []
        return " ".join([self.strategy.name, *words, *strength, *named])

    def _only_taker(self, name: str, word: str) -> bool:
        return not any(
            word in parameter.choices
            for other, parameter in self.strategy.parameters.items()
            if other != name
        )


def distinct(choices: Iterable[Choice]) -> list[Point]:
    """Return the points of all `choices` in order, each once however often it is written down.

    Two strategies, or two points of one, that make equal placements are two points.
    """
    points: dict[str, Point] = {}
    for choice in choices:
        for point in choice.points():
            points.setdefault(point.label, point)
    return list(points.values())


def baseline_of(name: str, points: Iterable[Point]) -> Point | None:
    """Return the point that `name` means: a label, or a strategy with one point or its default one.

    None where no point has that name, or where several have it and none is the default.
    """
    found = [point for point in points if name in (point.label, point.strategy.name)]
    exact = [point for point in found if point.label == name]
    usual = [point for point in found if point.default]
    for candidates in (exact, usual, found):
        if len(candidates) == 1:
            return candidates[0]
    return None


def read_choice(table: Mapping[str, Any]) -> tuple[Choice | None, list[Mistake]]:
    """Read one table of `strategies`: the choice, or None and every mistake in it."""
    name = table.get("name")
    if "name" not in table:
        return None, [(("name",), "is missing: each table names a strategy")]
    if not isinstance(name, str):
        return None, [(("name",), f"must be a text, got {name!r}")]
    try:
        strategy = get(name)
    except AblateError as error:
        return None, [(("name",), str(error))]
    mistakes: list[Mistake] = []
    grid: list[tuple[str, tuple[Value, ...]]] = []
    for argument, given in table.items():
        if argument == "name":
            continue
        values = given if isinstance(given, list) else [given]
        mistakes += _argument_mistakes(strategy, argument, values, listed=isinstance(given, list))
        grid.append((argument, tuple(values)))
    count = math.prod(len(values) for _, values in grid)
    if count > MOST_POINTS:
        words = f"these lists make {count:,} points; at most {MOST_POINTS:,} are allowed"
        mistakes.append(((), words))
    choice = Choice(name, tuple(grid))
    return (None, mistakes) if mistakes else (choice, [])


def misfits(choices: Sequence[Choice], nets: Iterable[Net]) -> Iterator[Mistake]:
    """Yield a mistake for each placement that there is none of, or that does not fit a net."""
    for net in nets:
        broken = list(unmade(choices, net.of_cell))
        yield from broken
        for point in () if broken else distinct(choices):
            try:
                point.place(net.of_cell).check(net.layers, net.of_cell)
            except AblateError as error:
                yield ("strategies",), f"{point.label}: {error}"


def unmade(choices: Sequence[Choice], cell: Cell) -> Iterator[Mistake]:
    """Yield the first point of each table at which a strategy, a plugin's, makes no placement."""
    for number, choice in enumerate(choices):
        for point in choice.points():
            try:
                point.place(cell)
            except AblateError as error:
                yield ("strategies", number), str(error)
                break


def _argument_mistakes(
    strategy: Strategy, argument: str, values: list[Any], *, listed: bool
) -> Iterator[Mistake]:
    if argument not in strategy.parameters:
        takes = ", ".join(strategy.parameters) or "no arguments"
        near = did_you_mean(argument, strategy.parameters)
        yield (argument,), f"unknown argument{near}; '{strategy.name}' takes {takes}"
        return
    if not values:
        yield (argument,), "a list of values to try needs at least one, got []"
    parameter = strategy.parameters[argument]
    for number, value in enumerate(values):
        if not parameter.accepts(value):
            path = (argument, number) if listed else (argument,)
            near = did_you_mean(value, parameter.choices) if isinstance(value, str) else ""
            yield path, f"must be {parameter.allowed}, got {value!r}{near}"


def _short(value: Value) -> str:
    """A value as labels show it: `.5`, `0`, `true`, `window`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removeprefix("0").removesuffix(".0") or "0"
    return str(value)
