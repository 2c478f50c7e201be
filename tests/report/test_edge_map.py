"""The map of single edges: which points it shows, what it says of them, what its figure holds."""

import math

import numpy as np
import pytest
from design_frames import part as combination
from design_frames import row
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ablate.edges import Edge
from ablate.report.combination import Combination
from ablate.report.edge_map import STEP, WINDOW, edge_map, has_map, spots_of, words
from ablate.report.numbers import NOTHING
from ablate.stages import SEARCH

EDGES = (
    "embedding", "input", "interlayer", "output", "recurrent", "hidden", "update", "cell", "carry",
)  # fmt: skip
RATES = (0.1, 0.25, 0.5)


def single_edges(edges: tuple[str, ...] = EDGES, seeds: int = 3) -> Combination:
    """none at perplexity 250, and each edge alone, at other perplexities by edge and rate."""
    rng = np.random.default_rng(5)
    points: list[tuple[str, dict, float]] = [("none", {}, 250.0)]
    for place, name in enumerate(edges):
        for sharing in (STEP, WINDOW):
            for rate in RATES:
                facts = {"rate": rate, "sharing": sharing}
                points.append((name, facts, 205.0 + 12 * place + 40 * (rate - 0.25)))
    points += [("weight", {"rate": rate}, 240.0) for rate in RATES]
    points += [("zaremba2014", {"rate": 0.5}, 200.0), ("recurrent", {"layers": "top"}, 230.0)]
    rows = []
    for position, (name, facts, ppl) in enumerate(points):
        for seed in range(1, seeds + 1):
            noise = float(rng.normal(0, 1.5))
            given = {"valid_nll": math.log(ppl + noise), "gap": ppl / 200, "baseline": not position}
            rows.append(row(name, facts, seed, position, given))
    return combination(rows)


@pytest.fixture(scope="module")
def part() -> Combination:
    """Every edge alone, and two placements that have no place on the map."""
    return single_edges()


def test_points_of_one_edge_are_on_the_map_and_no_others(part: Combination):
    """Nine edges by two sharings and three rates, and the weights, which have one."""
    spots = spots_of(part)
    assert len(spots) == 9 * 2 * 3 + 3
    assert set(spots["edge"]) == set(Edge)
    assert set(spots[spots["edge"] == Edge.WEIGHT]["sharing"]) == {WINDOW}
    assert (spots["pairs"] == 3).all()


def test_numbers_are_paired_differences(part: Combination):
    """The mean over seeds of perplexity, and of the gap, minus the baseline's."""
    spots = spots_of(part)
    own = spots[(spots["edge"] == Edge.OUTPUT) & (spots["rate"] == 0.5)].iloc[0]
    trials = part.trials
    of = trials[trials["label"] == "output .5"].set_index("seed")["valid_ppl"]
    none = trials[trials["label"] == "none"].set_index("seed")["valid_ppl"]
    assert own["difference"] == pytest.approx((of - none).mean())
    assert own["gap"] == pytest.approx((205 + 36 + 10) / 200 - 250 / 200)
    assert bool(own["decided"]) == (abs(own["difference"]) > 5)


def test_few_edges_and_other_cells_have_no_map():
    """Two edges are a sweep; a GRU has no place on the LSTM's drawing."""
    two = single_edges(("input", "output"))
    alone = two.trials[two.trials["strategy"] != "weight"]
    assert not has_map(combination(alone.to_dict("records")))
    assert has_map(two)


def test_what_a_search_tried_makes_no_map(part: Combination):
    """A search's points are on one seed, and their differences no result."""
    plan = {"stage": SEARCH, "search": "free", "number": 0}
    planned = [row | plan for row in part.trials.to_dict("records") if row["seed"] == 1]
    assert not has_map(combination(planned))
    gru = single_edges()
    net = gru.cells["net"].str.replace('"hidden"', '"cell": "gru", "hidden"')
    gru.cells["net"] = net
    assert not has_map(gru)


def test_the_caption_says_what_the_numbers_are(part: Combination):
    """Differences to the baseline, how they were tested, and of how many seeds."""
    told = words(part)
    assert "minus that of none, paired by seed" in told
    assert "moderated t test, Holm's correction" in told
    assert told.endswith("3 seeds a point.")
    assert "moderated" not in words(single_edges(seeds=1))


def test_the_figure_has_every_number_within_its_paper(part: Combination):
    """Each edge's name, each rate and number; nothing is cut off and no text leaves its tile."""
    figure: Figure = edge_map(part)
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    said = [text.get_text() for text in texts]
    assert {edge.label for edge in Edge} <= set(said)
    assert said.count(".25") == len(Edge)
    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert all(box.x0 >= 0 and box.x1 <= width for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= height for box in boxes)
    for index, box in enumerate(boxes):
        over = [said[other] for other in range(index) if box.overlaps(boxes[other].padded(-2))]
        assert not over, (said[index], over)


@pytest.mark.parametrize(("sharings", "step", "window"), [((STEP, WINDOW), 9, 10), ((STEP,), 9, 1)])
def test_a_tile_has_the_rows_that_its_edge_can_have(part: Combination, sharings, step, window):
    """The weights have one mask for the window, alone; that row adds none to the other tiles."""
    spots = spots_of(part)
    wanted = spots[spots["sharing"].isin(sharings) | (spots["edge"] == Edge.WEIGHT)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ablate.report.edge_map.spots_of", lambda _: wanted)
        figure = edge_map(part)
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert (said.count(STEP), said.count(WINDOW), said.count(NOTHING)) == (step, window, 0)
