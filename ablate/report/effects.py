"""The effects of a two-level design over edges: what each does to the loss, alone and with another.

The trials of a design (stage FACTORIAL) drop, run by run, at other subsets of its edges. A linear
model tells from all of them at once what each edge does. An edge's level is -1 (off) or +1 (on):

    y = mean + seed + sum_e b_e x_e + sum_{e<f} b_ef x_e x_f + noise

Seeds are blocks, a fixed effect each. The main effect 2 b_e is the change of y when the edge goes
from off to on, averaged over the settings of the others. The interaction 2 b_ef is half of the
effect of e with f on minus its effect with f off, so that both have the same standard error.

Which of them a design can tell apart is read from the matrix of the model: a term is aliased where
a vector of the null space has a part of it. Interactions of three and more are taken to be zero.

Source: Box, Hunter, Hunter: Statistics for Experimenters (2nd ed., 2005), chapters 5 (effects), 4
(blocks) and 6 (aliases); Montgomery: Design and Analysis of Experiments, chapters 6 to 8.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import null_space

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.quantities import perplexity
from ablate.report.columns import Column, Entry
from ablate.report.combination import Combination
from ablate.report.kinds import mask_lifetime
from ablate.report.numbers import (
    NOTHING,
    PLUS_MINUS,
    p_value,
    percent,
    rate,
    seeds,
    signed_nats,
)
from ablate.report.panel import Panel
from ablate.report.statistics import SIGNIFICANT, Floats, holm, two_sided
from ablate.stages import FACTORIAL
from ablate.status import Status

NAME = "factorial-effects"
TITLE = "Effects of edges, alone and in pairs"

_LOSS = "valid_nll"
#: What is measured of each trial, in nats per token.
RESPONSES = (_LOSS, "gap")
MAIN, PAIR = "main", "interaction"

_LEVEL = 0.95
# Below this a component is rounding: the columns of the model's matrix are of order one.
_ZERO = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The runs of a two-level design: its edges, and of each finished run the levels and the seed.

    levels: -1 (off) or +1 (on), [runs, edges]; responses: nats, [runs, 2] as `RESPONSES`. `lost`
    counts the trials that are left out, by why; `drops` says for each edge what on means.
    """

    edges: tuple[Edge, ...]
    levels: np.ndarray
    seeds: tuple[int, ...]
    responses: np.ndarray
    lost: dict[str, int]
    drops: dict[Edge, tuple[Drop, ...]]

    @property
    def terms(self) -> tuple[Edge, ...]:
        """The main effects, an edge each, then the interactions, a union of two each."""
        return (*self.edges, *(e | f for e, f in itertools.combinations(self.edges, 2)))

    @property
    def blocks(self) -> np.ndarray:
        """The model's columns that are no effects: the mean, and each seed but the first."""
        given = np.array(self.seeds)
        others = [np.where(given == seed, 1.0, 0.0) for seed in sorted(set(self.seeds))[1:]]
        return np.column_stack([np.ones(len(given)), *others])

    def column(self, term: Edge) -> np.ndarray:
        """A term's column of the model: the product of its edges' levels, [runs]."""
        return self.levels[:, [self.edges.index(edge) for edge in term]].prod(axis=1)


def design_of(trials: pd.DataFrame) -> Design | None:
    """The two-level design in trials of one combination; None where there is none.

    Its edges are those at which any of its runs drops. A trial without a finite loss is left out
    and counted.
    """
    if "stage" not in trials:
        return None
    rows = trials[trials["stage"] == FACTORIAL].drop_duplicates("key")
    placements = {text: Placement.parse(text) for text in rows["placement"].unique()}
    found: dict[Edge, dict[Drop, None]] = {}
    for placement in placements.values():
        for edge, drop in placement.items():
            found.setdefault(edge, {})[drop] = None
    edges = tuple(edge for edge in Edge if edge in found)
    if len(edges) < 2:
        return None
    finished = rows[rows["status"] == Status.OK]
    finite = finished[np.isfinite(finished[list(RESPONSES)].to_numpy(dtype=np.float64)).all(axis=1)]
    lost = Counter(str(status) for status in rows["status"] if status != Status.OK)
    if len(finite) < len(finished):
        lost["without a finite loss"] = len(finished) - len(finite)
    on = [[edge in placements[text].edges for edge in edges] for text in finite["placement"]]
    return Design(
        edges,
        np.where(np.array(on, dtype=bool).reshape(len(finite), len(edges)), 1.0, -1.0),
        tuple(int(seed) for seed in finite["seed"]),
        finite[list(RESPONSES)].to_numpy(dtype=np.float64),
        dict(lost),
        {edge: tuple(found[edge]) for edge in edges},
    )


