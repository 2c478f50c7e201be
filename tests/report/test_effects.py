"""Effects of a two-level design: planted ones come back, what is aliased is named."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from design_frames import factorial_part, full, planted
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats
from written_stores import Point as PlacedPoint
from written_stores import write_study

from ablate.edges import Edge
from ablate.report import build, designs
from ablate.report.combination import Combination
from ablate.report.effect_figures import effects_with_intervals, interaction_map
from ablate.report.effects import (
    effects_caption,
    effects_of,
    effects_panel,
    effects_verdict,
    name_of,
)
from ablate.report.figures import caption, draw_figures
from ablate.stages import FACTORIAL
from ablate.store.files import write_table
from ablate.store.schema import CELLS, table_of
from ablate.study.factorial import design

X = "\N{MULTIPLICATION SIGN}"
FIVE = (Edge.INPUT, Edge.INTERLAYER, Edge.OUTPUT, Edge.RECURRENT, Edge.CELL)
I, L, O, R, C = FIVE  # noqa: E741
EFFECTS = {
    I: -0.20, L: -0.05, O: -0.11, R: 0.04, C: 0.0,
    I | O: 0.07, I | L: -0.02, O | R: 0.03, R | C: 0.01,
}  # fmt: skip


def found(part: Combination) -> dict[Edge, float]:
    """The effects on the loss, by term; those that are not estimated are None."""
    rows = effects_of(part)
    values = zip(rows["term"], rows["valid_nll"], strict=True)
    return {term: None if math.isnan(value) else value for term, value in values}


def noisy(outcome: Callable, scale: float, seed: int) -> Callable:
    """An outcome with normal noise on both responses."""
    rng = np.random.default_rng(seed)
    return lambda on, number: tuple(np.array(outcome(on, number)) + rng.normal(0, scale, 2))


def test_two_edges_by_hand() -> None:
    """A 2^2 design: the interaction is half of what one effect changes by with the other on.

    none 5.0, input 4.6, cell 5.2, both 5.1: input does -0.4 without cell and -0.1 with it, so that
    its effect is -0.25; cell does +0.2 and +0.5, on average 0.35; half of -0.1 - -0.4 is 0.15.
    """
    nll = {Edge(0): 5.0, I: 4.6, C: 5.2, I | C: 5.1}
    part = factorial_part(full((I, C)), lambda on, seed: (nll[on] + 0.01 * seed, 1.0))
    assert found(part) == pytest.approx({I: -0.25, C: 0.35, I | C: 0.15})
    rows = effects_of(part)
    assert rows["effect"].tolist() == ["cell", "input", f"input {X} cell"]
    assert rows["kind"].tolist() == ["main", "main", "interaction"]
    assert rows["gap"].tolist() == pytest.approx([0.0] * 3, abs=1e-12)
    # Twelve trials less a mean, two seeds, two mains and an interaction.
    assert rows["freedom"].unique().tolist() == [6]
    assert rows["factor"].tolist() == pytest.approx(np.exp([0.35, -0.25, 0.15]))
    assert effects_panel(part).columns[3].write(rows.iloc[1]).text == "\N{MINUS SIGN}22.1"


def test_intervals_are_those_of_student() -> None:
    """Of a 2^2 design with noise: effect ± t(.975, df) 2 s / sqrt(n), s from the residuals."""
    part = factorial_part(full((I, C)), noisy(planted(5, {I: -0.1}), 0.02, 3), seeds=(1, 2, 3, 4))
    trials, rows = part.trials, effects_of(part).set_index("effect")
    on = {
        edge: np.array([1.0 if edge.label in text else -1.0 for text in trials["placement"]])
        for edge in (I, C)
    }
    y = trials["valid_nll"].to_numpy()
    left = y - trials.groupby("seed")["valid_nll"].transform("mean").to_numpy()
    for column in (on[I], on[C], on[I] * on[C]):
        left = left - column * (column @ y) / 16
    # 16 trials less four blocks and three effects; t(.975, 9) = 2.262157.
    half = 2.262157 * 2 * math.sqrt(left @ left / 9) / math.sqrt(16)
    effect = 2 * (on[I] @ y) / 16
    assert rows.loc["input", ["valid_nll", "valid_nll_low", "valid_nll_high"]].tolist() == (
        pytest.approx([effect, effect - half, effect + half], rel=1e-6)
    )
    p = 2 * stats.t.sf(abs(effect) / half * 2.262157, 9)
    assert rows.loc["input", "p"] == pytest.approx(p, rel=1e-5)
    # The smallest of three p-values.
    assert rows.loc["input", "p_holm"] == pytest.approx(3 * p, rel=1e-5)


def test_what_is_decided_is_said_and_framed() -> None:
    """By Holm's correction over the effects: an interval that leaves zero out can be undecided."""
    part = factorial_part(design(FIVE, 5), noisy(planted(5, EFFECTS), 0.03, 3))
    rows = effects_of(part)
    beyond = (rows["valid_nll_low"] > 0) | (rows["valid_nll_high"] < 0)
    found = rows["p_holm"] < 0.05
    assert set(rows["effect"][found]) < set(rows["effect"][beyond])
    assert effects_verdict(rows).startswith(
        "Decided of 15 effects (t test, Holm's correction, p < .05): lower the loss: input, "
        f"output, interlayer; raise the loss: recurrent, input {X} output, output {X} recurrent. "
        f"Not decided: cell, interlayer {X} cell, "
    )
    assert effects_panel(part).caption.startswith(effects_verdict(rows))


