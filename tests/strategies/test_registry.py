"""The registry: names, errors, the dial, and strategies of other packages."""

import math
import sys
import types
from importlib import metadata
from typing import Annotated, Literal

import pytest

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.errors import AblateWarning, UnknownName, WrongValue
from ablate.placement import Placement
from ablate.strategies import STRATEGIES, Range, Rate, all_strategies, get, names, strategy


def test_unknown_name_is_refused_with_the_nearest(refused):
    """A misspelt strategy is named, with the one that was meant."""
    with refused(UnknownName, kind="strategy", given="gall2016"):
        get("gall2016")


def test_unknown_name_without_a_neighbour_lists_all(refused):
    """Where nothing is near, every name is shown."""
    with refused(UnknownName, given="qqqq") as raised:
        get("qqqq")
    assert raised.value.allowed == names()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(
            {"cel": 0.1},
            id="name",
        ),
        pytest.param(
            {"cell": 1},
            id="rate-of-one",
        ),
        pytest.param(
            {"cell": True},
            id="truth-for-a-rate",
        ),
        pytest.param(
            {"cell": float("nan")},
            id="nan",
        ),
        pytest.param(
            {"upward": 1},
            id="number-for-a-truth",
        ),
    ],
)
def test_bad_argument_is_refused_in_one_sentence(given, refused):
    """What is wrong, what is allowed, and what was given."""
    with refused():
        get("zoneout").place(**given)


def test_bad_choice_is_refused_with_the_choices(refused):
    """A word outside a Literal names the words inside it."""
    with refused():
        get("gal2016").place(gates="loose")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, (0.5, 0.3, 0.3), id="default-point"),
        pytest.param({"vertical": 0.5}, (0.5, 0.3, 0.3), id="dial-at-its-default"),
        pytest.param({"vertical": 0.25}, (0.25, 0.15, 0.15), id="halved"),
        pytest.param({"vertical": 0.0}, (0.0, 0.0, 0.0), id="off"),
        pytest.param({"vertical": 0.25, "recurrent": 0.4}, (0.25, 0.4, 0.15), id="one-is-given"),
        pytest.param({"recurrent": 0.4}, (0.5, 0.4, 0.3), id="not-the-dial"),
    ],
)
def test_the_dial_keeps_the_ratios(given, expected):
    """Rates that are not given keep their default ratio to the dial."""
    arguments = get("gal2016").arguments(**given)
    assert tuple(arguments[name] for name in ("vertical", "recurrent", "embedding")) == expected


def test_the_dial_caps_other_rates():
    """A rate that the dial would drive past .9 stops there."""
    arguments = get("merity2017").arguments(output=0.8)
    assert arguments["weight"] == 0.9
    assert get("merity2017").dial_value(arguments) == 0.8


def test_arguments_are_canonical():
    """A whole number for a rate and the same rate as a float are one point."""
    assert get("zaremba2014").place(rate=0) == Placement()
    assert isinstance(get("zaremba2014").arguments(rate=0)["rate"], float)


