"""A strategy under test, and the points at which its contract looks at it."""

from typing import TYPE_CHECKING

from ablate import cells
from ablate.cells import LSTM, Cell
from ablate.errors import AblateError, in_words
from ablate.placement import Placement
from ablate.strategies import Strategy, get
from ablate.strategies.parameters import Parameter, Value
from ablate.testing.contract import Contract

if TYPE_CHECKING:
    import optuna

Point = dict[str, Value]

SEED = 1409


class OfAStrategy(Contract):
    """What all parts of a strategy's contract share.

    strategy: the name of the strategy; import the module that registers it where it is not
    installed. layers: the depths of the nets that it must fit. cell: the name of the cell that
    these nets are made of.
    """

    strategy: str = ""
    layers: tuple[int, ...] = (1, 2, 3)
    cell: str = LSTM.name

    @property
    def of_cell(self) -> Cell:
        """The cell that the nets are made of."""
        return cells.get(self.cell)

    @property
    def subject(self) -> Strategy:
        """The strategy under test."""
        assert self.strategy, (
            f"{type(self).__name__} names no strategy: write strategy = 'name' in its body"
        )
        return get(self.strategy)

    def place(self, point: Point) -> Placement:
        """The placement at `point`, checked against every net that it must fit."""
        subject = self.subject
        try:
            placement = subject.place(self.of_cell, **point)
        except Exception as error:
            raise AssertionError(
                f"strategy '{subject.name}' has no placement at {words(point)}, a point that its "
                f"own signature allows: {in_words(error)}; narrow the parameter's "
                "annotation, or mend the function"
            ) from error
        for layers in self.layers:
            self._fit(placement, layers, point)
        return placement

    def _fit(self, placement: Placement, layers: int, point: Point) -> None:
        """Hold a placement to a net of so many layers of the cell."""
        try:
            placement.check(layers, self.of_cell)
        except AblateError as error:
            raise AssertionError(
                f"strategy '{self.subject.name}' at {words(point)} fits no net of {layers} "
                f"layer(s): {error}; where it fits one depth only, say `layers = (2,)` in the test "
                "class, and `cell = 'gru'` where it is for nets of another cell"
            ) from error

    def edge_points(self) -> list[Point]:
        """The default point, and each parameter alone at both its ends or at each choice."""
        parameters = self.subject.parameters
        return [{}] + [{name: value} for name in parameters for value in _ends(parameters[name])]

    def drawn_points(self, count: int) -> list[Point]:
        """`count` points of the search space, as an Optuna study draws them; seeded."""
        study, space = random_study(), self.subject.search_space()
        return [study.ask(space).params for _ in range(count)]

    def few_placements(self, drawn: int = 3) -> list[Placement]:
        """The default placement, one for each single choice, and a few drawn ones, all unequal."""
        parameters = self.subject.parameters
        choices = [
            {name: value}
            for name, parameter in parameters.items()
            if parameter.kind in ("choice", "bool")
            for value in _ends(parameter)
        ]
        return list(dict.fromkeys(map(self.place, [{}, *choices, *self.drawn_points(drawn)])))


def in_force(placement: Placement) -> Placement:
    """What a placement with a schedule is half-way through a trial; others are what they are."""
    return placement.at(1, 2)


def random_study() -> "optuna.Study":
    """An Optuna study in memory whose sampler is seeded."""
    import optuna

    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))


def words(point: Point) -> str:
    """A point as a message shows it."""
    return ", ".join(f"{name}={value!r}" for name, value in point.items()) or "its default point"


def _ends(parameter: Parameter) -> tuple[Value, ...]:
    if parameter.kind == "choice":
        return parameter.choices
    if parameter.kind == "bool":
        return (False, True)
    ends = (parameter.low or 0, parameter.high or 0)
    return tuple(int(end) for end in ends) if parameter.kind == "int" else ends