def test_nothing_decided() -> None:
    """Noise alone."""
    rows = effects_of(factorial_part(full((I, C)), noisy(planted(5, {}), 0.02, 1)))
    said = "Decided of 3 effects (t test, Holm's correction, p < .05): none. Not decided: "
    assert effects_verdict(rows) == f"{said}cell, input, input {X} cell."


@pytest.mark.parametrize("resolution", [None, 5])
def test_planted_effects_come_back(resolution: int | None) -> None:
    """Without noise exactly, on the loss and on the gap, whatever the seeds add."""
    part = factorial_part(design(FIVE, resolution), planted(5.3, EFFECTS))
    terms = [*FIVE, *(a | b for a, b in itertools.combinations(FIVE, 2))]
    whole = dict.fromkeys(terms, 0.0) | EFFECTS
    assert found(part) == pytest.approx(whole, abs=1e-10)
    rows = effects_of(part)
    assert (rows["aliased"] == "").all()
    gaps = dict(zip(rows["term"], rows["gap"], strict=True))
    assert gaps == pytest.approx({term: -2 * effect for term, effect in whole.items()}, abs=1e-10)
    assert rows["kind"].tolist() == ["main"] * 5 + ["interaction"] * 10
    assert rows["effect"].tolist()[:5] == ["input", "output", "interlayer", "recurrent", "cell"]
    assert rows["effect"].tolist()[5:9] == [
        f"input {X} output",
        f"output {X} recurrent",
        f"input {X} interlayer",
        f"recurrent {X} cell",
    ]


def test_intervals_cover_what_they_promise() -> None:
    """Of 60 designs with noise, each 15 intervals: about 95 % hold the planted effect."""
    covered = []
    for number in range(60):
        part = factorial_part(design(FIVE, 5), noisy(planted(5, EFFECTS), 0.01, number))
        for _, row in effects_of(part).iterrows():
            true = EFFECTS.get(row["term"], 0.0)
            covered.append(row["valid_nll_low"] < true < row["valid_nll_high"])
            covered.append(row["gap_low"] < -2 * true < row["gap_high"])
    assert len(covered) == 1800
    assert 0.93 < np.mean(covered) < 0.97


def test_aliased_interactions_are_named_and_not_estimated() -> None:
    """At resolution 4 each interaction of four edges is that of the two others; mains are known."""
    four = (I, L, O, C)
    part = factorial_part(design(four, 4), planted(5, {I: -0.2, L: 0.1, I | L: 0.08}))
    pairs = [a | b for a, b in itertools.combinations(four, 2)]
    assert found(part) == pytest.approx(
        {I: -0.2, L: 0.1, O: 0.0, C: 0.0} | dict.fromkeys(pairs), abs=1e-10
    )
    rows = effects_of(part).set_index("effect")
    assert rows.loc[f"input {X} interlayer", "aliased"] == f"output {X} cell"
    assert rows.loc[f"output {X} cell", "aliased"] == f"input {X} interlayer"
    assert rows.loc["input", "aliased"] == ""
    # Their sum is in the model all the same: 24 trials less 3 blocks, 4 mains and 3 sums.
    assert rows["freedom"].unique().tolist() == [14]
    assert rows.loc["input", "valid_nll_high"] == pytest.approx(-0.2, abs=1e-9)
    text = effects_caption(part)
    assert f"Not estimated, because aliased: input {X} interlayer with output {X} cell; " in text
    columns = effects_panel(part).columns
    assert columns[-1].head == "aliased with"
    assert columns[2].write(rows.loc[f"output {X} cell"]).whole == "\N{EN DASH}"


