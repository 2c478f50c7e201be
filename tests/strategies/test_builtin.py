"""The built-in strategies: each is the placement that its paper describes."""

import re
import subprocess
import sys

import pytest

from ablate.cells import LSTM
from ablate.drops import (
    ALL,
    BOTTOM,
    GROWING,
    PER_STEP,
    TOP,
    VARIATIONAL,
    Drop,
    Fill,
    Scale,
    Sharing,
)
from ablate.edges import ONCE, Edge, layers_of
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.schedules import CURRICULUM
from ablate.strategies import all_strategies, get

BUILT_IN = [each for each in all_strategies() if each.origin.startswith("ablate")]
PAPERS = [each for each in BUILT_IN if re.search(r"\d{4}$", each.name) or each.name == "zoneout"]
SINGLE = [edge for edge in Edge if edge in LSTM.has]


@pytest.mark.parametrize("each", BUILT_IN, ids=lambda each: each.name)
def test_default_point_is_a_placement_of_two_layers(each):
    """Every default point can be built and fits a net of two layers."""
    each.place().check(layers=2)


@pytest.mark.parametrize("each", BUILT_IN, ids=lambda each: each.name)
def test_docstring_says_what_a_reader_needs(each):
    """One sentence, then the default, and how exact the deterministic evaluation is."""
    assert each.summary.endswith(".")
    assert "Evaluation:" in each.doc
    assert "Default:" in each.doc or not each.parameters


@pytest.mark.parametrize("each", PAPERS, ids=lambda each: each.name)
def test_a_paper_is_cited(each):
    """A strategy of a paper names it, cites it, and says what of it is not here."""
    assert re.fullmatch(r"arXiv:\d{4}\.\d{5}|arXiv:\d{4}\.\d{4}|doi:10\.\d+/\S+", each.paper)
    assert each.paper in each.doc
    assert "Not here:" in each.doc
    assert each.bibtex.startswith("@")
    assert each.bibtex.count("{") == each.bibtex.count("}")


@pytest.mark.parametrize(
    ("name", "given", "placement"),
    [
        pytest.param("none", {}, Placement(), id="none"),
        pytest.param(
            "zaremba2014",
            {},
            Placement({Edge.VERTICAL: Drop(0.5, PER_STEP)}),
            id="zaremba2014",
        ),
        pytest.param("locked", {}, Placement({Edge.VERTICAL: Drop(0.5, VARIATIONAL)}), id="locked"),
        pytest.param(
            "naive",
            {},
            Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(0.25, PER_STEP)}),
            id="naive",
        ),
        pytest.param(
            "gal2016",
            {"gates": "tied"},
            Placement(
                {
                    Edge.EMBEDDING: Drop(0.3, Sharing(time=ALL, word=1, batch=1, unit=ALL)),
                    Edge.VERTICAL: Drop(0.5, VARIATIONAL),
                    Edge.RECURRENT: Drop(0.3, VARIATIONAL),
                }
            ),
            id="gal2016-tied",
        ),
        pytest.param(
            "gal2016",
            {"gates": "apart"},
            Placement(
                {
                    Edge.EMBEDDING: Drop(0.3),
                    Edge.INPUT | Edge.INTERLAYER: Drop(0.5, Sharing(time=ALL, gate=1)),
                    Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, gate=1)),
                    Edge.OUTPUT: Drop(0.5, VARIATIONAL),
                }
            ),
            id="gal2016-apart",
        ),
        pytest.param(
            "moon2015", {}, Placement({Edge.CELL: Drop(0.25, VARIATIONAL)}), id="moon2015"
        ),
        pytest.param(
            "semeniuta2016",
            {"sharing": "window"},
            Placement(
                {
                    Edge.VERTICAL: Drop(0.5, PER_STEP),
                    Edge.UPDATE: Drop(0.3, VARIATIONAL),
                }
            ),
            id="semeniuta2016-window",
        ),
        pytest.param(
            "zoneout",
            {},
            Placement(
                {
                    Edge.VERTICAL: Drop(0.5, PER_STEP),
                    Edge.CARRY: Drop(0.25, PER_STEP, Fill.HOLD),
                    Edge.HIDDEN: Drop(0.025, PER_STEP, Fill.HOLD),
                }
            ),
            id="zoneout-upward",
        ),
        pytest.param(
            "zoneout",
            {"upward": False},
            Placement(
                {
                    Edge.VERTICAL: Drop(0.5, PER_STEP),
                    Edge.CARRY: Drop(0.25, PER_STEP, Fill.HOLD),
                    Edge.RECURRENT: Drop(0.025, PER_STEP, Fill.HOLD),
                }
            ),
            id="zoneout-state-only",
        ),
        pytest.param(
            "merity2017",
            {},
            Placement(
                {
                    Edge.EMBEDDING: Drop(0.1, Sharing(batch=ALL)),
                    Edge.INPUT | Edge.OUTPUT: Drop(0.4, VARIATIONAL),
                    Edge.INTERLAYER: Drop(0.3, VARIATIONAL),
                    Edge.WEIGHT: Drop(0.5),
                }
            ),
            id="merity2017",
        ),
        pytest.param(
            "melis2018",
            {},
            Placement(
                {
                    Edge.INPUT: Drop(0.655, PER_STEP),
                    Edge.INTERLAYER: Drop(0.2, PER_STEP),
                    Edge.OUTPUT: Drop(0.525, PER_STEP),
                    Edge.RECURRENT: Drop(0.42, VARIATIONAL),
                }
            ),
            id="melis2018",
        ),
        pytest.param(
            "melis2018",
            {"input": 0, "interlayer": 0, "output": 0, "state": 0, "update": 0.3},
            Placement({Edge.UPDATE: Drop(0.3, VARIATIONAL, scale=Scale.TEST)}),
            id="melis2018-update-alone",
        ),
        pytest.param(
            "token",
            {},
            Placement({Edge.EMBEDDING: Drop(0.25, Sharing(time=1, word=ALL, batch=1, unit=ALL))}),
            id="token",
        ),
        pytest.param(
            "gaussian",
            {},
            Placement({Edge.VERTICAL: Drop(0.5, PER_STEP, noise=GAUSSIAN)}),
            id="gaussian",
        ),
        pytest.param(
            "bursts",
            {"steps": 7},
            Placement({Edge.VERTICAL: Drop(0.5, Sharing(time=7))}),
            id="bursts",
        ),
        pytest.param(
            "bursts",
            {"steps": 1},
            Placement({Edge.VERTICAL: Drop(0.5, PER_STEP)}),
            id="bursts-of-one",
        ),
        pytest.param(
            "everywhere",
            {"sharing": "window"},
            Placement(
                {
                    Edge.EMBEDDING: Drop(0.1, Sharing(time=ALL, word=1, batch=1, unit=ALL)),
                    Edge.VERTICAL: Drop(0.1, VARIATIONAL),
                    Edge.RECURRENT | Edge.HIDDEN | Edge.UPDATE: Drop(0.1, VARIATIONAL),
                    Edge.CELL | Edge.CARRY: Drop(0.1, VARIATIONAL),
                }
            ),
            id="everywhere-window",
        ),
        pytest.param(
            "morerio2017",
            {},
            Placement({Edge.VERTICAL: Drop(0.5, PER_STEP)}, CURRICULUM),
            id="morerio2017",
        ),
    ],
)
def test_strategy_is_its_papers_placement(name, given, placement):
    """The table of each paper, written out."""
    assert get(name).place(**given) == placement


