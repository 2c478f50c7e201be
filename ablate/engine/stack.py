"""Layers on top of each other under one placement: the part of the engine that a model calls.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.edges import Edge, layers_of
from ablate.engine.cohort import State, Trial, drop_sequences, run_cohort
from ablate.engine.factors import Window, layer_factors
from ablate.engine.plan import Path
from ablate.engine.reference import LayerHooks, LayerWeights, reference_layer
from ablate.placement import Placement

# What replaces the value at an edge's place of the listing: (value, layer=l, step=t) -> value.
Hooks = Mapping[Edge, Callable[..., Tensor]]

NO_HOOKS: Hooks = MappingProxyType({})


class StackOutput(NamedTuple):
    """The top layer's sequence (OUTPUT applied) and the states handed on."""

    y_TBH: Tensor
    s_LBH: Tensor
    c_LBH: Tensor


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
    if path is Path.REFERENCE or hooks:
        return _reference_stack(x_TBD, state, weights, placement, window, hooks)
    # A trial alone is a cohort of one.
    alone = [_alone(layer) for layer in weights]
    state_LKBH = (state[0].unsqueeze(1), state[1].unsqueeze(1))
    y, s, c = run_cohort(x_TBD.unsqueeze(0), state_LKBH, alone, [Trial(placement, window)], path)
    return StackOutput(y.squeeze(0), s.squeeze(1), c.squeeze(1))


def _alone(weights: LayerWeights) -> LayerWeights:
    biases = (None if b is None else b.unsqueeze(0) for b in (weights.b_ih, weights.b_hh))
    return LayerWeights(weights.w_ih.unsqueeze(0), weights.w_hh.unsqueeze(0), *biases)


def _reference_stack(
    x_TBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    placement: Placement,
    window: Window,
    hooks: Hooks,
) -> StackOutput:
    value, states, cells = x_TBD, [], []
    for number, layer_weights in enumerate(weights):
        # A hook at an edge sees what the edge dropped, so that nothing may move into a weight.
        factors = layer_factors(
            placement,
            number,
            window,
            inputs=value.shape[-1],
            hidden=layer_weights.hidden,
            fold=not hooks,
        )
        own = _layer_hooks(hooks, number, len(weights))
        value, s, c = reference_layer(
            value, (state[0][number], state[1][number]), layer_weights, factors, own
        )
        states.append(s)
        cells.append(c)
    top = len(weights) - 1
    value = drop_sequence(value, Edge.OUTPUT, top, placement, window)
    if Edge.OUTPUT in hooks:
        value = hooks[Edge.OUTPUT](value, layer=top, step=0)
    return StackOutput(value, torch.stack(states), torch.stack(cells))


def _layer_hooks(hooks: Hooks, layer: int, layers: int) -> LayerHooks:
    """The hooks that act at `layer`; INTERLAYER's is its INPUT."""
    return {
        Edge.INPUT if edge is Edge.INTERLAYER else edge: partial(hook, layer=layer)
        for edge, hook in hooks.items()
        if edge is not Edge.OUTPUT and layer in layers_of(edge, layers)
    }


def drop_sequence(
    x_TBU: Tensor,
    edge: Edge,
    layer: int,
    placement: Placement,
    window: Window,
    *,
    tokens_TB: Tensor | None = None,
) -> Tensor:
    """Apply an edge that acts on a whole sequence outside the layers (EMBEDDING, OUTPUT)."""
    own = [Trial(placement, window)]
    return drop_sequences(x_TBU.unsqueeze(0), edge, layer, own, tokens_TB=tokens_TB).squeeze(0)
