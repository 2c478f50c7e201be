"""Best of k: the expectation against every draw, the bands, and what cuts them off."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from tuned_stores import (
    GAL,
    NONE,
    RATE,
    ZAREMBA,
    Searched,
    Tried,
    part_of,
    sampled_searches,
    write_tuned,
)

from ablate.report.arguments import by_argument, has_arguments
from ablate.report.arguments import words as argument_words
from ablate.report.budget import (
    bands_of,
    best_of_k,
    budgets_of,
    expected_best,
    has_budgets,
    losses_of,
    sampled_at_random,
    words,
)
from ablate.report.combination import Combination
from ablate.report.figures import PLOTS, caption
from ablate.report.importance import importances, panels
from ablate.report.tuned import searches_of


def test_the_expected_best_is_the_mean_over_every_draw():
    """Every sequence of k draws with replacement, listed."""
    losses = np.array([5.2, 5.0, 5.9, 5.0])
    found = expected_best(losses)
    for k in range(1, 5):
        draws = [min(draw) for draw in itertools.product(losses, repeat=k)]
        assert found[k - 1] == pytest.approx(np.mean(draws), abs=1e-12)


def test_the_expected_best_is_opdas():
    """The same estimate as another's code."""
    nonparametric = pytest.importorskip("opda.nonparametric")
    losses = np.random.default_rng(0).normal(5, 0.2, 12)
    theirs = nonparametric.EmpiricalDistribution(losses).v_tuning_curve(
        np.arange(1, 13), minimize=True
    )
    np.testing.assert_allclose(expected_best(losses), theirs)


def test_bands_hold_the_median_best():
    """Of a known distribution, for all k at once, in about 95 of 100 samples."""
    rng = np.random.default_rng(1)
    k = np.arange(1, 11)
    truth = 1 - 0.5 ** (1 / k)
    held = 0
    for _ in range(400):
        low, high = bands_of(rng.random(10), np.inf)
        below = np.isnan(low) | (low <= truth)
        above = np.isnan(high) | (truth <= high)
        held += bool((below & above).all())
    assert 0.92 <= held / 400 <= 1.0


def test_bands_end_where_they_say_nothing():
    """Below the lowest point tried nothing is known, nor at the worst value there is."""
    losses = np.linspace(5.0, 5.5, 16)
    low, high = bands_of(losses, 9.0)
    assert np.isfinite(low).tolist() == [True] + [False] * 15
    assert np.isfinite(high).all()
    assert (np.diff(high) <= 0).all()
    worst = np.where(losses > 5.3, 9.0, losses)
    assert np.isnan(bands_of(worst, 9.0)[1][0])


def test_what_a_lost_point_counts_as(tmp_path: Path):
    """Diverged: a uniform guess. Pruned: where it was stopped. The default: nothing."""
    part = part_of(write_tuned(tmp_path, (ZAREMBA,)))
    [search] = searches_of(part)
    losses, worst = losses_of(search, part.epochs)
    assert worst == pytest.approx(np.log(6785))
    [pruned] = search.tried.loc[search.tried["status"] == "pruned", "key"]
    stopped = part.epochs.loc[part.epochs["key"] == pruned, "valid_nll"].iloc[-1]
    expected = [np.log(210), np.log(210), worst, stopped]
    np.testing.assert_allclose(losses, expected)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Combination:
    """Seven searches of sixteen points, as a sampler makes them."""
    return part_of(write_tuned(tmp_path_factory.mktemp("seven"), sampled_searches()))


def test_the_caption_says_where_bands_end(tuned: Combination):
    """In plain words, with the k's."""
    text = words(tuned, bands=True)
    assert "So few points bound it from below only up to k = 1" in text
    assert "From above they bound gal2016 from k = 2 on, and the others at every k" in text
    assert "A diverged point counts as a uniform guess" in text
    assert "No bands: they hold for points drawn at random alone" in words(tuned, bands=False)
    assert all(np.isnan(budget.low).all() for budget in budgets_of(tuned, bands=False))


def test_pruned_points_leave_no_bands(tmp_path: Path):
    """Their losses are not known, so the points are no sample."""
    part = part_of(write_tuned(tmp_path, (NONE, ZAREMBA, GAL)))
    assert not sampled_at_random(part)
    assert "No bands: points were pruned" in words(part, bands=False)
    # Only zaremba2014 has drawn more than one point.
    assert [budget.name for budget in budgets_of(part, bands=False)] == ["zaremba2014"]
    assert has_budgets(part)


