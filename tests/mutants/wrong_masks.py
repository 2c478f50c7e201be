"""The bugs of the field in what a mask is: which coins it samples, for whom, and at which scale."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from mutants.mutant import Function

from ablate.addresses import Purpose
from ablate.drops import ALL, Fill
from ablate.noise import BERNOULLI


def sharing_made(change: Callable[[Any], dict[str, Any]]) -> Callable[[Function], Function]:
    """Share an activation's masks otherwise; weights' masks and other words stay as they are."""

    def make(coordinates: Function) -> Function:
        @wraps(coordinates)
        def wrong(cls, addresses, sharings, **sizes):
            if addresses[0].purpose is Purpose.MASK and sharings[0].source is None:
                sharings = [replace(own, **change(own)) for own in sharings]
            return coordinates(cls, addresses, sharings, **sizes)

        return wrong

    return make


time_and_batch_exchanged = sharing_made(lambda s: {"time": s.batch, "batch": s.time})
one_for_the_batch = sharing_made(lambda s: {"batch": ALL})
the_same_each_step = sharing_made(lambda s: {"time": ALL})


def the_same_each_window(given: Function) -> Function:
    """Leave the update's number out of the address."""

    @wraps(given)
    def wrong(self, updates_K, tokens_TB=None):
        return given(self, torch.zeros_like(updates_K), tokens_TB)

    return wrong


def never_again(draw: Function) -> Function:
    """Take what a table sampled first for every window that follows; words are dropped as ever."""
    kept: dict[int, tuple[Any, Any]] = {}

    @wraps(draw)
    def wrong(self, clock, tokens_TB=None):
        if tokens_TB is not None:
            return draw(self, clock, tokens_TB)
        # The table stays beside what it drew: no other one can come by its number.
        return kept.setdefault(id(self), (self, draw(self, clock)))[1]

    return wrong


def by_position(draw: Function) -> Function:
    """Decide anew at each place of the text, whatever word stands there."""

    @wraps(draw)
    def wrong(self, clock, tokens_TB=None):
        if tokens_TB is not None:
            tokens_TB = torch.arange(tokens_TB.numel()).view_as(tokens_TB)
        return draw(self, clock, tokens_TB)

    return wrong


def by_keeping(table: Function) -> Function:
    """Take the rate for the probability of keeping."""

    @wraps(table)
    def wrong(cls, at, noise, rates, divided, **kinds):
        return table(cls, at, noise, [1.0 - rate for rate in rates], divided, **kinds)

    return wrong


def mixed_by_keeping(mean_masks: Function) -> Function:
    """Take HOLD's rate for the probability of the new value in the deterministic evaluation."""

    def kept(own):
        held = own is not None and own.drop.fill is Fill.HOLD
        return own._replace(rate=1.0 - own.rate) if held else own

    @wraps(mean_masks)
    def wrong(edge, acting, window, **options):
        return mean_masks(edge, [kept(own) for own in acting], window, **options)

    return wrong


def never_scaled(table: Function) -> Function:
    """Leave out the division by 1 - p in training, where evaluation counts on it."""

    @wraps(table)
    def wrong(cls, at, noise, rates, divided, **kinds):
        return table(cls, at, noise, rates, [False for _ in divided], **kinds)

    return wrong


def scaled_twice(draw: Function) -> Function:
    """Divide by 1 - p once more."""

    @wraps(draw)
    def wrong(self, clock, tokens_TB=None):
        drawn = draw(self, clock, tokens_TB)
        return drawn * self.scale_K.view(-1, 1, 1, 1, 1) if self.noise == BERNOULLI else drawn

    return wrong


def scaled_in_evaluation_too(mean_factor: Function) -> Function:
    """Multiply by 1 - p in evaluation what training has already divided by it."""

    @wraps(mean_factor)
    def wrong(drop, rate):
        return 1.0 - rate

    return wrong
