"""What a report shows of designs: a two-level factorial, and edges left out one at a time."""

import pandas as pd

from ablate.report.combination import Combination
from ablate.report.effect_figures import effects_with_intervals, interaction_map
from ablate.report.effects import effects_caption, effects_of, effects_panel
from ablate.report.leave_one_out import (
    differences_of,
    leave_one_out,
    leave_one_out_caption,
    leave_one_out_panel,
)
from ablate.report.panel import Panel
from ablate.report.plot import Plot
from ablate.report.sweeps import MOST


def panels(part: Combination) -> tuple[Panel, ...]:
    """The tables of one combination's designs; none where it has no design."""
    return tuple(filter(None, (effects_panel(part), leave_one_out_panel(part))))


def _has_effects(part: Combination) -> bool:
    rows = effects_of(part)
    return not rows.empty and bool(rows["valid_nll"].notna().any())


def _has_interactions(part: Combination) -> bool:
    return _has_effects(part) and bool(
        effects_of(part).query("kind == 'interaction'")["valid_nll"].notna().any()
    )


def _drawn_effects(part: Combination) -> pd.DataFrame:
    return effects_of(part).drop(columns="term")


def _left_out(part: Combination) -> bool:
    rows = differences_of(part)
    return not rows.empty and bool((rows["pairs"] > 0).any())


def _tell_effects(part: Combination) -> str:
    crowded = effects_of(part)["valid_nll"].notna().sum() > MOST
    less = "The smallest interactions are in the table alone. " if crowded else ""
    return f"{less}{effects_caption(part)}"


PLOTS = (
    Plot(
        "factorial-effects",
        "Effects of edges, alone and in pairs",
        "Dots are effects, bars their intervals; left of the dashed line dropping there lowers "
        "the loss, or the gap.",
        lambda part: effects_with_intervals(effects_of(part)),
        _drawn_effects,
        applies=_has_effects,
        tells=_tell_effects,
    ),
    Plot(
        "factorial-interactions",
        "Main effects and interactions of edges",
        "The diagonal has the main effects on validation loss, the rest the interactions of row "
        "and column. A frame and a bold number: p < .05 after Holm's correction over all effects.",
        lambda part: interaction_map(effects_of(part)),
        _drawn_effects,
        applies=_has_interactions,
        tells=effects_caption,
    ),
    Plot(
        "leave-one-out",
        "Validation perplexity without each edge of a bundle",
        "Dots are means over pairs, pale ones single seeds; the dashed line is the bundle itself.",
        leave_one_out,
        differences_of,
        applies=_left_out,
        tells=leave_one_out_caption,
    ),
)
