"""Leaving one edge out: paired differences by seed, one family a bundle, what did not finish."""

import math
from dataclasses import replace

import numpy as np
import pytest
from design_frames import part as combination
from design_frames import row
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import stats

from ablate.report import designs
from ablate.report.combination import Combination
from ablate.report.figures import caption, draw_figures
from ablate.report.leave_one_out import (
    bundles_of,
    differences_of,
    leave_one_out,
    leave_one_out_panel,
)
from ablate.report.moderation import moderated
from ablate.report.statistics import holm, paired_p

WHOLE = (200.0, 202.0, 198.0)
# By seed, without each edge: input helps a lot, weight a little, output harms.
WITHOUT = {
    "output": (197.0, 199.5, 196.0),
    "input": (215.0, 218.0, 212.0),
    "weight": (203.0, 204.0, 202.0),
}


def bundle(
    name: str = "merity2017",
    *,
    whole: tuple[float, ...] = WHOLE,
    without: dict[str, tuple[float, ...]] = WITHOUT,
    lost: dict[tuple[str, int], str] | None = None,
    position: int = 0,
) -> list[dict]:
    """The rows of a bundle, and of it less each edge, seed by seed from 1 on (perplexities)."""
    points = [("", whole), *without.items()]
    rows = []
    for place, (edge, values) in enumerate(points):
        facts = {"without": edge} if edge else {}
        for seed, value in enumerate(values, start=1):
            given = {"valid_nll": math.log(value), "gap": 1.0}
            given["status"] = (lost or {}).get((edge, seed), "ok")
            rows.append(row(name, facts, seed, position + place, given))
    return rows


def test_differences_are_paired_by_seed() -> None:
    """Bundle less edge minus bundle, the edge that helps most first; Holm over the bundle's."""
    rows = differences_of(combination(bundle()))
    assert rows["edge"].tolist() == ["input", "weight", "output"]
    assert rows["bundle"].unique().tolist() == ["merity2017 .4"]
    assert rows["bundle_ppl"].tolist() == pytest.approx([200.0] * 3)
    values = [(15.0, 16.0, 14.0), (3.0, 2.0, 4.0), (-3.0, -2.5, -2.0)]
    for found, expected in zip(rows["difference_values"], values, strict=True):
        assert found == pytest.approx(expected)
    variance, df = moderated(np.array([1.0, 1.0, 0.25]), np.full(3, 2.0))
    assert rows["variance"].to_numpy() == pytest.approx(variance)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance / 3)
    assert rows["difference_high"].to_numpy() == pytest.approx(np.array([15.0, 3.0, -2.5]) + half)
    assert rows["difference"].tolist() == pytest.approx([15.0, 3.0, -2.5])
    assert rows["p_plain"].tolist() == pytest.approx([paired_p(one) for one in values])
    assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].tolist()).tolist())


def test_each_bundle_is_a_family_of_its_own() -> None:
    """Another bundle changes no p-value of the first, and rows stand bundle by bundle."""
    other = bundle(
        "zaremba2014", whole=(210, 212, 208), without={"input": (214, 215, 213)}, position=4
    )
    both, alone = combination(bundle() + other), combination(bundle())
    rows = differences_of(both)
    assert rows["bundle"].tolist() == ["merity2017 .4"] * 3 + ["zaremba2014 .5"]
    assert rows["p_holm"].tolist()[:3] == differences_of(alone)["p_holm"].tolist()
    assert rows["p_holm"].iloc[3] == rows["p"].iloc[3]
    assert rows["difference"].iloc[3] == pytest.approx(4.0)


def test_nuisances_are_part_of_the_bundle() -> None:
    """A point of another learning rate is no bundle of these edges, nor is a plain strategy."""
    drawn = row("merity2017", {"recipe.learning_rate": 0.7}, 1, 9, {"valid_nll": 5.0, "gap": 1.0})
    plain = row("none", {}, 1, 8, {"valid_nll": 5.0, "gap": 1.0})
    [found] = bundles_of(combination([*bundle(), drawn, plain]).trials)
    assert found.label == "merity2017 .4"
    assert len(found.trials) == 12
    assert bundles_of(combination([plain, drawn]).trials) == ()
    assert leave_one_out_panel(combination([plain, drawn])) is None
    assert designs.panels(combination([plain])) == ()


def test_an_edge_that_the_bundle_lacks_is_no_row() -> None:
    """Without `carry`, where merity2017 drops nothing, the bundle is itself."""
    same = [
        row("merity2017", {"without": "carry"}, seed, 4, {"valid_nll": 5.3, "gap": 1.0})
        for seed in (1, 2, 3)
    ]
    assert differences_of(combination(bundle() + same))["edge"].tolist() == [
        "input", "weight", "output",
    ]  # fmt: skip


