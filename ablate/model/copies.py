"""Which stack a deep copy of a module draws, so that a model made of copies does not drop alike.

A module and its copies are a lineage, which counts its copies. The n-th copy has the stack s ^ r(n)
of a module of stack s, where r turns the eight bits around: 128, 64, 192, 32, ... for stack 0. So
copies keep clear of the small stacks that are given by hand, and those of different stacks below 8
keep clear of each other for 31 copies each. After 255 copies all stacks are taken, and the seed
moves too, so that no program ends because it made one copy more.

The count depends on the order of the copies alone: the same program draws the same stacks. A pickle
holds stack and count as they are; a shallow copy shares its weights and keeps the stack.
"""

import contextlib
import copy
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ablate.masks import LIMITS

_STACKS = LIMITS["stack"]
_BITS = _STACKS.bit_length() - 1
# Odd, so that every number of a copy moves the seed to another one; 2**32 over the golden ratio.
_SEED_STEP = 0x9E3779B9

_keeps: ContextVar[bool] = ContextVar("ablate_keeps_stacks", default=False)

AModule = TypeVar("AModule", bound=nn.Module)


@dataclass(eq=False)
class Lineage:
    """A module and all copies of it: the stack they started from, and how many there were."""

    stack: int
    copies: int = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Lineage":
        """Itself: a module and its copies count together."""
        return self

    def next(self, seed: int) -> tuple[int, int]:
        """Seed and stack of the next copy of a module with `seed`."""
        self.copies += 1
        return place_of_copy(seed, self.stack, self.copies)


def place_of_copy(seed: int, stack: int, number: int) -> tuple[int, int]:
    """Seed and stack of the `number`-th copy, from 1, of a module of this seed and stack."""
    turned = int(f"{number % _STACKS:0{_BITS}b}"[::-1], 2)
    if number >= _STACKS:
        seed = (seed + number * _SEED_STEP) % LIMITS["seed"]
    return seed, stack ^ turned


@contextlib.contextmanager
def same_stacks() -> Iterator[None]:
    """Let deep copies that are made in this block keep the stacks of what they copy.

    For whoever repeats a call on a copy, and for two copies that are compared mask by mask.
    """
    token = _keeps.set(True)
    try:
        yield
    finally:
        _keeps.reset(token)


def keeps_stacks() -> bool:
    """Whether a deep copy made now keeps its stack."""
    return _keeps.get()


def duplicate(module: AModule, memo: dict[int, Any]) -> AModule:
    """What `copy.deepcopy` makes of a module whose class says nothing about copying."""
    made = module.__new__(type(module))
    memo[id(module)] = made
    # A parametrized module refuses to give its state, so that nobody pickles it.
    state = module.__dict__ if is_parametrized(module) else module.__getstate__()
    made.__setstate__(copy.deepcopy(state, memo))
    return made
