"""Figures: nothing cut off, no key over data, one combination, honest captions."""

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from read_stores import combinations_of, epochs_of, trials_of
from written_stores import QUICK, Point, rewrite, write_study

from ablate.errors import AblateError, AblateWarning
from ablate.report import build, epochs, results
from ablate.report.axes import perplexity_axis
from ablate.report.curves import learning_curves
from ablate.report.dial import by_dial
from ablate.report.figures import PLOTS, caption, draw_figures
from ablate.report.names import ELLIPSIS
from ablate.report.numbers import signed
from ablate.report.paired import paired_differences, paired_rows
from ablate.report.placements import gap_by_placement
from ablate.report.statistics import Summary
from ablate.report.style import TRAIN, VALID, png, svg
from ablate.report.sweeps import curves_of, side_by_side, spotlight, without_dial
from ablate.report.table import make_table
from ablate.report.tradeoff import tradeoff
from ablate.store import Store
from ablate.store.files import write_table
from ablate.store.schema import CELLS, table_of

FOLDERS = ("three_seeds", "two_seeds", "one_seed", "sweeps")
KINDS = ("by_dial", "learning_curves", "gap_by_placement", "tradeoff", "paired_differences")
DRAW = {
    "by_dial": by_dial,
    "gap_by_placement": gap_by_placement,
    "tradeoff": tradeoff,
    "paired_differences": paired_differences,
}
PLOT_OF = {plot.name: plot for plot in PLOTS}


@cache
def draw(kind: str, folder: Path) -> Figure:
    trials = trials_of(folder)
    if kind == "learning_curves":
        return learning_curves(trials, epochs_of(folder))
    return DRAW[kind](trials)


@pytest.fixture(params=[f"{folder}/{kind}" for folder in FOLDERS for kind in KINDS])
def figure(request: pytest.FixtureRequest) -> Figure:
    """Every figure of every study."""
    folder, kind = request.param.split("/")
    return draw(kind, request.getfixturevalue(folder))


