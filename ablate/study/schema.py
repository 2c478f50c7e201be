"""What a study file may hold, as models that check each value alone.

What needs several values at once (does the baseline name a strategy of the profile?) is checked
where the file is parsed: a mistake in one place hides none in another.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ablate.cells import CELLS
from ablate.data.text import PLAIN, Text
from ablate.drops import Drop
from ablate.edges import Edge, edges_named
from ablate.errors import AblateError, UnknownName, did_you_mean
from ablate.model.net import CellName, Net, Shape
from ablate.stages import FACTORIAL
from ablate.strategies.free import RATE, name_of, rate_of, timed
from ablate.study.corpus_path import CorpusPath
from ablate.study.factorial import design
from ablate.study.points import Choice, Mistake, Point, distinct, once
from ablate.training.recipe import PRESETS, LearningRate, Recipe

MOST_SEEDS: Final = 10_000

#: The strategy of which the runs of a design are points.
DESIGNED: Final = "free"

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_EXPECTED = {
    "dict_type": "a table",
    "model_type": "a table",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
}

_PRESET = next(iter(PRESETS))
_FILLED = f'a table, or give preset = "{_PRESET}", which fills net and recipe'
# What to write for a key that is missing, by its name.
_INSTEAD = {"net": _FILLED, "recipe": _FILLED, "profiles": "at least one, such as [profiles.quick]"}

Given = TypeVar("Given")
Taken = TypeVar("Taken")


def _in_words(check: Callable[[Given], Taken]) -> Callable[[Given], Taken]:
    """Let `check` raise AblateError within pydantic, which then reports it among its own."""

    def checked(given: Given) -> Taken:
        try:
            return check(given)
        except AblateError as error:
            raise PydanticCustomError("ablate", "{words}", {"words": str(error)}) from None

    return checked


def _corpus(spec: str, info: ValidationInfo) -> str:
    """Check `spec` by the rule that validation has as its context."""
    path = info.context if isinstance(info.context, CorpusPath) else CorpusPath()
    _in_words(path.check)(spec)
    return spec


@_in_words
def _preset(name: str) -> str:
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    return name


@_in_words
def _seeds(given: Any) -> tuple[Any, ...]:
    """Read a number n as the seeds 1 to n; a list stands for itself."""
    if isinstance(given, list) and given:
        twice = [seed for seed, count in Counter(map(repr, given)).items() if count > 1]
        if twice:
            raise AblateError(f"each seed makes one trial, but listed twice: {', '.join(twice)}")
        return tuple(given)
    if type(given) is int and 1 <= given <= MOST_SEEDS:
        return tuple(range(1, given + 1))
    raise AblateError(
        f"must be how many seeds, from 1 to {MOST_SEEDS:,}, or a list of them, got {given!r}"
    )


@_in_words
def _plugins(given: Any) -> tuple[str, ...]:
    if isinstance(given, list) and all(isinstance(path, str) and path for path in given):
        return tuple(given)
    raise AblateError(f'must be a list of Python files such as ["mine.py"], got {given!r}')


@_in_words
def _cells(given: Any) -> tuple[Any, ...]:
    """Read the name of one cell, or a list of them."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and given and all(isinstance(name, str) for name in given):
        if len(set(given)) < len(given):
            raise AblateError(f"each cell makes one net, got {', '.join(given)}")
        return tuple(given)
    raise AblateError(
        f"must be the name of a cell, or a list of them: {', '.join(CELLS)}, got {given!r}"
    )


class Nets(Shape):
    """The nets of a profile, one for each cell that `cell`, a name or a list of names, has."""

    cell: Annotated[tuple[CellName, ...], BeforeValidator(_cells)] = ("lstm",)

    @property
    def each(self) -> tuple[Net, ...]:
        """The nets, in the order of the cells."""
        shape = self.model_dump(include=set(Shape.model_fields))
        return tuple(Net(**shape, cell=name) for name in self.cell)


class Recipes(Recipe):
    """The recipe of a profile's nets; `learning_rates` are those of cells that have their own."""

    learning_rates: dict[CellName, LearningRate] = Field(default_factory=dict)

    def of(self, net: Net) -> Recipe:
        """The recipe of a net."""
        own: dict[str, Any] = self.model_dump(include=set(Recipe.model_fields))
        own["learning_rate"] = self.learning_rates.get(net.cell, self.learning_rate)
        return Recipe(**own)


# What a search may draw beside arguments: numbers that trials of one cohort may differ in.
_NUISANCES: Final = ("recipe.learning_rate", "recipe.divide", "recipe.clip", "recipe.init")
_BOUNDS: Final = (("gt", "above"), ("ge", "at least"), ("le", "at most"))
_FINITE: Final = ConfigDict(strict=True, allow_inf_nan=False)


