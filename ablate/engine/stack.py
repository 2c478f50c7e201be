"""Layers on top of each other under a placement, or under K placements side by side, a cohort.

A trial never knows its companions: see `factors`. On the CPU products are taken so that in float32
a trial has equal bits alone and in a cohort.

Shapes: K trials, T time, B batch, D input, H hidden, L layers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.edges import Edge, layers_of
from ablate.engine.factors import NetMasks
from ablate.engine.library import library_layer
from ablate.engine.looped import looped_layer
from ablate.engine.plan import Path
from ablate.engine.reference import LayerHooks, LayerOutput, LayerWeights, reference_layer
from ablate.engine.slots import Trial, Window
from ablate.placement import Placement

State = tuple[Tensor, Tensor]

# What replaces the value at an edge's place of the listing: (value, layer=l, step=t) -> value.
Hooks = Mapping[Edge, Callable[..., Tensor]]

NO_HOOKS: Hooks = MappingProxyType({})

_LAYERS: dict[Path, Callable[..., LayerOutput]] = {
    Path.LOOPED: looped_layer,
    Path.LIBRARY: library_layer,
}


class StackOutput(NamedTuple):
    """The top layer's sequence (OUTPUT applied) and the states handed on."""

    y_TBH: Tensor
    s_LBH: Tensor
    c_LBH: Tensor


class CohortOutput(NamedTuple):
    """The top layers' sequences (OUTPUT applied) and the states handed on."""

    y_KTBH: Tensor
    s_LKBH: Tensor
    c_LKBH: Tensor


def run_cohort(
    x_KTBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    masks: NetMasks,
    path: Path = Path.LOOPED,
) -> CohortOutput:
    """Run all layers of K trials over a window; `state` is (s, c), each [L, K, B, H].

    `weights` are each layer's, with K in front. EMBEDDING is its owner's to apply.
    """
    value, states, cells = x_KTBD, [], []
    for number, layer_weights in enumerate(weights):
        given = (state[0][number], state[1][number])
        out = _LAYERS[path](value, given, layer_weights, masks.factors(number))
        value = out.y_TBH
        states.append(out.s_BH)
        cells.append(out.c_BH)
    return CohortOutput(masks.drop_output(value), torch.stack(states), torch.stack(cells))


def run_stack(
    x_TBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    placement: Placement,
    window: Window,
    path: Path = Path.LOOPED,
    hooks: Hooks = NO_HOOKS,
) -> StackOutput:
    """Run all layers over a window; `state` is (s, c), each [L, B, H].

    OUTPUT drops the sequence that is returned, not the state. EMBEDDING is its owner's to apply.
    `hooks` run on the reference path, whatever `path` says.
    """
    masks = NetMasks.of(
        [Trial(placement - Edge.EMBEDDING, window)],
        inputs=x_TBD.shape[-1],
        hidden=weights[0].hidden,
        layers=len(weights),
        # A hook at an edge sees what the edge dropped, so that nothing may move into a weight.
        fold=not hooks,
    )
    if path is Path.REFERENCE or hooks:
        return _reference_stack(x_TBD, state, weights, masks, hooks)
    # A trial alone is a cohort of one.
    alone = [_alone(layer) for layer in weights]
    state_LKBH = (state[0].unsqueeze(1), state[1].unsqueeze(1))
    y, s, c = run_cohort(x_TBD.unsqueeze(0), state_LKBH, alone, masks, path)
    return StackOutput(y.squeeze(0), s.squeeze(1), c.squeeze(1))


def _alone(weights: LayerWeights) -> LayerWeights:
    biases = (None if b is None else b.unsqueeze(0) for b in (weights.b_ih, weights.b_hh))
    return LayerWeights(weights.w_ih.unsqueeze(0), weights.w_hh.unsqueeze(0), *biases)


def _reference_stack(
    x_TBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    masks: NetMasks,
    hooks: Hooks,
) -> StackOutput:
    value, states, cells = x_TBD, [], []
    for number, layer_weights in enumerate(weights):
        factors = {slot: factor[0] for slot, factor in masks.factors(number).items()}
        own = _layer_hooks(hooks, number, len(weights))
        value, s, c = reference_layer(
            value, (state[0][number], state[1][number]), layer_weights, factors, own
        )
        states.append(s)
        cells.append(c)
    value = masks.drop_output(value.unsqueeze(0)).squeeze(0)
    if Edge.OUTPUT in hooks:
        value = hooks[Edge.OUTPUT](value, layer=len(weights) - 1, step=0)
    return StackOutput(value, torch.stack(states), torch.stack(cells))


def _layer_hooks(hooks: Hooks, layer: int, layers: int) -> LayerHooks:
    """The hooks that act at `layer`; INTERLAYER's is its INPUT."""
    return {
        Edge.INPUT if edge is Edge.INTERLAYER else edge: partial(hook, layer=layer)
        for edge, hook in hooks.items()
        if edge is not Edge.OUTPUT and layer in layers_of(edge, layers)
    }
