"""Checks of a recurrent module's arguments: options, input and state.

Shapes: T time, B batch, N steps of all rows, D input, H hidden, L layers times directions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ablate.engine.precision import autocasts
from ablate.errors import AblateError, UnknownName
from ablate.model.transforms import refuse_proxy

# A state in torch's form: (h, c), or h alone.
CallersState = Tensor | tuple[Tensor, ...]

# Options of torch's modules that these lack, with the value that leaves each unused.
_ABSENT: Final[Mapping[str, Any]] = {"dropout": 0.0, "proj_size": 0}

# The options of torch's module and ours, without those that a class adds.
_TAKEN: Final = (
    "input_size hidden_size num_layers bias batch_first bidirectional placement seed stack device "
    "dtype"
).split()

_WEIGHTS: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, slots=True)
class Called:
    """What an error says of a module: its class, a name for it in code, its sizes."""

    kind: str
    name: str
    inputs: int
    hidden: int
    layers: int
    directions: int


def check_options(
    given: Mapping[str, Any], adds: tuple[str, ...], kind: str, *, layers: int, width: int
) -> None:
    """Raise AblateError for a missing option, unless its value leaves it unused.

    `adds` are the options of the class `kind` beyond those of all recurrent modules. `width` is the
    width of the output.
    """
    for name, value in given.items():
        if name != "dropout" and name not in adds:
            taken = [*_TAKEN, *(each for each in adds if each not in _ABSENT)]
            raise UnknownName(f"option of {kind}", name, taken)
        if name not in _ABSENT or value == _ABSENT[name]:
            continue
        if name == "dropout":
            raise AblateError(_no_dropout(value, kind, layers))
        raise AblateError(
            f"{kind} has no projection inside the loop, got proj_size={value!r}; leave it out, or "
            "project what is returned, which is another net: "
            f"`y = torch.nn.Linear({width}, {value!r})(y)`"
        )


def _no_dropout(value: object, kind: str, layers: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        return f"{kind} takes its dropout as `placement`, at rates in [0, 1), got {value!r}"
    if layers == 1:
        return (
            f"dropout={value!r} does nothing in one layer, since torch's modules drop between "
            "layers; leave it out, or drop what is returned: "
            f"`ablate.Placement({{ablate.Edge.OUTPUT: ablate.Drop({value!r})}})` as `placement`"
        )
    return (
        f"dropout={value!r} is the placement "
        f"`ablate.Placement({{ablate.Edge.INTERLAYER: ablate.Drop({value!r})}})`; give that as "
        "`placement`"
    )


def one_of(kind: str, **given: Any) -> Any:
    """An argument under its name or under torch's, in this order; raises AblateError for both."""
    (name, own), (theirs, other) = given.items()
    if own is not None and other is not None:
        raise AblateError(
            f"{kind} got both {name} and {theirs}, which is torch's name for it; leave one out"
        )
    return other if own is None else own