@_in_words
def _over(given: Any) -> dict[str, tuple[float, float]]:
    """Read the ranges of nuisances: each from a low to a high number, both above 0."""
    example = 'a table such as {"recipe.learning_rate" = [0.3, 2.0]}'
    if not isinstance(given, dict):
        raise AblateError(f"must be {example}, got {given!r}")
    ranges: dict[str, tuple[float, float]] = {}
    for path, span in given.items():
        if path not in _NUISANCES:
            raise UnknownName("number that a search draws", path, _NUISANCES)
        bounds = Recipe.model_fields[path.removeprefix("recipe.")].metadata
        low, high = _numbers(span, bounds) or (0.0, 0.0)
        if not low < high:
            words = " and ".join(map(_bound, bounds))
            raise AblateError(f"{path} must be a low and a high number {words}, got {span!r}")
        ranges[path] = (low, high)
    return ranges


def _numbers(given: Any, bounds: Sequence[Any]) -> list[float] | None:
    """Two finite numbers within a field's bounds; None where `given` is anything else."""
    number: Any = Annotated[float, *bounds]
    pair: Any = Annotated[list[number], Field(min_length=2, max_length=2)]
    try:
        return TypeAdapter(pair, config=_FINITE).validate_python(given)
    except ValidationError:
        return None


def _bound(bound: Any) -> str:
    return next(f"{says} {getattr(bound, at):g}" for at, says in _BOUNDS if hasattr(bound, at))


class Tune(BaseModel):
    """How each strategy of a profile is tuned: the same number of points of its own space.

    `trials` points a strategy, of its arguments and of the nuisances in `over` (log-uniform between
    two numbers), drawn by Optuna's `sampler` and trained on `seed`; the first is the default point.
    `prune` says what stops a trial early. The point of the lowest validation loss is trained on
    `then` further seeds.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    trials: int = Field(default=16, ge=1, le=MOST_SEEDS)
    sampler: Literal["random", "qmc", "tpe", "gp", "cmaes"] = "random"
    over: Annotated[dict[str, tuple[float, float]], BeforeValidator(_over)] = Field(
        default_factory=dict
    )
    prune: Literal["none", "median", "hyperband"] = "none"
    then: int = Field(default=3, ge=1, le=MOST_SEEDS)
    seed: int = Field(default=1, ge=0, lt=2**31)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The search's seed, and those of what it chose."""
        return tuple(range(self.seed, self.seed + self.then + 1))


@_in_words
def _edges(given: Any) -> tuple[Edge, ...]:
    """Read a list of edges by name."""
    if not isinstance(given, list):
        raise AblateError(f'must be a list of edges such as ["input", "cell"], got {given!r}')
    return tuple(map(edges_named, given))


@_in_words
def _rate(given: float) -> float:
    """Check a rate as a drop does."""
    Drop(given)
    return given