def test_a_main_effect_that_includes_an_interaction_says_so() -> None:
    """At resolution 3 the effect of input is that of input less that of interlayer × output."""
    part = factorial_part(design((I, L, O), 3), planted(5, {I: -0.2, L | O: 0.06}))
    rows = effects_of(part).set_index("effect")
    assert rows.loc["input", "aliased"] == f"interlayer {X} output"
    assert rows.loc["input", "valid_nll"] == pytest.approx(-0.26, abs=1e-10)
    assert rows["valid_nll"].isna().sum() == 3
    said = (
        f"Main effects that include what these interactions do: input with interlayer {X} output; "
    )
    assert said in effects_caption(part)
    assert [plot.name for plot in designs.PLOTS if plot.applies(part)] == ["factorial-effects"]


def test_lost_trials_unbalance_a_design_and_are_counted() -> None:
    """Effects without noise are the same without them; diverged, failed and infinite ones count."""
    runs = design(FIVE, 5)
    lost = {(runs[3], 1): "diverged", (runs[3], 2): "diverged", (runs[9], 3): "failed"}
    outcome = planted(5.3, EFFECTS)

    def with_inf(on: Edge, seed: int) -> tuple[float, float]:
        return (math.inf, math.inf) if (on, seed) == (runs[5], 1) else outcome(on, seed)

    part = factorial_part(runs, with_inf, status=lost, pending=[(runs[15], 3)])
    known = {term: effect for term, effect in found(part).items() if term in EFFECTS}
    assert known == pytest.approx(EFFECTS, abs=1e-10)
    rows = effects_of(part)
    assert rows["runs"].unique().tolist() == [48 - 5]
    assert rows["freedom"].unique().tolist() == [43 - 3 - 15]
    text = effects_caption(part)
    assert "43 finished trials of 16 runs, 3 seeds." in text
    assert "Left out: 2 diverged, 1 failed, 1 without a finite loss." in text
    assert "Not run yet: 1." in text


def test_an_edge_that_always_diverges_is_not_estimated() -> None:
    """Its level never changes among the trials that finished: the mean explains it."""
    runs = full((I, C))
    lost = {(on, seed): "diverged" for on in runs if C in on for seed in (1, 2, 3)}
    part = factorial_part(runs, planted(5, {I: -0.2}), status=lost)
    assert found(part) == {I: pytest.approx(-0.2), C: None, I | C: None}
    rows = effects_of(part).set_index("effect")
    assert rows.loc["cell", "aliased"] == "the mean"
    assert rows.loc[f"input {X} cell", "aliased"] == "input"


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(factorial_part(full((I, C)), planted(5, {}), seeds=(1,)), id="no-freedom"),
        pytest.param(factorial_part([Edge(0), I], planted(5, {})), id="one-edge"),
        pytest.param(
            factorial_part(
                full((I, C)), planted(5, {}),
                status={(on, seed): "diverged" for on in full((I, C)) for seed in (1, 2, 3)},
            ),
            id="all-diverged",
        ),
    ],
)  # fmt: skip
def test_too_few_runs_make_no_panel(part: Combination) -> None:
    """Nor a figure."""
    assert effects_panel(part) is None
    assert designs.panels(part) == ()
    assert [plot for plot in designs.PLOTS if plot.applies(part)] == []


def test_a_combination_without_a_design_has_none() -> None:
    """Rows of no stage, and frames that lack the column."""
    part = factorial_part(full((I, C)), planted(5, {I: -0.2}))
    other = replace(part, trials=part.trials.assign(stage=None))
    older = replace(part, trials=part.trials.drop(columns="stage"))
    assert designs.panels(other) == designs.panels(older) == ()


