"""Points: a strategy at one set of arguments, and the grids of them that a study file writes down.

A table `{name = "recurrent", rate = [.1, .25], sharing = "window"}` stands for two points. What it
leaves out is the strategy's default; a rate left out follows the strategy's dial where that is
given. `without = "input"` takes an edge out of what the strategy makes, and `without = "each"`
stands for the whole and for the whole less each of its edges.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ablate.cells import LSTM, Cell
from ablate.edges import Edge, edges_named
from ablate.errors import AblateError, did_you_mean
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.strategies import Strategy, get
from ablate.strategies.parameters import Value
from ablate.training.recipe import Recipe

#: Where in a table (keys and positions) a mistake is, and what is wrong, allowed and given.
Mistake = tuple[tuple[str | int, ...], str]

#: The most points that one table may stand for: more is a slip of the pen, not a study.
MOST_POINTS: Final = 10_000

_NO_EDGE: Final = Edge(0)

#: The key of a table, and of a point's facts, that takes edges out of a placement.
WITHOUT: Final = "without"
EACH: Final = "each"


@dataclass(frozen=True, slots=True)
class Choice:
    """One table of a study file's `strategies`: a name, and for each argument the values to try.

    `without` has the edges to leave out, one a point, beside the `whole`; None stands for each.
    """

    name: str
    grid: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    without: tuple[Edge, ...] | None = ()
    whole: bool = True

    def points(self) -> "Iterator[Point]":
        """Yield the grid's points, the last argument changing fastest."""
        for point in self.bundles():
            if self.whole:
                yield point
            left_out = point.edges if self.without is None else self.without
            yield from (replace(point, without=edge) for edge in left_out)

    def bundles(self) -> "Iterator[Point]":
        """Yield the grid's points with all of their edges."""
        strategy = get(self.name)
        names = [name for name, _ in self.grid]
        for values in itertools.product(*(values for _, values in self.grid)):
            arguments = strategy.arguments(**dict(zip(names, values, strict=True)))
            yield Point(strategy, tuple(arguments.items()))


@dataclass(frozen=True, slots=True)
class Point:
    """A strategy at one full set of arguments, less the edges `without`.

    `nuisances` are what the point changes beside the placement, such as the learning rate that a
    search has drawn: the path of a number of the recipe, and its value.
    """

    strategy: Strategy
    pairs: tuple[tuple[str, Value], ...]
    nuisances: tuple[tuple[str, float], ...] = ()
    without: Edge = _NO_EDGE

    @classmethod
    def of(cls, name: str, facts: Mapping[str, Any]) -> "Point":
        """The point of a strategy that `facts` tells of; AblateError where there is none by now."""
        strategy, given = get(name), dict(facts)
        without = edges_named(str(given.pop(WITHOUT, "")))
        nuisances = tuple((key, float(given.pop(key))) for key in facts if "." in key)
        return cls(strategy, tuple(strategy.arguments(**given).items()), nuisances, without)

    @property
    def facts(self) -> dict[str, Value]:
        """All that the point is, as a store keeps it: what it is called by beside its strategy."""
        left_out = {WITHOUT: self.without.label.lower()} if self.without else {}
        return {**self.arguments, **dict(self.nuisances), **left_out}

    def recipe(self, recipe: Recipe) -> Recipe:
        """`recipe` with the nuisances of this point."""
        own: dict[str, Any] = {path.rpartition(".")[2]: value for path, value in self.nuisances}
        return Recipe.model_validate(recipe.model_dump() | own) if own else recipe

    @property
    def edges(self) -> Edge:
        """The edges at which it drops in an LSTM; none where the strategy makes no placement."""
        try:
            return self.place(LSTM).edges
        except AblateError:
            return _NO_EDGE

    def place(self, cell: Cell) -> Placement:
        """The placement that the strategy makes of the arguments for nets of `cell`.

        Raises AblateError, with the point, where the strategy, a plugin's, makes none.
        """
        try:
            return self.strategy.place(cell, **self.arguments) - self.without
        except AblateError as error:
            raise AblateError(f"'{self.label}': {error}") from error

    @property
    def arguments(self) -> dict[str, Value]:
        """Every argument by name."""
        return dict(self.pairs)

    @property
    def alone(self) -> Choice:
        """The table that stands for this point and no other."""
        grid = tuple((name, (value,)) for name, value in self.pairs)
        return (
            Choice(self.strategy.name, grid, (self.without,), False)
            if self.without
            else Choice(self.strategy.name, grid)
        )

    @property
    def dial_value(self) -> float | None:
        """The value of the strategy's dial; None where it has none."""
        return self.strategy.dial_value(self.arguments)

    @property
    def default(self) -> bool:
        """Whether this is the strategy's default point."""
        return self.facts == self.strategy.arguments()

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
        drawn = [
            f"{path.removeprefix('recipe.')}={_short(value)}" for path, value in self.nuisances
        ]
        left_out = [f"{WITHOUT} {self.without.label.lower()}"] if self.without else []
        return " ".join([self.strategy.name, *words, *strength, *named, *drawn, *left_out])

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
    return once(point for choice in choices for point in choice.points())