class Factorial(BaseModel):
    """A two-level design over edges: each drops at `rate` in half of the runs, in the others not.

    `resolution` 3, 4 or 5 is that of a fraction, as small as it can be; without it the design is
    full. `sharing` says how long a mask is kept. The runs are points of the strategy `free`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    edges: Annotated[tuple[Edge, ...], BeforeValidator(_edges)]
    rate: Annotated[float, Field(gt=0, lt=1), AfterValidator(_rate)] = RATE
    sharing: Literal["step", "window"] = "step"
    resolution: int | None = None

    @model_validator(mode="after")
    def _designed(self) -> "Factorial":
        _in_words(self._runs)(self.resolution)
        return self

    def _runs(self, resolution: int | None) -> tuple[Edge, ...]:
        return design(self.edges, resolution)

    @property
    def points(self) -> list[Point]:
        """The runs, the one that drops nowhere first."""
        return [Point.of(DESIGNED, self._facts(run)) for run in self._runs(self.resolution)]

    def _facts(self, run: Edge) -> dict[str, Any]:
        over_time = {name_of(e): self.sharing if timed(e) else "window" for e in run}
        return {**over_time, **{rate_of(edge): self.rate for edge in run}}


class Profile(BaseModel):
    """One size of a study: everything that its cells are made of.

    A preset fills `net` and `recipe`, whose own keys go before it; `net.cell` may list cells, each
    of which is a net that all strategies are tried in, and `recipe.learning_rates` give some of
    them another learning rate. `text` says how the corpus is
    read, whose path begins at the `CorpusPath` that is the context of validation. `baseline` is the
    label of the point that differences are to. `precision` is that of the products; "auto" is
    settled by measuring the machine, before cells are enumerated. With `tune` each strategy is
    tuned, and `seeds` are those of `Tune`; with `factorial` the runs of a design are points beside
    those of the strategies.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    corpus: Annotated[str, AfterValidator(_corpus)]
    text: Text = PLAIN
    preset: Annotated[str, AfterValidator(_preset)] | None = None
    net: Nets
    recipe: Recipes
    strategies: tuple[Choice, ...] = ()
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], BeforeValidator(_seeds)]
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    baseline: str | None = None
    tune: Tune | None = None
    factorial: Factorial | None = None

    @property
    def points(self) -> list[tuple[Point, str | None]]:
        """The points that the file lists, each with the stage of its trials: the design's first.

        Those of a search are the defaults, where it begins.
        """
        stages = dict.fromkeys((run.label for run in self.runs), FACTORIAL)
        points = once([*self.runs, *distinct(self.strategies)])
        return [(point, stages.get(point.label)) for point in points]

    @property
    def runs(self) -> list[Point]:
        """The runs of its design; none without one."""
        return self.factorial.points if self.factorial else []

    @model_validator(mode="before")
    @classmethod
    def _seeds_of_search(cls, table: Any) -> Any:
        if not isinstance(table, dict) or not isinstance(table.get("tune"), dict):
            return table
        if "seeds" in table:
            raise PydanticCustomError(
                "ablate",
                "seeds: a tuned profile has tune.seed, that of its searches, and tune.then, how "
                "many more the chosen points are trained on; leave seeds out",
            )
        try:
            seeds = Tune.model_validate(table["tune"]).seeds
        except ValidationError:
            seeds = (1,)
        return table | {"seeds": list(seeds)}

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, table: Any) -> Any:
        if not isinstance(table, dict) or "preset" not in table:
            return table
        name = table["preset"]
        # A misspelt preset is one mistake: the keys that it would have filled are not missing too.
        known = name if isinstance(name, str) and name in PRESETS else next(iter(PRESETS))
        filled = PRESETS[known].model_dump(include={"net", "recipe"})
        for part, values in filled.items():
            own = table.get(part, {})
            filled[part] = values | own if isinstance(own, dict) else own
        return table | filled


class Head(BaseModel):
    """A study file without what is in its profiles.

    `plugins` are files of strategies, their paths relative to the study file.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    question: str = Field(min_length=1)
    baseline: str | None = None
    plugins: Annotated[tuple[str, ...], BeforeValidator(_plugins)] = ()
    default_profile: str = "quick"
    profiles: dict[str, Any] = Field(min_length=1)


class StudyMistakes(AblateError):
    """All mistakes in a study file, or in changes to one, each on a line with its path.

    paths: where they are, such as `profiles.quick.seeds`.
    """

    def __init__(self, where: str, mistakes: Sequence[Mistake]) -> None:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        self.paths = tuple(path_text(path) for path, _ in mistakes)
        lines = zip(self.paths, (words for _, words in mistakes), strict=True)
        listed = "".join(f"\n  {path}: {words}" for path, words in lines)
        super().__init__(f"{where} has {count}:{listed}")


def path_text(path: Sequence[str | int]) -> str:
    """Return a path as text: `profiles.quick.strategies[2].name`, positions counted from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.fullmatch(part) else repr(part))
    return text


def value_mistakes(model: type[BaseModel], error: ValidationError) -> Iterator[Mistake]:
    """Yield pydantic's findings on `model` in our words."""
    for found in error.errors(include_url=False):
        # Pydantic's mark for a key that is wrong itself.
        yield tuple(part for part in found["loc"] if part != "[key]"), _words(model, found)


def _words(model: type[BaseModel], found: ErrorDetails) -> str:
    kind, given, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "ablate":
        return found["msg"]
    if kind == "missing":
        instead = _INSTEAD.get(str(found["loc"][-1]))
        return f"is missing: {instead}" if instead else "is missing"
    if kind == "model_type" and isinstance(given, str) and given in PRESETS:
        return f'that is a preset: write preset = "{given}"'
    if kind == "extra_forbidden":
        allowed = _fields(model, found["loc"][:-1])
        near = did_you_mean(str(found["loc"][-1]), allowed)
        return f"unknown key{near}; allowed are {', '.join(allowed)}"
    if kind == "literal_error":
        near = did_you_mean(str(given), re.findall(r"'([^']*)'", context["expected"]))
        return f"must be {context['expected']}, got {given!r}{near}"
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    expected = _EXPECTED.get(kind) or found["msg"].removeprefix("Input should be ")
    return f"must be {expected}, got {given!r}"


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at `path` within `model` takes."""
    for part in path:
        inner: Any = model.model_fields[str(part)].annotation
        # A table that may be missing: the model, or None.
        model = next((kind for kind in get_args(inner) if hasattr(kind, "model_fields")), inner)
    return list(model.model_fields)
