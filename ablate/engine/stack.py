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
from ablate.engine.factors import Factors, Window, activation_mask, layer_factors, mean_factor
from ablate.engine.fused import fused_layer
from ablate.engine.looped import looped_layer
from ablate.engine.plan import Mode, Path
from ablate.engine.reference import LayerHooks, LayerOutput, LayerWeights, reference_layer
from ablate.placement import Placement

State = tuple[Tensor, Tensor]

Layer = Callable[[Tensor, State, LayerWeights, Factors], LayerOutput]

# What replaces the value at an edge's place of the listing: (value, layer=l, step=t) -> value.
Hooks = Mapping[Edge, Callable[..., Tensor]]

NO_HOOKS: Hooks = MappingProxyType({})

LAYERS: dict[Path, Layer] = {
    Path.REFERENCE: reference_layer,
    Path.LOOPED: looped_layer,
    Path.FUSED: fused_layer,
}


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
    value, states, cells = x_TBD, [], []
    for number, layer_weights in enumerate(weights):
        layer_of = LAYERS[path]
        if hooks:
            layer_of = partial(reference_layer, hooks=_layer_hooks(hooks, number, len(weights)))
        # A hook at an edge sees what the edge dropped, so that nothing may move into a weight.
        factors = layer_factors(
            placement,
            number,
            window,
            inputs=value.shape[-1],
            hidden=layer_weights.hidden,
            fold=not hooks,
        )
        out = layer_of(value, (state[0][number], state[1][number]), layer_weights, factors)
        value = out.y_TBH
        states.append(out.s_BH)
        cells.append(out.c_BH)
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
    drop = placement.get(edge)
    if drop is None:
        return x_TBU
    if window.mode is Mode.MEAN:
        mean = mean_factor(drop, drop.rate_of(0))
        return x_TBU if mean == 1.0 else x_TBU * mean
    mask = activation_mask(drop, edge, layer, 0, x_TBU.shape[-1], window, tokens_TB=tokens_TB)
    return x_TBU * mask[:, :, 0]
