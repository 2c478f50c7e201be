"""Trials side by side: one stack of layers for K placements, a cohort.

A trial never knows its companions. Each brings its own factors; where a companion has a slot that
it has not, its factor there is 1, which changes no bit of it. A trial alone is a cohort of one.

Shapes: K trials, L layers, T time, B batch, D input, H hidden.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.drops import Sharing
from ablate.edges import Edge
from ablate.engine.factors import (
    Factors,
    Slot,
    Window,
    activation_masks,
    layer_factors,
    rate_index,
    sequence_factor,
    slot_of,
)
from ablate.engine.fused import fused_layer
from ablate.engine.looped import looped_layer
from ablate.engine.plan import Mode, Path, folds
from ablate.engine.reference import LayerOutput, LayerWeights
from ablate.engine.steps import takes_triton
from ablate.engine.triton_toss import INSIDE, Toss, layer_tosses
from ablate.noise import BERNOULLI
from ablate.placement import Placement

State = tuple[Tensor, Tensor]
Tosses = Mapping[Slot, Toss]
LayerMasks = Callable[[int, Tensor, int], tuple[Factors, Tosses | None]]


class Trial(NamedTuple):
    """What one trial of a cohort brings: its placement, and where its window stands."""

    placement: Placement
    window: Window


class CohortOutput(NamedTuple):
    """The top layers' sequences (OUTPUT applied) and the states handed on."""

    y_KTBH: Tensor
    s_LKBH: Tensor
    c_LKBH: Tensor


_LAYERS: dict[Path, Callable[..., LayerOutput]] = {
    Path.LOOPED: looped_layer,
    Path.FUSED: fused_layer,
}


def run_cohort(
    x_KTBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    trials: Sequence[Trial],
    path: Path = Path.LOOPED,
    *,
    triton: bool | None = None,
) -> CohortOutput:
    """Run all layers of K trials over a window; `state` is (s, c), each [L, K, B, H].

    `weights` are each layer's, with K in front. EMBEDDING is its owner's to apply. `triton` says
    whether the looped path takes the GPU's kernels; unless it is given, where they run.
    """
    tossing = path is Path.LOOPED and (takes_triton(x_KTBD) if triton is None else triton)

    def masks(layer: int, read_KTBU: Tensor, hidden: int) -> tuple[Factors, Tosses | None]:
        size = {"inputs": read_KTBU.shape[-1], "hidden": hidden}
        if tossing:
            return factors_and_tosses(trials, layer, **size)
        return cohort_factors(trials, layer, **size), None

    out = run_layers(x_KTBD, state, weights, masks, path)
    return out._replace(y_KTBH=drop_sequences(out.y_KTBH, Edge.OUTPUT, len(weights) - 1, trials))


def run_layers(
    x_KTBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    masks: LayerMasks,
    path: Path = Path.LOOPED,
) -> CohortOutput:
    """As `run_cohort`, without OUTPUT, where `masks(layer, what it reads, H)` gives its factors.

    Beside them come the tosses of the GPU's kernels, or None where those are not taken.
    """
    value, states, cells = x_KTBD, [], []
    for number, layer_weights in enumerate(weights):
        factors, tosses = masks(number, value, layer_weights.hidden)
        given = value, (state[0][number], state[1][number]), layer_weights, factors
        out = _LAYERS[path](*given) if tosses is None else looped_layer(*given, tosses=tosses)
        value = out.y_TBH
        states.append(out.s_BH)
        cells.append(out.c_BH)
    return CohortOutput(value, torch.stack(states), torch.stack(cells))


def cohort_factors(trials: Sequence[Trial], layer: int, *, inputs: int, hidden: int) -> Factors:
    """Each slot's factors, the trials' side by side: those of `layer_factors` with K in front."""
    edges = [edge for edge in Edge if edge not in Edge.EMBEDDING | Edge.OUTPUT | Edge.WEIGHT]
    vertical = Edge.INPUT if layer == 0 else Edge.INTERLAYER
    units = {
        edge: inputs if edge is vertical else hidden
        for edge in edges
        if edge is vertical or edge not in Edge.VERTICAL
    }
    draws = _draw_together(trials, layer, units)
    each = [
        layer_factors(
            trial.placement,
            layer,
            trial.window,
            inputs=inputs,
            hidden=hidden,
            drawn=_of_trial(draws, at),
        )
        for at, trial in enumerate(trials)
    ]
    slots = (slot for slot in Slot if any(slot in factors for factors in each))
    return {slot: _together([factors.get(slot) for factors in each], draws) for slot in slots}