def test_nothing_is_cut_off(figure: Figure):
    """All that is drawn lies within the canvas, no key over an axes, and axes name their units."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox(renderer)
    # The frame of the key, which is not drawn, keeps a tenth of its type from the edge.
    margin = 0.01
    assert box.x0 >= margin
    assert box.y0 >= margin
    assert box.x1 <= width - margin
    assert box.y1 <= height - margin
    panels = [axes.get_window_extent(renderer) for axes in figure.axes if axes.get_visible()]
    for legend in figure.legends:
        key = legend.get_window_extent(renderer)
        assert key.x1 <= width * figure.dpi
        assert not any(key.overlaps(panel) for panel in panels)
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "perplexity (per word)" in words
    assert plt.get_fignums() == [], "pyplot holds a figure"


def test_titles_of_panels_do_not_meet(three_seeds: Path):
    """Titles of neighbouring panels stay apart."""
    figure = draw("learning_curves", three_seeds)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    titles = [axes.title if axes.title.get_text() else axes._left_title for axes in figure.axes]
    boxes = [title.get_window_extent(canvas.get_renderer()) for title in titles if title.get_text()]
    assert len(boxes) == 14
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_equal_figures_are_equal_files(two_seeds: Path):
    """Drawing twice gives the same bytes, so that a committed report changes only with its data."""
    trials = trials_of(two_seeds)
    first, second = tradeoff(trials), tradeoff(trials)
    assert svg(first) == svg(second)
    assert png(first) == png(second)


def test_svg_text_is_text(two_seeds: Path):
    """Names can be searched, selected and edited, in a font with a fall-back of equal width."""
    drawing = svg(draw("by_dial", two_seeds))
    assert ">semeniuta2016</text>" in drawing
    assert "'DejaVu Sans', Verdana, sans-serif" in drawing


def test_png_is_fit_for_print(two_seeds: Path):
    """Seven inches at 200 dots an inch."""
    data = png(draw("tradeoff", two_seeds))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20]) == 1400


@pytest.mark.parametrize("kind", KINDS)
def test_combinations_are_refused_together(kind: str, two_combinations: Path, refused):
    """A frame with two nets is refused, with words on how to take one."""
    with refused(AblateError, given=("net",)):
        draw(kind, two_combinations)


def test_empty_frame_is_refused(two_seeds: Path, refused):
    """A figure of nothing is an error, not an empty figure."""
    with refused(AblateError):
        by_dial(trials_of(two_seeds).iloc[:0])


def test_no_intervals_below_three_seeds(two_seeds: Path, three_seeds: Path):
    """Two seeds are drawn as two points; a bar appears from three on."""

    def bars(figure: Figure) -> int:
        return sum(line.get_linewidth() == 1.1 for line in figure.axes[1].lines)

    assert bars(draw("gap_by_placement", two_seeds)) == 0
    # 14 placements, of which two lost a trial each to divergence, one failed, three are not done.
    assert bars(draw("gap_by_placement", three_seeds)) == 8


def test_silent_baseline_stands_at_zero(three_seeds: Path):
    """No dropout is a dial at zero."""
    axes = draw("by_dial", three_seeds).axes[0]
    assert axes.get_xlim()[0] < 0
    assert any(text.get_text() == "none" for text in axes.texts)


def test_swept_baseline_stays_in_its_sweep(two_seeds: Path):
    """A baseline with a dial is a point of its sweep and a dashed line with its name."""
    axes = draw("by_dial", two_seeds).axes[0]
    assert any(text.get_text() == "baseline zaremba2014 .5" for text in axes.texts)
    assert any(len(line.get_xydata()) == 3 for line in axes.lines), "the sweep of three rates"


def test_many_sweeps_have_a_panel_each(sweeps: Path):
    """Eight sweeps are eight panels, each with its name."""
    figure = draw("by_dial", sweeps)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in shown] == [
        "zaremba2014", "locked", "input", "output", "recurrent", "hidden", "cell", "naive",
    ]  # fmt: skip


def test_placements_without_a_dial_have_a_strip(two_seeds: Path):
    """What has no dial stands beside the axis of dials, on the same perplexities."""
    trials = trials_of(two_seeds)
    plain = trials["strategy"].isin(["gal2016", "moon2015"])
    figure = by_dial(trials.assign(dial_value=trials["dial_value"].mask(plain)))
    dialled, strip = figure.axes
    assert strip.get_xlabel() == "no dial"
    assert {text.get_text() for text in strip.texts} == {"gal2016 .5", "moon2015 .25"}
    assert strip.get_ylim() == dialled.get_ylim()


def test_only_strips(two_seeds: Path):
    """A study without any dial is drawn too."""
    trials = trials_of(two_seeds)
    trials = trials[trials["strategy"].isin(["gal2016", "moon2015"])]
    figure = by_dial(trials.assign(dial_value=np.nan, baseline=False))
    assert [axes.get_xlabel() for axes in figure.axes] == ["no dial"]


def test_spotlight_keeps_the_best_of_each_sweep(sweeps: Path):
    """Above the limit each sweep's best remains, and the baseline."""
    summary = Summary(("valid_ppl",))(trials_of(sweeps))
    best = spotlight(summary)
    assert len(best) == 9
    assert best["label"].iloc[0] == "none"
    zaremba = summary[summary["strategy"] == "zaremba2014"].set_index("label")["valid_ppl"]
    assert zaremba.idxmin() in best["label"].tolist()
    assert len(spotlight(summary, most=100)) == len(summary)


def test_points_step_aside_only_where_they_hide(two_seeds: Path):
    """Points far apart in perplexity keep their dial; close ones stand side by side."""
    summary = Summary(("valid_ppl",))(trials_of(two_seeds))
    moved = {
        curve.name: curve.x for curve in side_by_side(curves_of(summary[summary["dial_value"] > 0]))
    }
    assert moved["zaremba2014"] == (0.25, 0.5, 0.75)
    assert moved["merity2017"] == (0.4,)
    assert moved["zoneout"] != (0.5,)
    assert abs(moved["zoneout"][0] - 0.5) < 0.05


@pytest.mark.parametrize(
    ("label", "value", "name"),
    [
        ("zaremba2014 .5", 0.5, "zaremba2014"),
        ("recurrent window .25", 0.25, "recurrent window"),
        ("gal2016 .5 recurrent=.1", 0.5, "gal2016 recurrent=.1"),
        ("none", None, "none"),
        ("0.5", 0.5, "0.5"),
    ],
)
def test_names_without_dial(label: str, value: float | None, name: str):
    """The dial's value leaves the label, and nothing else does."""
    assert without_dial(label, value) == name


