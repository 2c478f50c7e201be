"""Layers on top of each other under a placement, or under K placements side by side, a cohort.

A trial never knows its companions: see `factors`. On the CPU products are taken so that in float32
a trial has equal bits alone and in a cohort.

Shapes: K trials, T time, B batch, D input, H hidden, L layers; X is H, or 2H of two directions.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ablate.cells import LSTM, Cell
from ablate.edges import Edge, layers_of
from ablate.engine.layers.direction import Direction, until
from ablate.engine.layers.library import library_layer
from ablate.engine.layers.looped import looped_layer
from ablate.engine.layers.reference import LayerHooks, LayerOutput, LayerWeights, reference_layer
from ablate.engine.masks.net import NetMasks
from ablate.engine.plan import Path
from ablate.engine.sites import Factors
from ablate.engine.window import Window
from ablate.placement import Placement

# The parts of the cell's state: s, which the gates read, first.
State = tuple[Tensor, ...]

# What replaces the value at an edge's place of the listing:
# (value, layer=l, step=t, direction=d) -> value.
Hooks = Mapping[Edge, Callable[..., Tensor]]

NO_HOOKS: Hooks = MappingProxyType({})

_LAYERS: Final[dict[Path, Callable[..., LayerOutput]]] = {
    Path.LOOPED: looped_layer,
    Path.LIBRARY: library_layer,
}


class StackOutput(NamedTuple):
    """The top layer's sequence (OUTPUT applied) and the state handed on, each part [L, B, H]."""

    y_TBX: Tensor
    state: State


class CohortOutput(NamedTuple):
    """The top layers' sequences (OUTPUT applied) and the states, each part [L, K, B, H]."""

    y_KTBH: Tensor
    state: State


def run_cohort(
    x_KTBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    masks: NetMasks,
    path: Path = Path.LOOPED,
    *,
    cell: Cell = LSTM,
) -> CohortOutput:
    """Run all layers of K trials over a window; each part of `state` is [L, K, B, H].

    `weights` are each layer's, with K in front. EMBEDDING is its owner's to apply.
    """
    value, states = x_KTBD, []
    for number, layer_weights in enumerate(weights):
        given = tuple(part[number] for part in state)
        out = _LAYERS[path](value, given, layer_weights, masks.factors(number), cell=cell)
        value = out.y_TBH
        states.append(out.state)
    return CohortOutput(masks.drop_output(value), _stacked(states))


def run_stack(
    x_TBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    placement: Placement | tuple[Placement, Placement],
    window: Window,
    path: Path = Path.LOOPED,
    hooks: Hooks = NO_HOOKS,
    *,
    cell: Cell = LSTM,
    lengths_B: Tensor | None = None,
) -> StackOutput:
    """Run all layers over a window; each part of `state` is [L, B, H].

    Two placements are those of two directions, forward and backward: weights and state then have
    both of a layer in this order, a layer reads both outputs below it side by side, and so is
    y_TBX. Where rows end at `lengths_B` (int64) nothing after a row's end is read, the output is 0
    there, and the state handed on is that after the row's own last step.
    OUTPUT drops the sequence that is returned, not the state. EMBEDDING is its owner's to apply.
    `hooks` run on the reference path, whatever `path` says, and rows that end on the looped one.
    """
    placements = placement if isinstance(placement, tuple) else (placement,)
    both = [
        Direction.of(
            number,
            own,
            window,
            lengths_B,
            inputs=x_TBD.shape[-1],
            hidden=weights[0].hidden,
            layers=len(weights) // len(placements),
            directions=len(placements),
            cell=cell,
            # A hook at an edge sees what the edge dropped, so that nothing may move into a weight.
            fold=not hooks,
        )
        for number, own in enumerate(placements)
    ]
    path = Path.REFERENCE if hooks else path
    # No library's own layer stops where a row does.
    path = Path.LOOPED if path is Path.LIBRARY and lengths_B is not None else path
    value, states = until(x_TBD, lengths_B), []
    for layer in range(len(weights) // len(both)):
        outputs = []
        for own in both:
            place = len(states)
            given = tuple(part[place] for part in state)
            factors = own.factors(layer, value)
            hooked = _layer_hooks(hooks, layer, len(weights) // len(both), own.number)
            x, of_layer = own.turned(value), weights[place]
            if path is Path.REFERENCE:
                factors = {site: factor[0] for site, factor in factors.items()}
                out = reference_layer(x, given, of_layer, factors, hooked, cell=cell)
            else:
                out = _alone(_LAYERS[path], x, given, of_layer, factors, cell)
            outputs.append(own.turned(out.y_TBH))
            states.append(out.state)
        value = until(_side_by_side(outputs), lengths_B)
    halves = zip(both, value.chunk(len(both), dim=-1), strict=True)
    value = _side_by_side([own.masks.drop_output(half[None])[0] for own, half in halves])
    if Edge.OUTPUT in hooks:
        top = len(weights) // len(both) - 1
        value = until(hooks[Edge.OUTPUT](value, layer=top, step=0, direction=0), lengths_B)
    return StackOutput(value, _stacked(states))


def _alone(
    run: Callable[..., LayerOutput],
    x_TBD: Tensor,
    state: State,
    weights: LayerWeights,
    factors: Factors,
    cell: Cell,
) -> LayerOutput:
    """A layer of one trial: a cohort of one."""
    parts = tuple(part.unsqueeze(0) for part in state)
    biases = (bias if bias is None else bias.unsqueeze(0) for bias in (weights.b_ih, weights.b_hh))
    own = LayerWeights(weights.w_ih.unsqueeze(0), weights.w_hh.unsqueeze(0), *biases)
    out = run(x_TBD.unsqueeze(0), parts, own, factors, cell=cell)
    return LayerOutput(out.y_TBH.squeeze(0), tuple(part.squeeze(0) for part in out.state))


def _side_by_side(outputs: Sequence[Tensor]) -> Tensor:
    return outputs[0] if len(outputs) == 1 else torch.cat(list(outputs), dim=-1)


def _stacked(states: Sequence[State]) -> State:
    """Each part of the layers' states as one tensor, the layers in front."""
    return tuple(torch.stack(parts) for parts in zip(*states, strict=True))


def _layer_hooks(hooks: Hooks, layer: int, layers: int, direction: int) -> LayerHooks:
    """The hooks that act at `layer`; INTERLAYER's is its INPUT."""
    return {
        Edge.INPUT if edge is Edge.INTERLAYER else edge: partial(
            hook, layer=layer, direction=direction
        )
        for edge, hook in hooks.items()
        if edge is not Edge.OUTPUT and layer in layers_of(edge, layers)
    }
