"""The bugs of the field in what a mask is: which coins it tosses, for whom, and at which scale."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

from mutants.mutant import Function

from ablate.drops import ALL, Fill, Scale
from ablate.masks import Purpose
from ablate.noise import BERNOULLI


def sharing_made(change: Callable[[Any], dict[str, Any]]) -> Callable[[Function], Function]:
    """Draw masks with another sharing; other words (initial weights) stay as they are."""

    def make(activation_words: Function) -> Function:
        @wraps(activation_words)
        def wrong(address, sharing, **rest):
            if address.purpose is Purpose.MASK:
                sharing = replace(sharing, **change(sharing))
            return activation_words(address, sharing, **rest)

        return wrong

    return make


time_and_batch_exchanged = sharing_made(lambda s: {"time": s.batch, "batch": s.time})
one_for_the_batch = sharing_made(lambda s: {"batch": ALL})
the_same_each_step = sharing_made(lambda s: {"time": ALL})
the_same_each_window = sharing_made(lambda s: {"update": ALL})


def by_position(activation_words: Function) -> Function:
    """Decide anew at each place of the text, whatever word stands there."""

    @wraps(activation_words)
    def wrong(address, sharing, *, tokens_TB=None, **rest):
        if tokens_TB is not None:
            sharing = replace(sharing, word=ALL, time=1)
        return activation_words(address, sharing, **rest)

    return wrong


def by_keeping(drawn: Function) -> Function:
    """Take the rate for the probability of keeping."""

    @wraps(drawn)
    def wrong(drop, rate, *rest):
        return drawn(drop, 1.0 - rate, *rest)

    return wrong


def never_scaled(drawn: Function) -> Function:
    """Leave out the division by 1 - p in training, where evaluation counts on it."""

    @wraps(drawn)
    def wrong(drop, rate, *rest):
        inverted = drop.noise == BERNOULLI and drop.scale is Scale.TRAIN
        return drawn(replace(drop, scale=Scale.TEST) if inverted else drop, rate, *rest)

    return wrong


def scaled_twice(drawn: Function) -> Function:
    """Divide by 1 - p once more."""

    @wraps(drawn)
    def wrong(drop, rate, *rest):
        inverted = drop.fill is Fill.ZERO and drop.scale is Scale.TRAIN
        return drawn(drop, rate, *rest) / (1.0 - rate if inverted else 1.0)

    return wrong


def scaled_in_evaluation_too(mean_factor: Function) -> Function:
    """Multiply by 1 - p in evaluation what training has already divided by it."""

    @wraps(mean_factor)
    def wrong(drop, rate):
        return 1.0 - rate

    return wrong