def test_the_panel_reads_well() -> None:
    """Names, signs and intervals, and what on means."""
    part = factorial_part(design(FIVE, 5), noisy(planted(5, EFFECTS), 0.01, 1))
    [panel] = designs.panels(part)
    assert panel.name == "factorial-effects"
    heads = [column.title for column in panel.columns]
    assert heads == [
        "effect", "kind", "validation loss (nats)", "perplexity (%)", "p (Holm)", "gap (nats)",
    ]  # fmt: skip
    first = [column.write(panel.rows.iloc[0]).whole for column in panel.columns]
    assert first[:2] == ["input", "main"]
    assert first[2].startswith("\N{MINUS SIGN}0.2")
    assert "\N{PLUS-MINUS SIGN} 0.0" in first[2]
    assert first[4] == "< .001"
    assert first[5].startswith("+0.4")
    for words in (
        "over 5 edges: 48 finished trials of 16 runs, 3 seeds",
        "On means input, interlayer, output, recurrent, cell .25 (fresh each step).",
        "averaged over the settings of the other edges",
        "half the difference between one edge's effect with the other on and",
        "seeds as blocks",
        "30 residual degrees of freedom",
    ):
        assert words in panel.caption
    assert "Left out" not in panel.caption
    assert panel.csv().startswith("kind,effect,valid_nll,valid_nll_low,valid_nll_high,gap,")


def test_an_edge_that_drops_in_two_ways_is_said_to() -> None:
    """On is then either; the rates of a design that was edited between two runs."""
    part = factorial_part(full((I, C)), planted(5, {I: -0.2}))
    other = part.trials["placement"].str.replace("INPUT(0.25", "INPUT(0.5", regex=False)
    other = other.where(part.trials["seed"] == 3, part.trials["placement"])
    text = effects_caption(replace(part, trials=part.trials.assign(placement=other)))
    assert "On means input .25 (fresh each step) or .5 (fresh each step); cell .25 (" in text
    assert "input did not drop alike in all runs." in text


def boxes(figure: Figure) -> None:
    """Nothing lies outside the canvas."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert -0.02 <= box.x0 <= box.x1 <= width + 0.02
    assert -0.02 <= box.y0 <= box.y1 <= height + 0.02


def test_the_figure_of_effects() -> None:
    """A row an effect, mains above interactions, zero marked; intervals where the model's are."""
    part = factorial_part(design(FIVE, 5), noisy(planted(5, EFFECTS), 0.01, 1))
    figure, rows = effects_with_intervals(effects_of(part)), effects_of(part)
    boxes(figure)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == rows["effect"].tolist()
    bars = [line for line in left.lines if line.get_linewidth() == 1.1]
    assert bars[0].get_xdata() == pytest.approx(rows.loc[0, ["valid_nll_low", "valid_nll_high"]])
    assert len(bars) == sum(line.get_linewidth() == 1.1 for line in right.lines) == 15
    assert left.get_xlim()[0] < 0 < left.get_xlim()[1]


def test_the_map_of_interactions() -> None:
    """Symmetric, mains on the diagonal, frames where p is below .05 after Holm's correction."""
    part = factorial_part(design(FIVE, 5), noisy(planted(5, EFFECTS), 0.004, 1))
    rows = effects_of(part)
    figure = interaction_map(rows)
    boxes(figure)
    axes = figure.axes[0]
    values = np.asarray(axes.collections[0].get_array()).reshape(5, 5)
    assert values.tolist() == values.T.tolist()
    mains = rows.set_index("term")["valid_nll"]
    assert np.diag(values).tolist() == [mains[edge] for edge in FIVE]
    assert values[0, 2] == mains[I | O]
    beyond = rows["p_holm"] < 0.05
    pairs = rows["kind"] == "interaction"
    bold = [text for text in axes.texts if text.get_fontweight() == "bold"]
    assert "#ffffff" not in {text.get_color() for text in axes.texts}
    assert len(axes.patches) == len(bold) == (beyond & ~pairs).sum() + 2 * (beyond & pairs).sum()
    low, high = axes.collections[0].get_clim()
    assert low == -high == pytest.approx(-np.abs(values).max())
    assert [text.get_text() for text in axes.get_yticklabels()] == [name_of(e) for e in FIVE]


