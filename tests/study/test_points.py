"""Points of a study: grids, labels, and the point that a baseline's name means."""

import json
from typing import Any

import pytest

from ablate.study.points import baseline_of, distinct, read_choice


def labels(*tables: dict[str, Any]) -> list[str]:
    choices = []
    for table in tables:
        choice, mistakes = read_choice(table)
        assert mistakes == []
        choices.append(choice)
    return [point.label for point in distinct(choices)]


@pytest.mark.parametrize(
    ("table", "label"),
    [
        pytest.param({"name": "none"}, "none", id="no-dial"),
        pytest.param({"name": "zaremba2014"}, "zaremba2014 .5", id="dial-shown-at-default"),
        pytest.param({"name": "zaremba2014", "rate": 0}, "zaremba2014 0", id="zero"),
        pytest.param({"name": "zaremba2014", "rate": 0.125}, "zaremba2014 .125", id="exact"),
        pytest.param({"name": "recurrent", "sharing": "step"}, "recurrent .25", id="usual-word"),
        pytest.param(
            {"name": "recurrent", "sharing": "window"}, "recurrent window .25", id="other-word"
        ),
        pytest.param({"name": "gal2016", "vertical": 0.25}, "gal2016 .25", id="rates-follow"),
        pytest.param(
            {"name": "gal2016", "recurrent": 0.1, "gates": "tied"},
            "gal2016 tied .5 recurrent=.1",
            id="other-rate",
        ),
        pytest.param(
            {"name": "zoneout", "upward": False}, "zoneout .5 upward=false", id="truth-value"
        ),
    ],
)
def test_a_label_is_short_and_shows_the_dial(table: dict[str, Any], label: str) -> None:
    """What is as usual is left out; the dial never is."""
    assert labels(table) == [label]


def test_a_list_is_a_grid() -> None:
    """Lists multiply, the last argument changing fastest."""
    table = {"name": "recurrent", "sharing": ["step", "window"], "rate": [0.25, 0.5]}
    assert labels(table) == [
        "recurrent .25",
        "recurrent .5",
        "recurrent window .25",
        "recurrent window .5",
    ]


def test_a_point_written_twice_is_one_point() -> None:
    """A default written out, a repeated value and a repeated table add nothing."""
    assert labels(
        {"name": "zaremba2014"},
        {"name": "none"},
        {"name": "zaremba2014", "rate": [0.25, 0.5, 0.5]},
    ) == ["zaremba2014 .5", "none", "zaremba2014 .25"]


def test_a_rate_of_zero_has_one_spelling() -> None:
    """Whatever its sign and its kind, and whatever follows from it."""
    assert labels({"name": "zaremba2014", "rate": [0.0, -0.0, 0]}) == ["zaremba2014 0"]
    assert labels({"name": "gal2016", "vertical": [0.0, -0.0]}) == ["gal2016 0"]
    zero = {"name": "gal2016", "recurrent": [-0.0, 0, 0.0]}
    assert labels(zero) == ["gal2016 .5 recurrent=0"]
    choice, _ = read_choice(zero)
    assert choice is not None
    assert len({json.dumps(point.facts) for point in choice.points()}) == 1


def test_equal_placements_of_two_names_are_two_points() -> None:
    """Names are kept apart here; it is the trial's key that is shared."""
    assert labels({"name": "none"}, {"name": "input", "rate": 0.0}) == ["none", "input 0"]


def test_rates_follow_the_dial() -> None:
    """A rate that is left out keeps its default ratio to the dial."""
    choice, _ = read_choice({"name": "gal2016", "vertical": 0.25})
    assert choice is not None
    (point,) = choice.points()
    assert point.arguments == {
        "vertical": 0.25,
        "recurrent": 0.15,
        "embedding": 0.15,
        "gates": "apart",
    }
    assert point.dial_value == 0.25


@pytest.mark.parametrize(
    ("name", "rates", "label"),
    [
        pytest.param("zaremba2014 .25", [0.25, 0.5], "zaremba2014 .25", id="label"),
        pytest.param("zaremba2014", [0.25, 0.5], "zaremba2014 .5", id="default-point"),
        pytest.param("zaremba2014", [0.25], "zaremba2014 .25", id="only-point"),
        pytest.param("zaremba2014", [0.1, 0.2], None, id="which-one"),
        pytest.param("zaremba2014 .3", [0.25, 0.5], None, id="no-such-label"),
        pytest.param("gal2016", [0.5], None, id="no-such-name"),
    ],
)
def test_a_baseline_is_one_point(name: str, rates: list[float], label: str | None) -> None:
    """A label is itself; a strategy's name is its default point, or its only one."""
    choice, _ = read_choice({"name": "zaremba2014", "rate": rates})
    assert choice is not None
    point = baseline_of(name, distinct([choice]))
    assert (point.label if point else None) == label


@pytest.mark.parametrize(
    ("table", "mistakes"),
    [
        pytest.param({}, [(("name",), "is missing: each table names a strategy")], id="no-name"),
        pytest.param({"name": 3}, [(("name",), "must be a text, got 3")], id="name-no-text"),
        pytest.param(
            {"name": "gall2016"},
            [(("name",), "no strategy is called 'gall2016'; did you mean 'gal2016'?")],
            id="misspelt-name",
        ),
        pytest.param(
            {"name": "zaremba2014", "rat": 0.5, "rate": [0.5, 1, True]},
            [
                (("rat",), "unknown argument; did you mean 'rate'?; 'zaremba2014' takes rate"),
                (("rate", 1), "must be a rate in [0, 1), the probability of dropping, got 1"),
                (("rate", 2), "must be a rate in [0, 1), the probability of dropping, got True"),
            ],
            id="all-at-once",
        ),
        pytest.param(
            {"name": "none", "rate": 0.5},
            [(("rate",), "unknown argument; 'none' takes no arguments")],
            id="takes-none",
        ),
        pytest.param(
            {"name": "recurrent", "sharing": "wndow"},
            [(("sharing",), "must be 'step' or 'window', got 'wndow'; did you mean 'window'?")],
            id="misspelt-word",
        ),
        pytest.param(
            {"name": "recurrent", "rate": []},
            [(("rate",), "a list of values to try needs at least one, got []")],
            id="empty-list",
        ),
        pytest.param(
            {"name": "gal2016", **dict.fromkeys(("vertical", "recurrent"), [0.5] * 101)},
            [((), "these lists make 10,201 points; at most 10,000 are allowed")],
            id="too-many",
        ),
    ],
)
def test_every_mistake_of_a_table_is_named(
    table: dict[str, Any], mistakes: list[tuple[tuple, str]]
) -> None:
    """Each mistake has its path within the table, what is allowed and what was given."""
    assert read_choice(table) == (None, mistakes)