@pytest.mark.parametrize("sharing", ["step", "window"])
def test_everywhere_is_every_activation(sharing):
    """All edges but the weights, of which nothing new could be forgotten."""
    assert get("everywhere").place(sharing=sharing).edges == LSTM.has & ~Edge.WEIGHT


@pytest.mark.parametrize("edge", SINGLE, ids=lambda edge: edge.label)
def test_every_edge_is_a_strategy(edge):
    """The strategy named after an edge drops there alone, at the edge's default sharing."""
    assert get(edge.label.lower()).place(rate=0.4) == Placement({edge: Drop(0.4)})


@pytest.mark.parametrize(
    "edge", [edge for edge in SINGLE if edge is not Edge.WEIGHT], ids=lambda edge: edge.label
)
def test_an_edge_with_a_time_axis_has_both_sharings(edge):
    """A fresh decision each step, or one for the window."""
    single = get(edge.label.lower())
    assert single.place(sharing="step") == Placement({edge: Drop(0.25, PER_STEP)})
    assert single.place(sharing="window") == Placement({edge: Drop(0.25, VARIATIONAL)})


BY_LAYER = [edge for edge in SINGLE if len(layers_of(edge, 3)) > 1]


@pytest.mark.parametrize("edge", BY_LAYER, ids=lambda edge: edge.label)
def test_an_edge_of_many_layers_takes_a_rule(edge):
    """All of them, or one of the rules, for nets of every depth."""
    single = get(edge.label.lower())
    assert single.parameters["layers"].choices == ("all", "top", "bottom", "growing")
    assert single.place(layers="all") == single.place() == Placement({edge: Drop(0.25)})
    for rule in (TOP, BOTTOM, GROWING):
        given = {"rate": 0.4, "layers": rule.value.lower()}
        assert single.place(**given) == Placement({edge: Drop(0.4, layers=rule)})


@pytest.mark.parametrize("edge", list(ONCE), ids=lambda edge: edge.label)
def test_an_edge_of_one_layer_takes_none(edge):
    """There is nothing to choose."""
    assert "layers" not in get(edge.label.lower()).parameters


def test_strategies_are_listed_without_torch():
    """Listing strategies is quick: neither torch nor optuna is imported."""
    code = (
        "import sys, ablate.strategies as s; s.names(); s.get('zoneout').place(); "
        "print(sorted({'torch', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
