"""Mistakes that are easy to make with other cells, two directions and rows that end."""

from functools import wraps

import torch
from mutants.mutant import Function

from ablate.engine import sites


def recurrent_bias_outside(biases: Function) -> Function:
    """Add b_hh to what a GRU makes of its input, so that the reset gate does not multiply it."""

    @wraps(biases)
    def wrong(self, cell):
        given = biases(self, cell)
        return (sum(given), torch.zeros_like(given[1])) if len(given) > 1 else given

    return wrong


def going_on_in_padding(factors: Function) -> Function:
    """Let the state of a row that has ended go on over its padding."""

    @wraps(factors)
    def wrong(self, layer, value_TBX):
        made = factors(self, layer, value_TBX)
        return {site: factor for site, factor in made.items() if site != sites.END_HOLD}

    return wrong


def turned_with_its_padding(turned: Function) -> Function:
    """Turn the whole window around, so that the backward direction begins in the padding."""

    @wraps(turned)
    def wrong(self, value_TBX):
        return value_TBX.flip(0) if self.number else value_TBX

    return wrong


def one_for_both_directions(address: Function) -> Function:
    """Leave the direction out of a mask's address."""

    @wraps(address)
    def wrong(self, edge, layer, sharing):
        made = address(self, edge, layer, sharing)
        object.__setattr__(made, "direction", 0)
        return made

    return wrong