def once(points: Iterable[Point]) -> list[Point]:
    """Return each point once, at its first place: a label is one point's."""
    found: dict[str, Point] = {}
    for point in points:
        found.setdefault(point.label, point)
    return list(found.values())


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
    without, found = _read_without(table.get(WITHOUT, []))
    mistakes += found
    for argument, given in table.items():
        if argument in ("name", WITHOUT):
            continue
        values = given if isinstance(given, list) else [given]
        mistakes += _argument_mistakes(strategy, argument, values, listed=isinstance(given, list))
        grid.append((argument, tuple(values)))
    count = math.prod(len(values) for _, values in grid)
    if count > MOST_POINTS:
        words = f"these lists make {count:,} points; at most {MOST_POINTS:,} are allowed"
        mistakes.append(((), words))
    choice = Choice(name, tuple(grid), without)
    return (None, mistakes) if mistakes else (choice, [])


def _read_without(given: Any) -> tuple[tuple[Edge, ...] | None, list[Mistake]]:
    """Read `without`: an edge, a list of them, or "each" (None)."""
    if given == EACH:
        return None, []
    edges: list[Edge] = []
    for word in given if isinstance(given, list) else [given]:
        try:
            edge = edges_named(word)
        except AblateError as error:
            return (), [((WITHOUT,), f'{error}; "{EACH}" leaves out each edge in turn')]
        if not edge:
            return (), [((WITHOUT,), f"must name an edge such as 'input', got {word!r}")]
        edges.append(edge)
    return tuple(edges), []


def misfits(
    choices: Sequence[Choice], runs: Sequence[Point], nets: Sequence[Net]
) -> Iterator[Mistake]:
    """Yield a mistake for each placement that there is none of, or that does not fit a net.

    `runs` are those of a design: what does not fit in one of them is a mistake of the design. An
    edge that is left out where nothing drops is a mistake too: the point would be the whole again.
    """
    made = True
    for net in nets:
        broken = list(unmade(choices, net.of_cell))
        made = made and not broken
        yield from broken
        for point in () if broken else distinct(choices):
            for words in _misfit(point, net):
                yield ("strategies",), f"{point.label}: {words}"
        for run in runs:
            for words in _misfit(run, net):
                yield ("factorial",), words

    for number, choice in enumerate(choices if made else ()):
        for words in _without_effect(choice, nets):
            yield ("strategies", number, WITHOUT), words


def _without_effect(choice: Choice, nets: Sequence[Net]) -> Iterator[str]:
    """Say at which edges that a table leaves out none of its points drops, in any net."""
    if choice.without == ():
        return
    dropped = _NO_EDGE
    for net, point in itertools.product(nets, choice.bundles()):
        dropped |= point.place(net.of_cell).edges
    if not dropped:
        yield f"'{choice.name}' drops nowhere here: it has no edge to leave out"
        return
    for edge in choice.without or ():
        if idle := edge & ~dropped:
            yield f"'{choice.name}' does not drop at {idle.label}; it drops at {dropped.label}"


def _misfit(point: Point, net: Net) -> Iterator[str]:
    try:
        point.place(net.of_cell).check(net.layers, net.of_cell)
    except AblateError as error:
        yield str(error)


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