def test_every_kind_of_parameter_is_read_and_searched(own_strategies, refused):
    """The signature is the search space: rates, whole numbers, words and truth values."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    @strategy(dial="rate")
    def everything(
        rate: Rate = 0.25,
        steps: Annotated[int, Range(1, 50)] = 10,
        where: Literal["up", "on"] = "up",
        hold: bool = False,
    ) -> Placement:
        """Take every kind of parameter."""
        return Placement({Edge.INPUT: Drop(rate)})

    assert get("everything").search_space() == {
        "rate": FloatDistribution(0.0, 0.9),
        "steps": IntDistribution(1, 50),
        "where": CategoricalDistribution(("up", "on")),
        "hold": CategoricalDistribution((False, True)),
    }
    with refused():
        get("everything").place(steps=51)


def _no_default(rate: Rate) -> Placement:
    """Lack a default."""
    raise NotImplementedError


def _plain_float(rate: float = 0.1) -> Placement:
    """Lack a range."""
    raise NotImplementedError


def _bad_default(rate: Rate = 1.5) -> Placement:
    """Break its own range."""
    raise NotImplementedError


def _variadic(*rates: float) -> Placement:
    """Take anything."""
    raise NotImplementedError


def _reserved(rate: Rate = 0.1, without: bool = False) -> Placement:
    """Call a parameter as a study file calls a key of its own."""
    raise NotImplementedError


def _undocumented(rate: Rate = 0.1) -> Placement:
    raise NotImplementedError


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(_no_default, id="no-default"),
        pytest.param(_plain_float, id="plain-float"),
        pytest.param(_bad_default, id="bad-default"),
        pytest.param(_variadic, id="variadic"),
        pytest.param(_undocumented, id="undocumented"),
        pytest.param(_reserved, id="reserved"),
    ],
)
def test_what_cannot_be_a_strategy_is_refused_at_its_definition(function, own_strategies, refused):
    """A signature that says too little never reaches the registry."""
    with refused():
        strategy()(function)
    assert function.__name__ not in names()


@pytest.mark.parametrize(
    ("base", "low", "high"),
    [
        pytest.param(float, 0.9, 0.1, id="rates-turned"),
        pytest.param(float, 0.5, 0.5, id="rates-equal"),
        pytest.param(float, 0.2, 3.0, id="rates-above-1"),
        pytest.param(float, 0, 1, id="rate-1"),
        pytest.param(float, -0.1, 0.5, id="rates-below-0"),
        pytest.param(float, math.nan, 0.5, id="rates-nan"),
        pytest.param(int, 1, math.inf, id="whole-infinite"),
        pytest.param(int, 0.5, 3.5, id="whole-halves"),
        pytest.param(int, 1, 10**20, id="whole-beyond-floats"),
        pytest.param(int, "a", "b", id="words"),
        pytest.param(int, False, True, id="truth"),
        pytest.param(int, None, 3, id="nothing"),
    ],
)
def test_a_range_that_no_search_can_draw_from_is_refused(base, low, high, own_strategies, refused):
    """With the annotation, where it is written; a search would end in the middle of a run."""

    def ranged(number=1) -> Placement:
        """Have a range."""
        raise NotImplementedError

    ranged.__annotations__["number"] = Annotated[base, Range(low, high)]
    with refused(WrongValue, given=Range(low, high)):
        strategy()(ranged)


@pytest.mark.parametrize(
    "given",
    [
        {"paper": 3},
        {"paper": ["arXiv:1409.2329"]},
        {"paper": " "},
        {"bibtex": ["x"]},
        {"bibtex": ""},
        {"bibtex": "@broken{"},
        {"bibtex": "@misc{a}"},
        {"bibtex": "@misc{a, title = {x}"},
        {"bibtex": "@misc{a, title = {x}}}{"},
        {"bibtex": "Smith 2020"},
    ],
    ids=str,
)
def test_a_citation_is_text_and_bibtex(given, own_strategies, refused):
    """What could not be printed or cited is refused where it is written."""

    def cited() -> Placement:
        """Have a source."""
        raise NotImplementedError

    with refused(WrongValue):
        strategy(**given)(cited)
    both = "\n@misc{a,\n title = {x {Y}}\n}\n\n@misc{b, note = {z}}\n"
    strategy(paper="arXiv:1", bibtex=both)(cited)


def _dialled(rate: Rate = 0.0, hold: bool = True) -> Placement:
    """Start its dial at nothing."""
    raise NotImplementedError


@pytest.mark.parametrize(
    "dial",
    [
        pytest.param("hold", id="no-rate"),
        pytest.param("rate", id="default-zero"),
    ],
)
def test_a_dial_is_a_rate_above_zero(dial, own_strategies, refused):
    """Ratios to a dial need a dial that can be divided by."""
    with refused():
        strategy(dial=dial)(_dialled)


def test_a_taken_name_is_refused_and_a_redefinition_is_not(own_strategies, refused):
    """Two sources for a name clash; the same source defined again replaces itself."""

    def define(module):
        def naive(rate: Rate = 0.1) -> Placement:
            """Be another naive."""
            return Placement({Edge.INPUT: Drop(rate)})

        naive.__module__ = module
        return strategy()(naive)

    with refused():
        define("elsewhere")

    def again(rate: Rate = 0.1) -> Placement:
        """Stand in a cell that is run twice."""
        return Placement({Edge.INPUT: Drop(rate)})

    assert strategy()(again) is strategy()(again)


def test_a_decorator_without_parentheses_is_told(own_strategies, refused):
    """What stands above the function is called, and takes its values by name."""
    with refused():
        strategy(_dialled)
    with refused():
        strategy("arXiv:1409.2329")


def test_a_strategy_that_returns_no_placement_is_named(own_strategies, refused):
    """A plugin's slip is told in words, with whose it is."""

    @strategy()
    def empty() -> Placement:
        """Forget to return."""
        return None  # type: ignore

    with refused():
        get("empty").place()


def _publish(monkeypatch, *points):
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)


def test_another_package_is_found_by_its_entry_point(own_strategies, monkeypatch):
    """A plugin is a module under the entry-point group; its strategies stand after ours."""
    module = types.ModuleType("plugged_in")
    source = (
        "from ablate.drops import Drop\n"
        "from ablate.edges import Edge\n"
        "from ablate.placement import Placement\n"
        "from ablate.strategies import Rate, strategy\n"
        "@strategy(dial='rate')\n"
        "def plugged(rate: Rate = 0.2) -> Placement:\n"
        "    'Come from elsewhere.'\n"
        "    return Placement({Edge.UPDATE: Drop(rate)})\n"
    )
    exec(source, module.__dict__)
    STRATEGIES.forget("plugged_in")

    class Point(metadata.EntryPoint):
        def load(self):
            exec(source, module.__dict__)
            return module

    monkeypatch.setitem(sys.modules, "plugged_in", module)
    _publish(monkeypatch, Point("mine", "plugged_in", STRATEGIES.group))
    assert names()[-1] == "plugged"
    assert get("plugged").origin == "plugged_in"
    assert get("plugged").place() == Placement({Edge.UPDATE: Drop(0.2)})


def test_a_broken_plugin_is_a_warning_that_names_it(own_strategies, monkeypatch, wording):
    """Another package's mistake does not take ours down, and does not pass in silence."""
    point = metadata.EntryPoint("mine", "no_such_module_here", STRATEGIES.group)
    _publish(monkeypatch, point)
    with pytest.warns(AblateWarning) as warned:
        assert "zaremba2014" in names()
    wording(str(warned[0].message))


def test_names_and_strategies_agree():
    """`names` lists `all_strategies`, built-in families first."""
    assert names() == tuple(each.name for each in all_strategies())
    assert names()[:3] == ("none", "zaremba2014", "locked")
