"""The base of the modules: a placement, a seed, the number of the next update, and hooks.

A mask is a function of coordinates, so a module needs no generator. It keeps its seed, its stack,
and the number of counted updates. None of them is in `state_dict`, which stays that of the
`torch.nn` module.
"""

import operator
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Self
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ablate.addresses import LIMITS, check
from ablate.cells import Cell
from ablate.drops import ALL
from ablate.edges import Edge
from ablate.engine.capturing import refuse_capture
from ablate.engine.plan import Mode
from ablate.engine.window import Window
from ablate.errors import AblateError
from ablate.model.copies import Lineage, duplicate, keeps_stacks
from ablate.model.hooks import Hook
from ablate.model.placing import Placed, by_direction, checked_placements
from ablate.model.transforms import kind_of, refuse_script, refuse_tools
from ablate.placement import Placement


class Masked(nn.Module):
    """A module whose edges a placement drops; abstract.

    In training mode a call samples masks, in evaluation mode it takes the mean of each.
    `next_update` is the update of the next call without `update=`.
    """

    seed: int
    next_update: int
    lineage: Lineage

    def _place(self, placement: Placed | None, seed: int | None, stack: int) -> None:
        """Set the state of this class; the last statement of a constructor.

        A missing seed is drawn from torch's default generator after the weights, which are thus
        those of the `torch.nn` module under the same `torch.manual_seed`.
        """
        self._edge_hooks: OrderedDict[int, Hook] = OrderedDict()
        self.placement = placement
        self.stack = stack
        self.next_update = 0
        self.seed = drawn_seed() if seed is None else coordinate("seed", seed)
        _living.add(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _living.add(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that samples different masks: same seed and count, a new stack."""
        made = duplicate(self, memo)
        if not keeps_stacks():
            made.seed, made._stack = self.lineage.next(self.seed)
        return made

    @property
    def stack(self) -> int:
        """The number of this module among those of one seed; another one begins a new lineage."""
        return self._stack

    @stack.setter
    def stack(self, stack: int) -> None:
        stack = coordinate("stack", stack)
        if stack != getattr(self, "_stack", None):
            self._stack, self.lineage = stack, Lineage(stack)

    @property
    def owns(self) -> Edge:
        """The edges that the module has."""
        raise NotImplementedError

    @property
    def cell(self) -> Cell | None:
        """The equations that the module runs, or None."""
        return None

    @property
    def named_call(self) -> str:
        """A call with `update=`, for messages."""
        raise NotImplementedError

    @property
    def directions(self) -> int:
        """The number of directions in which the module reads a sequence."""
        return 1

    # Any, because the getter returns the type that was set.
    @property
    def placement(self) -> Any:
        """Where, how often and how this module drops; may be set between two calls.

        A Placement, or a pair (forward, backward) if a bidirectional module was given one.
        """
        return self._placement

    @placement.setter
    def placement(self, placement: Placed | None) -> None:
        placed = checked_placements(
            placement, self.owns, self.cell, directions=self.directions, kind=kind_of(self)
        )
        for each in by_direction(placed, self.directions):
            self._check_edges(each.edges)
        self._check_placed(placed)
        self._placement = placed

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The placement of each direction, forward first."""
        return by_direction(self._placement, self.directions)

    @property
    def sampling(self) -> frozenset[tuple[Edge, int]]:
        """The edges at which masks are sampled, with the direction in their addresses."""
        return frozenset(
            (edge, 0 if drop.shared.direction is ALL else direction)
            for direction, placement in enumerate(self.placements)
            for edge, drop in placement.items()
        )

    def _check_edges(self, edges: Edge) -> None:
        """Raise AblateError for an edge that another module owns."""
        raise NotImplementedError

    def _check_placed(self, placed: Placed) -> None:
        """Raise AblateError for drops that do not fit this module."""

    def __prepare_scriptable__(self) -> nn.Module:
        """Called by `torch.jit.script`; raises AblateError."""
        refuse_script(kind_of(self))
        return self

    def hook(self, edge: Edge, fn: Callable[..., Tensor]) -> RemovableHandle:
        """Add a hook `fn(value, *, layer, update) -> value` at an edge.

        It acts after the placement's drop, in training and in evaluation; hooks at one edge act in
        order of creation. A module with a hook takes the reference path, which is slow. The
        returned handle's `.remove()` removes the hook. `ablate.model.hooks` tabulates `value` at
        each edge, and the other keywords of `fn`.
        """
        if not isinstance(edge, Edge) or not edge:
            raise AblateError(
                f"a hook stands at an Edge such as Edge.RECURRENT, got {edge!r}", given=edge
            )
        self._check_edges(edge)
        handle = RemovableHandle(self._edge_hooks)
        self._edge_hooks[handle.id] = Hook.of(edge, fn)
        return handle

    def mask_state(self) -> dict[str, int]:
        """What a checkpoint needs besides `state_dict` to continue with the same masks."""
        return {"seed": self.seed, "update": self.next_update, "stack": self.stack}

    def load_mask_state(self, state: Mapping[str, int]) -> None:
        """Continue from a `mask_state`; raises AblateError for any other mapping."""
        names = ("seed", "update", "stack")
        if not isinstance(state, Mapping) or set(state) != set(names):
            got = ", ".join(map(str, state)) if isinstance(state, Mapping) else repr(state)
            raise AblateError(f"a mask state has seed, update and stack, got {got}", given=got)
        # All are checked before one is set.
        seed, update, stack = (coordinate(name, state[name]) for name in names)
        self.seed, self.next_update, self.stack = seed, update, stack

    def _window(
        self, time: int, batch: int, update: int, start: int, batch_offset: int, like: Tensor
    ) -> Window:
        """The window of a call; masks are made on the device and in the dtype of `like`."""
        return Window(
            seed=self.seed,
            update=update,
            time=time,
            batch=batch,
            start=coordinate("time", start),
            batch_offset=coordinate("batch", batch_offset),
            stack=self.stack,
            mode=Mode.TRAIN if self.training else Mode.MEAN,
            device=like.device,
            dtype=like.dtype,
        )

    @property
    def _acts(self) -> bool:
        """Whether two calls with different updates may differ."""
        return self.training and bool(any(self.placements) or self._edge_hooks)

    def _masks_repr(self) -> str:
        """The end of the module's repr; empty without dropout."""
        if not any(self.placements):
            return ""
        stack = f", stack={self.stack}" if self.stack else ""
        return f", placement={self._placement!r}, seed={self.seed}{stack}"


# Every module that may sample, to find two that sample the same masks.
_living: WeakSet[Masked] = WeakSet()


def living() -> tuple[Masked, ...]:
    """The modules that exist in this process."""
    return tuple(_living)


def drawn_seed() -> int:
    """A seed from torch's default generator."""
    # The device is explicit, because the default device may be `meta`, which holds no values.
    return int(torch.randint(LIMITS["seed"], (), device="cpu"))


def coordinate(name: str, value: int) -> int:
    """A coordinate of a mask's address; raises AblateError for an invalid value."""
    try:
        whole = operator.index(value)
    except TypeError:
        raise AblateError(
            f"a mask's {name} is a whole number, got {value!r}", given=value
        ) from None
    check(name, whole)
    return whole


def recomputing() -> bool:
    """Whether a backward pass is calling, as in activation checkpointing."""
    return torch._C._current_graph_task_id() != -1


def claim(module: Masked, update: int | None, *, start: int = 0, call: str | None = None) -> int:
    """The update of a call; raises AblateError if the call needs `update=` and lacks it.

    `call` is the call of the enclosing model, for messages.
    """
    if module._acts and getattr(module, "_is_replica", False):
        raise AblateError(
            "nn.DataParallel would give each replica the masks of the first rows and forget the "
            "count of updates; use DistributedDataParallel, with `batch_offset` the number of each "
            "process's first row"
        )
    if module._acts:
        refuse_capture()
        refuse_tools(kind_of(module))
    if update is not None:
        return coordinate("update", update)
    if module._acts and recomputing():
        raise AblateError(
            "this call recomputes an earlier one (activation checkpointing), and without `update` "
            "it would sample other masks; name it in the call that is checkpointed: "
            f"`torch.utils.checkpoint.checkpoint(lambda x: {call or module.named_call}, x, "
            "use_reentrant=False)`"
        )
    if module._acts and start:
        raise AblateError(
            f"a call with start={start} goes on with a sequence, and without `update` it would "
            "sample other masks than the steps before; give all calls of one sequence the same "
            "`update`"
        )
    return module.next_update


def advance(module: Masked, update: int | None) -> None:
    """Count an update without `update=`; recomputing one does not count it again."""
    if update is None and module.training and not recomputing():
        module.next_update += 1
