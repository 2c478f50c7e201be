"""The bugs of the field in what a mask meets: which tensor, which layer, which pass.

Every function here takes what was shipped and gives it back with one mistake, made where the engine
would make it: in the slot that a factor takes, or in what is multiplied.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from mutants.mutant import Function

from ablate.edges import Edge
from ablate.engine.factors import Slot
from ablate.engine.plan import Mode
from ablate.placement import Placement

_HOLDS = (Slot.STATE_HOLD, Slot.HIDDEN_HOLD, Slot.CELL_HOLD, Slot.CARRY_HOLD)


def weights_dropped_in_evaluation(layer_factors: Function) -> Function:
    """Toss WEIGHT's coins in the deterministic evaluation too."""

    @wraps(layer_factors)
    def wrong(placement, layer, window, **sizes):
        factors = layer_factors(placement, layer, window, **sizes)
        if window.mode is Mode.TRAIN or Edge.WEIGHT not in placement:
            return factors
        alone = Placement({Edge.WEIGHT: placement[Edge.WEIGHT]})
        tossed = layer_factors(alone, layer, replace(window, mode=Mode.TRAIN), **sizes)
        return {**factors, **tossed}

    return wrong


def overwritten(masked: Function) -> Function:
    """Write the masked weight over the weight."""

    @wraps(masked)
    def wrong(weight, factor):
        if factor is not None:
            with torch.no_grad():
                weight.unflatten(-2, (4, -1)).mul_(factor)
        return weight

    return wrong


def unseen_by_backward(multiply: Function) -> Function:
    """Mask the value of the first argument and leave its gradient whole."""

    @wraps(multiply)
    def wrong(value, *rest, **options):
        with torch.no_grad():
            dropped = multiply(value, *rest, **options)
        return value + (dropped - value).detach()

    return wrong


def input_unseen(read_input: Function) -> Function:
    """Mask the input of the looped path's projection behind autograd's back."""

    @wraps(read_input)
    def wrong(x, factor):
        if factor is None or factor.shape[3] > 1:
            return read_input(x, factor)
        dropped = x.detach() * factor[:, :, :, 0]
        return read_input(x + (dropped - x).detach(), None)

    return wrong


def derived_without_masks(backward: Function) -> Function:
    """Run the hand-written backward pass as if nothing had been dropped in the loop."""
    before_the_factors = 11

    @wraps(backward)
    def wrong(*arguments):
        given, factors = arguments[:before_the_factors], arguments[before_the_factors:]
        return backward(*given, *(torch.ones_like(factor) for factor in factors))

    return wrong


def factors_moved(move: Callable[[dict[Slot, Any], Any], None]) -> Callable[[Function], Function]:
    """Change a layer's table of factors, slot by slot; `move` also learns the mode."""

    def make(layer_factors: Function) -> Function:
        @wraps(layer_factors)
        def wrong(placement, layer, window, **sizes):
            factors = dict(layer_factors(placement, layer, window, **sizes))
            move(factors, window.mode)
            return factors

        return wrong

    return make


@factors_moved
def recurrent_goes_up(factors, mode):
    """Drop h as it is written, so that the layer above misses it too."""
    if Slot.RECURRENT in factors:
        factors[Slot.HIDDEN] = factors.pop(Slot.RECURRENT)[:, :, :1]


@factors_moved
def recurrent_hits_the_cell(factors, mode):
    """Drop both parts of the state, h and c."""
    if Slot.RECURRENT in factors:
        factors[Slot.BEGIN] = factors[Slot.RECURRENT][:, :, :1]


@factors_moved
def held_below_only(factors, mode):
    """Hold h in the state alone; the layer above sees the new one."""
    if Slot.HIDDEN_HOLD in factors:
        factors[Slot.STATE_HOLD] = factors.pop(Slot.HIDDEN_HOLD)


@factors_moved
def mixed_by_keeping(factors, mode):
    """Mix (1 - p) old + p new in the deterministic evaluation."""
    if mode is Mode.MEAN:
        factors.update({slot: 1.0 - factors[slot] for slot in _HOLDS if slot in factors})


def inputs_apart_beside_recurrent(layer_factors: Function) -> Function:
    """Give each gate its own mask of the input as soon as RECURRENT drops."""

    @wraps(layer_factors)
    def wrong(placement, layer, window, **sizes):
        if Edge.RECURRENT in placement:
            apart = {
                edge: replace(drop, sharing=replace(drop.shared, gate=1))
                for edge, drop in placement.items()
                if edge in Edge.INPUT | Edge.INTERLAYER
            }
            placement = Placement({**placement, **apart})
        return layer_factors(placement, layer, window, **sizes)

    return wrong


def without_the_top(drop_sequences: Function) -> Function:
    """Lose OUTPUT's mask."""

    @wraps(drop_sequences)
    def wrong(x_KTBU, edge, *rest, **options):
        return x_KTBU if edge is Edge.OUTPUT else drop_sequences(x_KTBU, edge, *rest, **options)

    return wrong


def without_inputs_masks(layer: Function) -> Function:
    """Lose the masks of a layer's input on this path alone."""

    @wraps(layer)
    def wrong(x_KTBD, state, weights, factors, *rest, **options):
        kept = {slot: factor for slot, factor in factors.items() if slot is not Slot.INPUT}
        return layer(x_KTBD, state, weights, kept, *rest, **options)

    return wrong
