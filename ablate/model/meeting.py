"""A warning, once for each model, when two of its modules sample the same masks.

Equal seed and stack are right for two models in a paired comparison, and a mistake within one
model. Two modules meet if one outer module calls both, or if one backward pass reaches both. Two
models that are called and trained in turn never meet, nor does one module that is called twice.
Only sampling calls in training count, and only edges that both modules drop.
"""

import sys
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, ref

import torch
from torch import Tensor, nn

from ablate.addresses import LIMITS
from ablate.edges import Edge
from ablate.model.masked import Masked, living
from ablate.model.telling import tell


@dataclass(frozen=True, slots=True)
class Call:
    """The update of a call, and whether the caller passed it."""

    update: int
    named: bool

    def may_share(self, other: "Call") -> bool:
        """Whether two calls may have the same update; two counted updates can drift into it."""
        return self.update == other.update or not (self.named or other.named)


_Calls = MutableMapping[Masked, Call]

_CALL: Final = nn.Module._call_impl.__code__

# The modules that sampled during a call, by the outermost module of that call.
_within: WeakKeyDictionary[nn.Module, _Calls] = WeakKeyDictionary()
# Modules, and models containing them, that a warning has already named.
_told: WeakSet[nn.Module] = WeakSet()


class _Pass:
    """The running backward pass, and the modules that it has reached."""

    number: ClassVar[int] = -1
    reached: ClassVar[_Calls] = WeakKeyDictionary()


def watch(module: Masked, call: Call, outputs: Iterable[Tensor]) -> None:
    """Check whether `module` meets another that samples the same masks, now and in backward."""
    if not any(_alike(module, other) for other in living()):
        return
    owner = _outermost()
    if owner is not None and owner is not module:
        calls = _within.setdefault(owner, WeakKeyDictionary())
        _look(module, call, calls, owner)
        calls[module] = call
    for output in outputs:
        if output.requires_grad:
            output.register_hook(partial(_reach, ref(module), call))


def _reach(module: ReferenceType[Masked], call: Call, gradient: Tensor) -> None:
    # The id differs for each backward pass; it is -1 outside of one.
    number, found = torch._C._current_graph_task_id(), module()
    if found is None or number == -1:
        return
    if number != _Pass.number:
        _Pass.number, _Pass.reached = number, WeakKeyDictionary()
    _look(found, call, _Pass.reached, None)
    _Pass.reached[found] = call


def _look(module: Masked, call: Call, calls: _Calls, owner: nn.Module | None) -> None:
    for other, earlier in list(calls.items()):
        if not (_alike(module, other) and call.may_share(earlier)):
            continue
        names = None if owner is None else _names(owner, other, module)
        if owner is not None and names is None:
            continue
        concerned = [module, other] if owner is None else [module, other, owner]
        if not any(each in _told for each in concerned):
            tell(_words(other, module, owner, names))
        _told.update(concerned)


def _alike(module: Masked, other: Masked) -> bool:
    """Whether two modules' masks have the same address at some edge."""
    if module is other or (module.seed, module.stack) != (other.seed, other.stack):
        return False
    return bool(module.sampling & other.sampling)


def _outermost() -> nn.Module | None:
    """The outermost module that is being called in this thread."""
    # Walk up the stack; the last frame of nn.Module's call is the outermost.
    frame, found = sys._getframe(1), None
    while frame is not None:
        found = frame if frame.f_code is _CALL else found
        frame = frame.f_back
    return None if found is None else found.f_locals["self"]


def _names(owner: nn.Module, *modules: nn.Module) -> list[str] | None:
    """The modules' names in `owner`; None unless it contains all of them.

    A part of a model that has one stack for all its parts is named as that model.
    """
    names = {module: name for name, module in owner.named_modules()}
    if not all(module in names for module in modules):
        return None
    found = []
    for name in (names[module] for module in modules):
        above = name.rpartition(".")[0]
        whole = above and hasattr(owner.get_submodule(above), "mask_state")
        found.append(above if whole else name)
    return found


def _words(first: Masked, second: Masked, owner: nn.Module | None, names: list[str] | None) -> str:
    shared = Edge(0)
    for edge, _ in first.sampling & second.sampling:
        shared |= edge
    both = (
        f"both have seed {first.seed} and stack {first.stack}, so that they sample the same masks "
        f"at {shared.label}; give one of them a stack of its own:"
    )
    taken = {each.stack for each in living() if each.seed == first.seed}
    free = next((stack for stack in range(LIMITS["stack"]) if stack not in taken), 0)
    if owner is None or names is None:
        kinds = f"{type(first).__name__} and {type(second).__name__}"
        return f"one backward pass reaches {kinds} that {both} `second.stack = {free}`"
    return (
        f"'{names[0]}' and '{names[1]}' of {type(owner).__name__} {both} "
        f"`model.get_submodule({names[1]!r}).stack = {free}`"
    )