def estimate(design: Design) -> pd.DataFrame:
    """One row an effect: mains, then interactions, the largest first; empty for too few runs.

    Columns: `kind` ("main" or "interaction"), `effect` (its name), `term` (an Edge, one or two),
    of each of `RESPONSES` the effect in nats under its name with `_low` and `_high` (the model's
    95 % t interval), `p` of the effect on the loss and `p_holm`, corrected over all effects that
    have numbers, `factor` (exp of the effect on the loss: that on perplexity), `aliased` (what it
    cannot be told from), `runs` and `freedom` (residual degrees of freedom). An interaction that is
    aliased has no numbers, nor has a main effect that the other mains, the mean or the seeds
    already explain; a main effect that is aliased with interactions takes them for zero.
    """
    if not len(design.levels):
        return pd.DataFrame()
    kept = _independent(design)
    blocks, columns = design.blocks, [design.column(term) for term in kept]
    model = np.column_stack([blocks, *columns])
    freedom = len(model) - model.shape[1]
    if freedom < 1 or not kept:
        return pd.DataFrame()
    fits = {name: _fit(design.responses[:, place], model) for place, name in enumerate(RESPONSES)}
    alone, together = _ties(design, design.edges), _ties(design, design.terms)
    rows = []
    for term in design.terms:
        main = term in design.edges
        tied = alone[term] if main and alone[term] else together[term]
        unknown = bool(alone[term] if main else tied)
        if main and not unknown:
            # Its numbers take these interactions for zero; mains and blocks are told apart.
            tied = tuple(other for other in tied if isinstance(other, Edge) and len(other) == 2)
        at = None if unknown else blocks.shape[1] + kept.index(term)
        row: dict[str, object] = {
            "kind": MAIN if main else PAIR,
            "effect": name_of(term),
            "term": term,
        }
        for name, fit in fits.items():
            mean, low, high = (np.nan, np.nan, np.nan) if at is None else 2 * fit[at, :3]
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        row["p"] = np.nan if at is None else fits[_LOSS][at, 3]
        row |= {"aliased": _names(tied), "runs": len(model), "freedom": freedom}
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame["p_holm"] = holm(frame["p"].to_list())
    frame["factor"] = perplexity(frame["valid_nll"].to_numpy())
    frame["size"] = frame["valid_nll"].abs()
    frame["last"] = frame["kind"] == PAIR
    ordered = frame.sort_values(
        ["last", "size"], ascending=[True, False], kind="stable", ignore_index=True
    )
    return ordered.drop(columns=["size", "last"])


def effects_of(part: Combination) -> pd.DataFrame:
    """The effects of a combination's two-level design; empty where there is none to tell of."""
    design = design_of(part.trials)
    return pd.DataFrame() if design is None else estimate(design)


def effects_panel(part: Combination) -> Panel | None:
    """The table of effects; None without a design, or with too few runs for its model."""
    rows = effects_of(part)
    if rows.empty:
        return None
    columns = [
        Column("effect", "", lambda row: Entry(str(row["effect"])), left=True),
        Column("kind", "", lambda row: Entry(str(row["kind"])), left=True),
        Column("validation loss", "nats", _measured("valid_nll")),
        Column("perplexity", "%", lambda row: Entry(percent(row["factor"]))),
        Column("p", "Holm", lambda row: Entry(p_value(row["p_holm"]))),
        Column("gap", "nats", _measured("gap")),
    ]
    if (rows["aliased"] != "").any():
        aliases = Column(
            "aliased with", "", lambda r: Entry(r["aliased"] or NOTHING), left=True, terminal=False
        )
        columns.append(aliases)
    caption = f"{effects_verdict(rows)} {effects_caption(part)}".strip()
    return Panel(NAME, TITLE, rows.drop(columns="term"), tuple(columns), caption)


def effects_verdict(rows: pd.DataFrame) -> str:
    """Which effects on the loss differ from zero, and which are undecided; empty without any."""
    if rows.empty or (tested := rows[rows["p_holm"].notna()]).empty:
        return ""
    found = tested["p_holm"] < SIGNIFICANT
    sides = [
        f"{word} the loss: {', '.join(tested['effect'][found & side])}"
        for word, side in (("lower", tested[_LOSS] < 0), ("raise", tested[_LOSS] > 0))
        if (found & side).any()
    ]
    undecided = ", ".join(tested["effect"][~found]) or "none"
    return (
        f"Decided of {len(tested)} effects (t test, Holm's correction, p < {rate(SIGNIFICANT)}): "
        f"{'; '.join(sides) or 'none'}. Not decided: {undecided}."
    )