def test_perplexity_axis_is_logarithmic_where_values_are_far_apart():
    """Ticks are round and written in full; near values stay on a linear axis."""
    axes = Figure().subplots()
    perplexity_axis(axes, "y", [70.0, 650.0, float("nan")])
    axes.get_figure().draw_without_rendering()
    assert axes.get_yscale() == "log"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["100", "200", "300", "500"]
    near = Figure().subplots()
    perplexity_axis(near, "x", [210.0, 260.0])
    assert near.get_xscale() == "linear"


def test_a_diverged_trial_is_marked(three_seeds: Path):
    """Its panel says so, its curve ends in a cross within the panel, and the key names it."""
    figure = draw("learning_curves", three_seeds)
    panel = next(axes for axes in figure.axes if axes.get_title("left") == "naive .25")
    assert "1 diverged" in {text.get_text() for text in panel.texts}
    cross = next(line for line in panel.lines if line.get_marker() == "x")
    assert panel.get_ylim()[0] < cross.get_ydata()[0] < panel.get_ylim()[1]
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels[-1] == "diverged"


def test_the_mean_of_curves_is_that_of_their_losses(three_seeds: Path):
    """Perplexities are averaged as nats are, on a logarithmic axis too."""
    figure = draw("learning_curves", three_seeds)
    panel = next(axes for axes in figure.axes if axes.get_title("left") == "none")
    assert panel.get_yscale() == "log"
    for colour in (TRAIN, VALID):
        thin, [mean] = (
            [
                line.get_ydata()
                for line in panel.lines
                if (line.get_color(), line.get_linewidth()) == (colour, width)
            ]
            for width in (0.6, 1.4)
        )
        assert len(thin) == 3
        np.testing.assert_allclose(mean, np.exp(np.log(thin).mean(axis=0)), rtol=1e-9)