def test_what_did_not_finish_is_said() -> None:
    """Two pairs are shown without an interval, no pair without a number, each with its reason."""
    lost = {
        ("input", 2): "diverged",
        **{("weight", seed): "diverged" for seed in (1, 2, 3)},
        ("output", 3): "failed",
    }
    part = combination(bundle(lost=lost))
    rows = differences_of(part).set_index("edge")
    assert rows.index.tolist() == ["input", "output", "weight"]
    assert rows["pairs"].tolist() == [2, 2, 0]
    assert rows["diverged"].tolist() == [1, 0, 3]
    assert rows["failed"].tolist() == [0, 1, 0]
    assert rows["p_holm"].isna().all()
    panel = leave_one_out_panel(part)
    assert [column.head for column in panel.columns] == [
        "bundle", "without", "difference", "whole", "pairs", "diverged", "failed",
    ]  # fmt: skip
    texts = [
        [column.write(one).whole for column in panel.columns] for _, one in panel.rows.iterrows()
    ]
    assert texts[0][1:3] == ["input", "+14.5 (+15.0, +14.0)"]
    assert texts[2][1:3] == ["weight", "\N{EN DASH}"]
    assert "too few seeds for intervals" in panel.caption
    assert (
        "Left out, diverged: merity2017 .4 without input (1), merity2017 .4 without weight (3)."
    ) in panel.caption
    assert "Left out, failed: merity2017 .4 without output (1)." in panel.caption
    words = {text.get_text() for axes in leave_one_out(part).axes for text in axes.texts}
    assert words == {"3 diverged"}


def test_a_bundle_without_a_finished_trial_has_no_panel() -> None:
    """There is nothing to subtract from."""
    lost = {("", seed): "diverged" for seed in (1, 2, 3)}
    part = combination(bundle(lost=lost))
    assert leave_one_out_panel(part) is None
    assert [plot for plot in designs.PLOTS if plot.applies(part)] == []


def test_trials_that_have_not_run_are_counted() -> None:
    """One seed of an edge is to come."""
    part = combination(bundle())
    away = part.trials["label"].str.endswith("without input") & (part.trials["seed"] == 3)
    part = replace(part, trials=part.trials[~away])
    rows = differences_of(part).set_index("edge")
    assert rows["missing"].to_dict() == {"input": 1, "weight": 0, "output": 0}
    assert "not run yet: merity2017 .4 without input (1)." in leave_one_out_panel(part).caption


def test_the_figure_has_a_dot_and_a_bar_an_edge() -> None:
    """A panel a bundle, nothing cut off, zero on the axis."""
    other = bundle(
        "zaremba2014", whole=(210, 212, 208), without={"input": (214, 215, 213)}, position=4
    )
    figure = leave_one_out(combination(bundle() + other))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert -0.02 <= box.x0 <= box.x1 <= width + 0.02
    assert -0.02 <= box.y0 <= box.y1 <= height + 0.02
    first, second = figure.axes
    assert [text.get_text() for text in first.get_yticklabels()] == [
        "without input", "without weight", "without output",
    ]  # fmt: skip
    assert second.get_title("left") == "zaremba2014 .5, perplexity 210.0"
    dots = [line.get_xdata()[0] for line in first.lines if line.get_marker() == "o"]
    assert dots == pytest.approx([15.0, 3.0, -2.5])
    assert sum(line.get_linewidth() == 1.1 for line in first.lines) == 3
    assert len(first.collections) == 3
    assert len(first.collections[0].get_offsets()) == 3
    low, high = first.get_xlim()
    assert low < 0 < 15 < high


def test_a_perplexity_that_no_axis_holds_stands_at_its_end() -> None:
    """5e21 and inf leave the axis to the others, hollow and without a bar."""
    far = {"input": (5e21, 218.0, 212.0), "weight": (203.0, 204.0, 202.0)}
    part = combination(bundle(without=far))
    trials = part.trials
    weight = trials["label"].str.endswith("without weight")
    trials.loc[weight & (trials["seed"] == 2), "valid_ppl"] = np.inf
    axes = leave_one_out(part).axes[0]
    assert axes.get_xlim()[1] < 100
    assert sum(line.get_linewidth() == 1.1 for line in axes.lines) == 0
    assert sum(line.get_marker() == "o" for line in axes.lines) == 2


def test_a_bundle_whose_seed_no_axis_holds_leaves_the_axis_to_the_others() -> None:
    """5e21 of the whole is a fall without each edge: at the axis's left end, and no further."""
    part = combination(bundle(whole=(5e21, 202.0, 198.0)))
    axes = leave_one_out(part).axes[0]
    low, high = axes.get_xlim()
    assert -100 < low < 0 < high < 100
    assert sum(line.get_linewidth() == 1.1 for line in axes.lines) == 0
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    offsets = [each.get_offsets()[:, 0] for each in axes.collections]
    assert len(dots) == 3
    assert {round(dot, 6) for dot in dots} == {round(seeds.min(), 6) for seeds in offsets}
    # The other seeds are where they were.
    others = sorted(value for seeds in offsets for value in seeds[1:])
    assert others == pytest.approx([-2.5, -2.0, 2.0, 4.0, 14.0, 16.0])


def test_it_stands_among_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its caption: what above zero means, which intervals, which epoch."""
    monkeypatch.setattr("ablate.report.figures.PLOTS", ())
    part: Combination = combination(bundle())
    [drawn] = draw_figures(part)
    assert drawn.name == "leave-one-out"
    for words in (
        "above zero the edge helps",
        "Holm's correction",
        "95 % intervals of the moderated t",
        "last epoch",
    ):
        assert words in drawn.caption
    assert drawn.caption == caption(designs.PLOTS[2], part)
    [panel] = designs.panels(part)
    assert panel.title == "What a bundle of edges loses without each of them"
    first = [column.write(panel.rows.iloc[0]).whole for column in panel.columns]
    assert first == [
        "merity2017 .4",
        "input",
        "+15.0 \N{PLUS-MINUS SIGN} 1.9",
        "200.0",
        "3",
        "< .001",
    ]
