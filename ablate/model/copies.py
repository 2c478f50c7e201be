"""The stack of a deep copy: the layers of a model made of copies must sample different masks.

A module and its copies form a lineage, which counts the copies. The n-th copy of a module with
stack s has the stack s ^ r(n), where r reverses the eight bits: 128, 64, 192, 32, ... for stack 0.
Copies thus avoid the small stacks that users set, and copies of two stacks below 8 do not collide
for the first 31 copies of each. After 255 copies all stacks are taken, and the seed changes too: a
program never fails because of one more copy.

The count depends only on the order of the copies: the same program gets the same stacks. A pickle
keeps stack and count; a shallow copy shares its weights and keeps the stack. A module that is given
another stack, by `stack` or `load_mask_state`, begins a lineage of its own.
"""

import contextlib
import copy
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ablate.addresses import LIMITS

_STACKS = LIMITS["stack"]
_BITS = _STACKS.bit_length() - 1
# 2**32 over the golden ratio; odd, so each copy number gives a different seed modulo a power of 2.
_SEED_STEP = 0x9E3779B9

_keeps: ContextVar[bool] = ContextVar("ablate_keeps_stacks", default=False)

AModule = TypeVar("AModule", bound=nn.Module)


@dataclass(eq=False)
class Lineage:
    """A module and all its copies: the first stack, and the number of copies so far."""

    stack: int
    copies: int = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Lineage":
        """Return self: a module and its copies share one count."""
        return self

    def next(self, seed: int) -> tuple[int, int]:
        """Seed and stack of the next copy of a module with `seed`."""
        self.copies += 1
        return place_of_copy(seed, self.stack, self.copies)


def place_of_copy(seed: int, stack: int, number: int) -> tuple[int, int]:
    """Seed and stack of the `number`-th copy, from 1, of a module of this seed and stack."""
    # Bit reversal: the first copies get the stacks that differ in the highest bits.
    turned = int(f"{number % _STACKS:0{_BITS}b}"[::-1], 2)
    if number >= _STACKS:
        seed = (seed + number * _SEED_STEP) % LIMITS["seed"]
    return seed, stack ^ turned


@contextlib.contextmanager
def same_stacks() -> Iterator[None]:
    """Let deep copies made in this block keep the stack of the original.

    For repeating a call on a copy, and for comparing two copies mask by mask.
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
    """The result of `copy.deepcopy` for a module whose class does not define copying."""
    made = module.__new__(type(module))
    memo[id(module)] = made
    # A parametrized module forbids pickling, so `__getstate__` raises.
    state = module.__dict__ if is_parametrized(module) else module.__getstate__()
    made.__setstate__(copy.deepcopy(state, memo))
    return made