def test_all_diverged(write_few: Callable[..., Store], tmp_path: Path):
    """Where nothing finished, the learning curves alone are drawn."""
    write_few(tmp_path, seeds=1, diverged=tuple((point, 1) for point in range(3)))
    [part] = combinations_of(tmp_path)
    assert [drawn.name for drawn in draw_figures(part)] == ["learning-curves"]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: of three seeds one ends at 5e21, one at inf, and all of one placement."""
    folder = tmp_path_factory.mktemp("far")
    store = write_study(folder, seeds=3, points=QUICK[:5])
    frame = results("placement", results=folder)
    for label, seed, nll in (
        ("zaremba2014 .25", 1, 50.0), ("zaremba2014 .5", 1, math.inf), ("zaremba2014 .5", 2, 800.0),
        *(("locked .5", seed, 50.0) for seed in (1, 2, 3)),
    ):  # fmt: skip
        [key] = frame.loc[(frame["label"] == label) & (frame["seed"] == seed), "key"]
        names = [f"{split}_nll_{at}" for split in ("valid", "test") for at in ("last", "best")]
        rewrite(store, "trials", key, lambda _, names=names, nll=nll: dict.fromkeys(names, nll))
        rewrite(store, "trials", key, lambda row: {"gap_last": row["valid_nll_last"] - 4.5})
        rewrite(
            store,
            "epochs",
            key,
            lambda row, nll=nll: {"valid_nll": nll} if row["epoch"] > 3 else {},
        )
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_perplexity_that_no_axis_holds_stands_at_its_end(kind: str, far: Path):
    """5e21 and inf leave the axis to the others: it ends below ten times their highest."""
    figure = draw(kind, far)
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    axes = panels[1] if kind == "gap_by_placement" else panels[0]
    rows = kind in ("gap_by_placement", "paired_differences")
    low, high = axes.get_xlim() if rows else axes.get_ylim()
    assert low < high < 2700
    assert low > (-2700 if kind == "paired_differences" else 0)
    words = {text.get_text() for text in figure.findobj(Text)}
    assert {"locked .5", "locked"} & words


def test_the_table_has_what_the_axis_has_not(far: Path, two_seeds: Path):
    """Captions say so, and the table has each number."""
    [part] = combinations_of(far)
    assert "drawn at the axis's end" in caption(PLOT_OF["gap-by-placement"], part)
    table = make_table(part).text(200)
    assert "5.2e21" in table
    assert "inf" in table
    other = combinations_of(two_seeds)[0]
    assert "axis's end" not in caption(PLOT_OF["gap-by-placement"], other)


def test_all_at_inf(write: Callable[..., Store], tmp_path: Path):
    """A study in which no perplexity is a number still has its figures."""
    store = write(tmp_path, seeds=1, points=QUICK[:2])
    for key in store.trials().column("key").to_pylist():
        rewrite(store, "trials", key, lambda _: {"valid_nll_last": math.inf, "gap_last": math.inf})
    [part] = combinations_of(tmp_path)
    assert len(draw_figures(part)) == 4


def test_paired_differences_are_the_tables(three_seeds: Path):
    """Row by row the numbers of the table, the lowest first, and no row of the baseline."""
    trials = trials_of(three_seeds)
    rows = paired_rows(trials)
    [part] = combinations_of(three_seeds)
    table = make_table(part).rows.set_index("label")
    assert "none" not in rows["label"].tolist()
    assert rows["difference"].dropna().is_monotonic_increasing
    for _, row in rows[rows["difference"].notna()].iterrows():
        known = table.loc[row["label"]]
        for name in ("difference", "difference_low", "difference_high", "difference_values"):
            assert row[name] == known[f"valid_{name}"] or np.isnan(row[name])
    texts = [text.get_text() for text in draw("paired_differences", three_seeds).axes[0].texts]
    assert len(texts) == len(rows)
    assert texts[0].startswith(signed(rows["difference"].iloc[0]))


def test_a_placement_without_a_pair_has_a_word(write: Callable[..., Store], tmp_path: Path):
    """What diverged, and what shares no seed with the baseline, says so in its row."""
    write(tmp_path, seeds=2, points=QUICK[:4], diverged=((1, 1), (1, 2)), pending=((0, 2), (3, 1)))
    axes = paired_differences(trials_of(tmp_path)).axes[0]
    assert [text.get_text() for text in axes.texts][1:] == ["2 diverged", "no pair yet"]


def test_the_baseline_under_another_name_is_no_row(write: Callable[..., Store], tmp_path: Path):
    """A placement with the very cells of the baseline has no difference to it."""
    write(tmp_path, seeds=3, points=(*QUICK[:2], Point("zaremba2014", {"rate": 0.0}, 76, 262)))
    assert paired_rows(trials_of(tmp_path))["label"].tolist() == ["zaremba2014 .25"]


def test_each_figure_has_its_numbers(three_seeds: Path):
    """A CSV a figure: every placement that is drawn, in full."""
    [part] = combinations_of(three_seeds)
    frames = {drawn.name: pd.read_csv(io.StringIO(drawn.csv)) for drawn in draw_figures(part)}
    assert set(frames) == {plot.name for plot in PLOTS if plot.tells is None}
    labels = set(make_table(part).rows["label"])
    for name, frame in frames.items():
        assert set(frame["label"]) == labels - ({"none"} if name == "paired-differences" else set())
    curves = frames["learning-curves"]
    one = curves[(curves["label"] == "none") & (curves["seed"] == 1)]
    assert one["epoch"].tolist() == [*range(1, 9)]
    assert np.allclose(np.log(one["valid_ppl"]), one["valid_nll"])


def test_loss_that_overflows(write_few: Callable[..., Store], tmp_path: Path):
    """A diverging loss of a thousand nats draws without a warning."""
    write_few(tmp_path)
    trials = results("placement", results=tmp_path)
    curves = epochs("placement", results=tmp_path)
    lost = trials["key"].iloc[0]
    curves.loc[curves["key"] == lost, ["train_nll", "valid_nll"]] = 1000.0
    status = trials["status"].mask(trials["key"] == lost, "diverged")
    learning_curves(trials.assign(status=status), curves)


LONG = " with an argument of a name that nobody would want to read twice {number}"


@pytest.mark.parametrize("kind", KINDS)
def test_long_names_fit_and_stay_apart(kind: str, three_seeds: Path):
    """Names of 80 characters lose their middle: nothing is cut off, and no two are equal."""
    trials = trials_of(three_seeds)
    label = [f"{name}{LONG.format(number=at)}" for name, at in trials[["label", "position"]].values]
    trials = trials.assign(label=label)
    curves = epochs_of(three_seeds)
    figure = learning_curves(trials, curves) if kind == "learning_curves" else DRAW[kind](trials)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    assert box.x0 >= 0
    assert box.x1 <= figure.get_size_inches()[0]
    shown = [text.get_text() for text in figure.findobj(Text) if ELLIPSIS in text.get_text()]
    assert len(shown) >= 10
    assert len({text.replace("\n", " ") for text in shown}) >= 10


def test_signs_without_a_glyph_are_said_once(
    write_few: Callable[..., Store], tmp_path: Path, recwarn: pytest.WarningsRecorder
):
    """Names in other scripts draw no flood of warnings: one sentence names the signs."""
    warnings.simplefilter("always")
    store = write_few(tmp_path, seeds=1)
    rows = store.cells().to_pylist()
    named = [row | {"label": f"{row['label']} \u8f8d\u5b66 \N{GAME DIE} $x_1$"} for row in rows]
    write_table(table_of(named, CELLS), store.folder / "cells.parquet")
    [report] = build(tmp_path)
    [said] = recwarn.list
    assert said.category is AblateWarning
    assert "no \u8f8d \u5b66 \N{GAME DIE}:" in str(said.message)
    drawing = next((report.page.parent / "figures").glob("gap-by*.svg")).read_text("utf-8")
    assert "\u8f8d\u5b66 \N{GAME DIE} $x_1$" in drawing


def test_a_curve_on_fewer_tokens_is_said_to_be(two_seeds: Path):
    """Where the curve's train loss is not the headline's, the caption says what it is of."""
    [part] = combinations_of(two_seeds)
    words, curves = "as many as the validation split has", PLOT_OF["learning-curves"]
    assert words not in caption(curves, part)
    shorter = part.epochs.assign(train_nll=part.epochs["train_nll"] + 0.01)
    assert words in caption(curves, replace(part, epochs=shorter))


def test_one_epoch_is_a_point(write_few: Callable[..., Store], tmp_path: Path):
    """A study of one epoch shows points, since a line would be invisible."""
    write_few(tmp_path, seeds=1)
    curves = epochs("placement", results=tmp_path).query("epoch == 1")
    trials = results("placement", results=tmp_path).assign(best_epoch=1)
    figure = learning_curves(trials, curves)
    assert any(line.get_marker() == "." for line in figure.axes[0].lines)


@pytest.mark.parametrize(
    "plot", [plot for plot in PLOTS if plot.tells is None], ids=lambda plot: plot.name
)
def test_captions_say_what_was_measured(plot, three_seeds: Path):
    """Headline epoch, seeds, corpus, net, recipe, and that train is measured with dropout off."""
    [part] = combinations_of(three_seeds)
    text = caption(plot, part)
    for words in (
        "the last epoch",
        "2 to 3 seeds",
        "ptb-tenth",
        "LSTM 2 \N{MULTIPLICATION SIGN} 200",
        "8 epochs, SGD at rate 1 for 5 epochs, then divided by 2",
        "Dashed: none, the baseline",
        "dropout off",
    ):
        assert words in text
    unpaired = plot.name not in ("learning-curves", "paired-differences")
    assert ("t intervals of each mean by itself" in text) == unpaired
    assert ("intervals of the paired difference" in text) == (plot.name == "paired-differences")


def test_captions_admit_what_is_left_out(sweeps: Path, two_seeds: Path):
    """A figure that shows a choice of placements says so, and so does one without intervals."""
    [many], [few] = combinations_of(sweeps), combinations_of(two_seeds)
    plot = PLOT_OF["gap-by-placement"]
    assert "Only the best of each sweep" in caption(plot, many)
    assert "Only the best" not in caption(plot, few)
    assert "Too few seeds for intervals" in caption(plot, few)


def test_figures_are_functions_of_a_frame(two_seeds: Path):
    """Drawing changes nothing in the frame."""
    trials = trials_of(two_seeds)
    before = trials.copy(deep=True)
    by_dial(trials)
    pd.testing.assert_frame_equal(trials, before)