def test_a_small_map_has_room_for_its_key() -> None:
    """Two edges are four cells."""
    part = factorial_part(full((I, C)), noisy(planted(5, {I: -0.2}), 0.01, 1))
    boxes(interaction_map(effects_of(part)))


def test_an_aliased_interaction_is_an_empty_cell() -> None:
    """The word stands in it; the numbers of the others stay."""
    runs = full((I, O, C))
    part = factorial_part([on for on in runs if (O | C) not in on], planted(5, {I: -0.1}))
    rows = effects_of(part)
    assert rows.set_index("effect").loc[f"output {X} cell", "aliased"] != ""
    assert rows.set_index("effect").loc["cell", "aliased"] == f"output {X} cell"
    assert rows.set_index("effect").loc["input", "aliased"] == ""
    axes = interaction_map(rows).axes[0]
    assert [text.get_text() for text in axes.texts].count("aliased") == 2


def test_figures_stand_among_the_others_with_their_captions(monkeypatch: pytest.MonkeyPatch):
    """A study with a design has two figures more; captions name blocks and epoch, no baseline."""
    monkeypatch.setattr("ablate.report.figures.PLOTS", ())
    part = factorial_part(design(FIVE, 5), noisy(planted(5, EFFECTS), 0.01, 1))
    drawn = draw_figures(part)
    assert [one.name for one in drawn] == ["factorial-effects", "factorial-interactions"]
    for one in drawn:
        assert "seeds as blocks" in one.caption
        assert "the last epoch" in one.caption
        assert "Dashed: " not in one.caption
    assert caption(designs.PLOTS[1], part) == drawn[1].caption
    assert "the table alone" not in drawn[0].caption


def test_many_effects_are_drawn_with_their_largest_interactions() -> None:
    """Of 36 effects the 30 first; the caption says where the others are."""
    edges = [edge for edge in Edge if edge not in (Edge.HIDDEN, Edge.CARRY)]
    part = factorial_part(design(edges, 5), noisy(planted(5, {I: -0.2}), 0.01, 1), seeds=(1, 2))
    rows = effects_of(part)
    assert len(rows) == 8 + 28
    figure = effects_with_intervals(rows)
    boxes(figure)
    assert len(figure.axes[0].get_yticklabels()) == 30
    assert "The smallest interactions are in the table alone." in caption(designs.PLOTS[0], part)
    boxes(interaction_map(rows))


def test_a_trial_under_two_names_counts_once() -> None:
    """The run that drops nowhere may be known as none too."""
    part = factorial_part(full((I, C)), planted(5, {I: -0.2}))
    again = part.trials.assign(strategy="copy")
    twice = replace(part, trials=pd.concat([part.trials, again], ignore_index=True))
    assert effects_of(twice)["runs"].unique().tolist() == [12]


def test_from_the_store_to_the_files(tmp_path: Path) -> None:
    """The stage of a store's rows makes the design; its figures lie beside the others."""
    names = ("input", "cell")
    given = [dict.fromkeys(names[:count], "step") for count in (0, 1, 2)] + [{"cell": "step"}]
    points = (PlacedPoint("none"), *(PlacedPoint("free", facts) for facts in given))
    store = write_study(tmp_path, points=points, seeds=3, diverged=((3, 2),))
    rows = store.cells().to_pylist()
    staged = [
        one | {"label": f"{one['label']} {one['position']}", "stage": FACTORIAL}
        if one["strategy"] == "free"
        else one
        for one in rows
    ]
    write_table(table_of(staged, CELLS), store.folder / "cells.parquet")
    [report] = build(tmp_path)
    drawn = {path.stem for path in (report.page.parent / "figures").glob("*.svg")}
    assert {"factorial-effects", "factorial-interactions", "learning-curves"} <= drawn
    assert "leave-one-out" not in drawn
    text = report.page.read_text()
    assert "A two-level design over 2 edges: 11 finished trials of 4 runs, 3 seeds." in text
    assert "Left out: 1 diverged." in text
    assert "Decided of 3 effects (t test, " in text.partition("<table")[0]