def check_input(
    x: Tensor | PackedSequence, like: Tensor, called: Called
) -> Tensor | PackedSequence:
    """Return x in the dtype of a weight; raises AblateError if the module cannot read it.

    Another dtype is converted only under autocast.
    """
    if isinstance(x, PackedSequence):
        data_ND = _check_values(x.data, like, called)
        return PackedSequence(data_ND, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
    refuse_proxy(called.kind, x)
    if not isinstance(x, Tensor):
        raise AblateError(
            f"{called.kind} takes a tensor or a PackedSequence, got {type(x).__name__}",
            given=type(x).__name__,
        )
    if x.dim() not in (2, 3):
        raise AblateError(
            f"{called.kind} takes [T, B, D] ([B, T, D] with batch_first) or, without a batch, "
            f"[T, D]; got {x.dim()} dimensions, {tuple(x.shape)}",
            given=x.dim(),
        )
    return _check_values(x, like, called)


def _check_values(x: Tensor, like: Tensor, called: Called) -> Tensor:
    """Check width, device and dtype."""
    dtype = like.dtype
    if x.shape[-1] != called.inputs:
        raise AblateError(
            f"the input's last dimension is input_size={called.inputs}, got {x.shape[-1]} in "
            f"{tuple(x.shape)}",
            given=x.shape[-1],
        )
    if x.device != like.device:
        raise AblateError(
            f"the input is on {x.device} and the weights are on {like.device}; "
            f"{_moved(called.name, x.device, like.device)}"
        )
    if x.dtype != dtype and not autocasts(x.device):
        # Weights are real numbers of a common precision.
        other = f" or `{called.name}.to({x.dtype})`" if x.dtype in _WEIGHTS else ""
        raise AblateError(
            f"the input is {x.dtype} and the weights are {dtype}; convert "
            f"{'one of them' if other else 'it'}: `x = x.to({dtype})`{other}"
        )
    return x.to(dtype)


def _moved(name: str, given: torch.device, weights: torch.device) -> str:
    """How to bring input and weights to one device; a tensor on `meta` has no values to move."""
    if weights.type == "meta":
        return (
            f"give them values: `{name}.to_empty(device='{given}'); {name}.reset_parameters()`, or "
            "load them"
        )
    there = f"`{name}.to('{given}')`"
    if given.type == "meta":
        return f"the input has no values there, so move the weights: {there}"
    return f"move one of them: `x = x.to('{weights}')` or {there}"


def check_state(
    state: CallersState | None,
    names: tuple[str, ...],
    called: Called,
    x_TBD: Tensor,
    *,
    batch: bool,
) -> tuple[Tensor, ...]:
    """Return the parts of a state as [L, B, H] each, in the dtype of the input, zeros by default.

    `names` are the names of the parts; a state of one part is that tensor. `batch` says whether the
    caller's tensors have a batch axis. Raises AblateError for a state that does not fit.
    """
    layers, rows = called.layers * called.directions, x_TBD.shape[1]
    if state is None:
        zeros = x_TBD.new_zeros(layers, rows, called.hidden)
        return (zeros,) * len(names)
    parts = _parts(state, names, called.kind)
    expected = (layers, rows, called.hidden) if batch else (layers, called.hidden)
    for name, value in zip(names, parts, strict=True):
        if not isinstance(value, Tensor) or tuple(value.shape) != expected:
            got = tuple(value.shape) if isinstance(value, Tensor) else repr(value)
            letters = "[2 L, " if called.directions == 2 else "[L, "
            letters += "B, H]" if batch else "H], as the input has no batch"
            raise AblateError(
                f"{name} of the state is {letters}, here {expected}, got {got}", given=got
            )
        if value.device != x_TBD.device:
            zeros = ", ".join([f"torch.zeros({expected}, device='{x_TBD.device}')"] * len(names))
            raise AblateError(
                f"{name} of the state is on {value.device} and the input on {x_TBD.device}; make "
                f"both on one device, such as `state = {zeros}`"
            )
        if value.dtype != x_TBD.dtype and not autocasts(x_TBD.device):
            raise AblateError(
                f"{name} of the state is {value.dtype} and the input is {x_TBD.dtype}; convert it: "
                f"`{name} = {name}.to({x_TBD.dtype})`"
            )
    return tuple(value.to(x_TBD.dtype).reshape(layers, rows, called.hidden) for value in parts)


def _parts(state: CallersState, names: tuple[str, ...], kind: str) -> tuple[Tensor, ...]:
    if len(names) == 1:
        if not isinstance(state, Tensor):
            raise AblateError(
                f"the state of {kind} is one tensor {names[0]}, got {type(state).__name__}",
                given=type(state).__name__,
            )
        return (state,)
    if not isinstance(state, tuple | list) or len(state) != len(names):
        raise AblateError(
            f"the state of {kind} is a pair ({', '.join(names)}) of tensors, got "
            f"{type(state).__name__}",
            given=type(state).__name__,
        )
    return tuple(state)