def _fits(figure: Figure) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    box, (width, height) = figure.get_tightbbox(renderer), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0.01
    panels = [axes.get_window_extent(renderer) for axes in figure.axes if axes.get_visible()]
    key = figure.legends[0].get_window_extent(renderer)
    assert not any(key.overlaps(panel) for panel in panels)
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
        words = [tick.label1 for tick in ticks if axes.get_visible() and tick.label1.get_visible()]
        boxes = [text.get_window_extent(renderer) for text in words if not text.get_rotation()]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def test_figures_fit(tuned: Combination):
    """Nothing cut off, no key over an axes, no tick over another; a panel a search or argument."""
    first = best_of_k(tuned, bands=True)
    _fits(first)
    shown = [axes for axes in first.axes if axes.get_visible()]
    assert len(shown) == 7
    second = by_argument(tuned)
    _fits(second)
    shown = [axes.get_xlabel() for axes in second.axes if axes.get_visible()]
    assert shown[:3] == ["learning_rate", "rate", "learning_rate"]
    assert len(shown) == 24
    titles = {axes.get_title("left") for axes in second.axes} - {""}
    assert len(titles) == 7
    text = " ".join(text.get_text() for text in second.findobj(Text))
    assert "validation perplexity (per word)" in text


def test_the_chosen_and_the_default_point_are_marked(tmp_path: Path):
    """Large with a dark edge, and a square."""
    part = part_of(write_tuned(tmp_path, (replace(ZAREMBA, tried=ZAREMBA.tried[:4]),)))
    panel = next(axes for axes in by_argument(part).axes if axes.get_xlabel() == "rate")
    large = [line for line in panel.lines if line.get_markersize() == 5.5]
    square = [line for line in panel.lines if line.get_marker() == "s"]
    cross = [line for line in panel.lines if line.get_marker() == "x"]
    assert [line.get_xydata()[0].tolist() for line in large] == [[0.4, pytest.approx(210.0)]]
    assert [line.get_xydata()[0].tolist() for line in square] == [[0.5, pytest.approx(220.0)]]
    assert [line.get_xdata().tolist() for line in cross] == [[0.1]]


def test_many_arguments_go_on_in_the_next_row(tmp_path: Path):
    """Twenty arguments of `free` are rows of six."""
    rng = np.random.default_rng(0)
    edges = ("input", "recurrent", "hidden", "cell", "output")
    tried = [Tried(valid=240.0)]
    for _ in range(8):
        given = {edge: str(rng.choice(["off", "step", "window"])) for edge in edges}
        given |= {f"{edge}_rate": float(rng.uniform(0, 0.9)) for edge in edges}
        tried.append(
            Tried(given, float(rng.uniform(210, 300)), nuisances={RATE: rng.uniform(0.5, 2)})
        )
    figure = by_argument(part_of(write_tuned(tmp_path, (Searched("free", tuple(tried)),))))
    _fits(figure)
    assert sum(axes.get_visible() for axes in figure.axes) == 11
    assert [axes.get_title("left") for axes in figure.axes].count("free") == 1


def test_importances_come_from_a_hundred_points_on(tmp_path: Path):
    """Of two arguments of which one alone matters, it has nearly all."""
    rng = np.random.default_rng(2)
    tried = [Tried(valid=230.0)]
    for _ in range(120):
        rate, learning = rng.uniform(0, 0.9), rng.uniform(0.1, 3)
        tried.append(
            Tried({"rate": rate}, 210 * np.exp(2 * (rate - 0.4) ** 2), nuisances={RATE: learning})
        )
    part = part_of(write_tuned(tmp_path, (Searched("zaremba2014", tuple(tried)),)))
    [search] = searches_of(part)
    found = importances(search, part)
    assert next(iter(found)) == "rate"
    assert found["rate"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)
    [panel] = panels(part)
    assert panel.rows["points"].tolist() == [120, 120]
    assert "Importances" not in argument_words(part)


def test_below_a_hundred_points_the_caption_says_so(tuned: Combination):
    """No panel, and one sentence."""
    assert panels(tuned) == ()
    assert has_arguments(tuned)
    assert "from 100 points of a search on" in argument_words(tuned)


def test_captions_of_searches_have_corpus_net_and_recipe(tuned: Combination):
    """As all others; they claim no interval."""
    for plot in PLOTS:
        if plot.tells is not None:
            text = caption(plot, plot.of(tuned))
            assert re.search("seed 1.*the last epoch.*ptb-tenth.*SGD", text)
            assert "t intervals" not in text
