"""The bugs of the field in what a mask meets: which tensor, which layer, which pass.

Every function here takes what was shipped and gives it back with one mistake, made where the engine
would make it: in the site that a factor takes, or in what is multiplied.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from mutants.mutant import Function

from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.plan import Mode
from ablate.engine.sites import Site, site_of
from ablate.engine.step import Multiply
from ablate.engine.window import MaskSpec
from ablate.placement import Placement


def sampled_in_evaluation(edges: Edge) -> Callable[[Function], Function]:
    """Sample the masks of these edges in the deterministic evaluation too."""

    def make(net_masks: Function) -> Function:
        @wraps(net_masks)
        def wrong(cls, trials, **options):
            masks = net_masks(cls, trials, **options)
            if trials[0].window.mode is Mode.TRAIN:
                return masks
            trained = [
                MaskSpec(placement & edges, replace(window, mode=Mode.TRAIN))
                for placement, window in trials
            ]
            sampled = net_masks(cls, trained, **options)
            both = zip(masks.layers, sampled.layers, strict=True)
            return replace(masks, layers=tuple(mean + drawn for mean, drawn in both))

        return wrong

    return make


weights_dropped_in_evaluation = sampled_in_evaluation(Edge.WEIGHT)
inputs_dropped_in_evaluation = sampled_in_evaluation(Edge.INPUT | Edge.INTERLAYER)


def overwritten(masked: Function) -> Function:
    """Write the masked weight over the weight."""

    @wraps(masked)
    def wrong(weight, factor, gates):
        if factor is not None:
            with torch.no_grad():
                weight.unflatten(-2, (gates, -1)).mul_(factor)
        return weight

    return wrong


def unseen_by_backward(at: int) -> Callable[[Function], Function]:
    """Mask the value of the argument at this place and leave its gradient whole."""

    def make(multiply: Function) -> Function:
        @wraps(multiply)
        def wrong(*given, **options):
            with torch.no_grad():
                dropped = multiply(*given, **options)
            return given[at] + (dropped - given[at]).detach()

        return wrong

    return make


def input_unseen(read_input: Function) -> Function:
    """Mask the input of the looped path's projection behind autograd's back."""

    @wraps(read_input)
    def wrong(x, factor):
        if factor is None or factor.shape[3] > 1:
            return read_input(x, factor)
        dropped = x.detach() * factor[:, :, :, 0]
        return read_input(x + (dropped - x).detach(), None)

    return wrong


def state_unseen(read: Function) -> Function:
    """Mask what the looped path's products read of the state behind autograd's back."""

    @wraps(read)
    def wrong(self, factor, s):
        whole = s.unsqueeze(1) if self.apart else s
        dropped = read(self, factor, s.detach())
        return (whole + (dropped - whole).detach()).to(self.product)

    return wrong


def derived_without_masks(kernels: Function) -> Function:
    """Run a step's derived backward pass as if nothing had been dropped in the loop."""

    @wraps(kernels)
    def wrong(kind):
        step = kernels(kind)
        # Projection, product, the state's parts and biases stand before factors, and a gradient for
        # each output before what the backward half reads.
        first = 2 + len(kind.cell.state) + kind.biases
        factors = {len(step.places) + k for k, place in enumerate(step.reads) if place >= first}

        def backward(*given):
            return step.backward(
                *(torch.ones_like(x) if k in factors else x for k, x in enumerate(given))
            )

        return step._replace(backward=backward)

    return wrong


def factors_moved(move: Callable[[dict[Site, Any]], None]) -> Callable[[Function], Function]:
    """Change a layer's table of factors, site by site."""

    def make(factors_of: Function) -> Function:
        @wraps(factors_of)
        def wrong(self, layer):
            factors = dict(factors_of(self, layer))
            move(factors)
            return factors

        return wrong

    return make


@factors_moved
def recurrent_goes_up(factors):
    """Drop h as it is written, so that the layer above misses it too."""
    if sites.RECURRENT in factors:
        factors[site_of(Edge.HIDDEN)] = factors.pop(sites.RECURRENT)[:, :, :, :1]


@factors_moved
def recurrent_hits_the_cell(factors):
    """Drop both parts of the state, h and c."""
    if sites.RECURRENT in factors:
        factors[sites.BEGIN] = factors[sites.RECURRENT][:, :, :, :1]


@factors_moved
def held_below_only(factors):
    """Hold h in the state alone; the layer above sees the new one."""
    if site_of(Edge.HIDDEN, Fill.HOLD) in factors:
        factors[sites.STATE_HOLD] = factors.pop(site_of(Edge.HIDDEN, Fill.HOLD))


def new_goes_up(step: Function) -> Function:
    """Hand the new h to the layer above, whatever is held of it in the state."""

    @wraps(step)
    def wrong(cell, z, s, rest, at):
        table = {
            site: own
            for site, own in at._factors.items()
            if site != site_of(Edge.HIDDEN, Fill.HOLD)
        }
        free = step(cell, z, s, rest, Multiply(table))
        return step(cell, z, s, rest, at)._replace(h=free.h)

    return wrong


def apart_beside_recurrent(edges: Edge) -> Callable[[Function], Function]:
    """Give each gate its own mask at these edges as soon as RECURRENT drops."""

    def apart(placement):
        if Edge.RECURRENT not in placement:
            return placement
        untied = {
            edge: replace(drop, sharing=replace(drop.shared, gate=1))
            for edge, drop in placement.items()
            if edge in edges
        }
        return Placement({**placement, **untied})

    def make(net_masks: Function) -> Function:
        @wraps(net_masks)
        def wrong(cls, trials, **options):
            trials = [MaskSpec(apart(placement), window) for placement, window in trials]
            return net_masks(cls, trials, **options)

        return wrong

    return make


inputs_apart_beside_recurrent = apart_beside_recurrent(Edge.INPUT | Edge.INTERLAYER)
recurrent_apart = apart_beside_recurrent(Edge.RECURRENT)


def new_and_old_exchanged(held: Function) -> Function:
    """Give the old value the weight of the new one: hold as often as the rate says not to."""

    @wraps(held)
    def wrong(self, site, new, old):
        weight = self._factors.get(site)
        return new if weight is None else weight * old + (1.0 - weight) * new

    return wrong


def without_the_top(drop_output: Function) -> Function:
    """Lose OUTPUT's mask."""

    @wraps(drop_output)
    def wrong(self, y_KTBH):
        return y_KTBH

    return wrong


def without_inputs_masks(layer: Function) -> Function:
    """Lose the masks of a layer's input on this path alone."""

    @wraps(layer)
    def wrong(x_KTBD, state, weights, factors, *, cell):
        kept = {site: factor for site, factor in factors.items() if site != sites.INPUT}
        return layer(x_KTBD, state, weights, kept, cell=cell)

    return wrong