def factors_and_tosses(
    trials: Sequence[Trial], layer: int, *, inputs: int, hidden: int
) -> tuple[Factors, dict[Slot, Toss]]:
    """As `cohort_factors`, but what a GPU's kernels can toss for themselves is not drawn."""
    placements = [trial.placement for trial in trials]
    windows = [trial.window for trial in trials]
    tosses = layer_tosses(placements, windows, layer, hidden=hidden)
    left = [
        Trial(placement - _tossed(placement, window, tosses), window)
        for placement, window in trials
    ]
    return cohort_factors(left, layer, inputs=inputs, hidden=hidden), tosses


def _tossed(placement: Placement, window: Window, tosses: Tosses) -> Edge:
    """The edges whose drops have a toss."""
    edges = Edge(0)
    for edge, drop in (placement & INSIDE).items():
        if slot_of(edge, drop) in tosses and not folds(edge, drop, window.mode):
            edges |= edge
    return edges


def drop_sequences(
    x_KTBU: Tensor,
    edge: Edge,
    layer: int,
    trials: Sequence[Trial],
    *,
    tokens_TB: Tensor | None = None,
) -> Tensor:
    """Apply an edge that acts on a whole sequence outside the layers (EMBEDDING, OUTPUT)."""
    units = x_KTBU.shape[-1]
    # Words of the text are coordinates of EMBEDDING's masks: those are drawn one by one.
    together = {} if edge is Edge.EMBEDDING else {edge: units}
    draws = _draw_together(trials, layer, together)
    factors = [
        sequence_factor(
            edge,
            layer,
            trial.placement,
            trial.window,
            units,
            tokens_TB=tokens_TB,
            drawn=_of_trial(draws, at),
        )
        for at, trial in enumerate(trials)
    ]
    if all(factor is None for factor in factors):
        return x_KTBU
    return x_KTBU * _together(factors, draws)


class _Draw(NamedTuple):
    """The masks of an edge, drawn at once for the trials `members`: `each` are those of `whole`."""

    edge: Edge
    members: list[int]
    whole: Tensor
    each: tuple[Tensor, ...]


def _draw_together(trials: Sequence[Trial], layer: int, units: Mapping[Edge, int]) -> list[_Draw]:
    """The masks at those edges of `units` that two or more trials toss alike."""
    draws: list[_Draw] = []
    if len(trials) == 1 or trials[0].window.mode is Mode.MEAN:
        return draws
    for edge, width in units.items():
        alike: dict[Sharing, list[int]] = {}
        for at, (placement, _) in enumerate(trials):
            drop = placement.get(edge)
            if drop and drop.noise == BERNOULLI and drop.rate_of(rate_index(edge, layer)):
                alike.setdefault(drop.shared, []).append(at)
        for members in alike.values():
            masks = activation_masks(
                [trials[at].placement[edge] for at in members],
                edge,
                layer,
                rate_index(edge, layer),
                width,
                [trials[at].window for at in members],
            )
            # A sequence outside the layers has no gates.
            masks = masks[:, :, :, 0] if edge in Edge.EMBEDDING | Edge.OUTPUT else masks
            draws.append(_Draw(edge, members, masks, masks.unbind()))
    return draws


def _of_trial(draws: Sequence[_Draw], at: int) -> dict[Edge, Tensor]:
    """The masks that were drawn for a trial."""
    return {draw.edge: draw.each[draw.members.index(at)] for draw in draws if at in draw.members}


def _together(factors: Sequence[Tensor | None], draws: Sequence[_Draw]) -> Tensor:
    """Factors side by side, 1 where a trial has none, as long as the longest on each axis."""
    for draw in draws:
        # As they were drawn: nothing to copy.
        if len(draw.each) == len(factors) and all(map(operator.is_, draw.each, factors)):
            return draw.whole
    given = [factor for factor in factors if factor is not None]
    if len(factors) == 1:
        return given[0].unsqueeze(0)
    shape = torch.broadcast_shapes(*(factor.shape for factor in given))
    joined = given[0].new_empty(len(factors), *shape)
    for own, factor in zip(joined, factors, strict=True):
        if factor is None:
            own.fill_(1.0)
        else:
            own.copy_(factor.expand(shape))
    return joined