def effects_caption(part: Combination) -> str:
    """What an effect and an interaction are, the model, and what was left out."""
    design = design_of(part.trials)
    assert design is not None, "there is a caption where there are effects"
    rows = estimate(design)
    many = len(set(design.seeds))
    runs = len({tuple(row) for row in design.levels.tolist()})
    parts = [
        f"A two-level design over {len(design.edges)} edges: {len(design.levels)} finished trials "
        f"of {runs} runs, {seeds(many, many)}.",
        f"On means {_on(design.drops)}.",
        "An effect is the change of the validation loss (nats per token), or of the overfitting "
        "gap, when the edge goes from off to on, averaged over the settings of the other edges; "
        "below zero dropping there helps.",
        "An interaction is half the difference between one edge's effect with the other on and its "
        "effect with the other off.",
        "Perplexity is the effect as a factor, exp(effect) \N{MINUS SIGN} 1.",
        "A linear model of main effects and interactions of two, by ordinary least squares, with "
        f"seeds as blocks; intervals are its 95 % t intervals of {rows['freedom'].iloc[0]} "
        "residual degrees of freedom, each on its own; p is that of the loss, corrected over all "
        "effects.",
    ]
    if len(design.edges) > 2:
        parts.append("Interactions of three and more edges are taken to be zero.")
    mixed = [_lower(edge) for edge, texts in design.drops.items() if len(texts) > 1]
    if mixed:
        parts.append(f"{_listed(mixed)} did not drop alike in all runs.")
    if design.lost:
        words = [f"{count} {why}" for why, count in design.lost.items()]
        parts.append(f"Left out: {_listed(words)}.")
    missing = part.missing
    waiting = int((missing["stage"] == FACTORIAL).sum()) if "stage" in missing else 0
    if waiting:
        parts.append(f"Not run yet: {waiting}.")
    unknown = rows[rows["valid_nll"].isna()]
    if len(unknown):
        words = _listed([f"{row['effect']} with {row['aliased']}" for _, row in unknown.iterrows()])
        parts.append(f"Not estimated, because aliased: {words}.")
    joint = rows[rows["valid_nll"].notna() & (rows["aliased"] != "")]
    if len(joint):
        words = _listed([f"{row['effect']} with {row['aliased']}" for _, row in joint.iterrows()])
        parts.append(f"Main effects that include what these interactions do: {words}.")
    return " ".join(parts)


def name_of(term: Edge) -> str:
    """A term as it is read: `input`, `input × cell`."""
    return " \N{MULTIPLICATION SIGN} ".join(_lower(edge) for edge in term)


def _lower(edge: Edge) -> str:
    return edge.label.lower()


def _on(drops: Mapping[Edge, Sequence[Drop]]) -> str:
    """What on means at each edge: `input, cell .25 (fresh each step)`; those alike together."""
    alike: dict[str, list[str]] = {}
    for edge, own in drops.items():
        words = " or ".join(_drop_words(edge, drop) for drop in own)
        alike.setdefault(words, []).append(_lower(edge))
    return "; ".join(f"{', '.join(names)} {words}" for words, names in alike.items())


def _drop_words(edge: Edge, drop: Drop) -> str:
    much = rate(drop.rate) if isinstance(drop.rate, float) else str(drop.rate)
    return f"{much} ({mask_lifetime(Placement({edge: drop}).text).words})"


def _listed(words: Sequence[str]) -> str:
    return "; ".join(words) if any(" with " in word for word in words) else ", ".join(words)


def _measured(name: str) -> Callable[[pd.Series], Entry]:
    def entry(row: pd.Series) -> Entry:
        if np.isnan(row[name]):
            return Entry(NOTHING)
        half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
        return Entry(signed_nats(row[name]), f"{PLUS_MINUS} {half:.3f}")

    return entry


def _fit(response: np.ndarray, model: np.ndarray) -> Floats:
    """Coefficients, the ends of their intervals and two-sided p-values, [columns, 4]."""
    # Statsmodels takes most of a second to import.
    from statsmodels.regression.linear_model import OLS

    fitted = OLS(response, model).fit()
    # The library's own p-values are nan where nothing is left unexplained.
    p = two_sided(fitted.params, fitted.bse, np.full(len(fitted.params), fitted.df_resid))
    return np.column_stack([fitted.params, fitted.conf_int(alpha=1 - _LEVEL), p])


def _independent(design: Design) -> tuple[Edge, ...]:
    """The terms whose columns say something new after the mean, the seeds and the terms before.

    Of interactions that are aliased with each other the first stands for all, so that their sum is
    no noise.
    """
    basis, _ = np.linalg.qr(design.blocks)
    kept = []
    for term in design.terms:
        column = design.column(term)
        rest = column - basis @ (basis.T @ column)
        # Twice: once leaves rounding of the size that is asked about.
        rest -= basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size > _ZERO * np.linalg.norm(column):
            basis = np.column_stack([basis, rest / size])
            kept.append(term)
    return tuple(kept)


def _ties(design: Design, terms: Sequence[Edge]) -> dict[Edge, tuple[Edge | str, ...]]:
    """For each of `terms`, in a model of them all, what it cannot be told from; mostly nothing."""
    blocks = design.blocks
    free = null_space(np.column_stack([blocks, *(design.column(term) for term in terms)]))
    shared = np.abs(free @ free.T) > _ZERO
    known = ["the mean", *["the seeds"] * (blocks.shape[1] - 1), *terms]
    found = {}
    for place, term in enumerate(terms, start=blocks.shape[1]):
        others = (other for at, other in enumerate(known) if shared[place, at] and at != place)
        found[term] = tuple(dict.fromkeys(others))
    return found


def _names(tied: Sequence[Edge | str]) -> str:
    return ", ".join(name_of(one) if isinstance(one, Edge) else one for one in tied)
