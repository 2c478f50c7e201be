"""What a module refuses of `torch.nn.LSTM`'s arguments, and in which words.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ablate.engine.precision import autocasts
from ablate.engine.stack import State
from ablate.errors import AblateError, did_you_mean

# What torch.nn.LSTM has and this one has not, with the value at which it is not asked for.
_ABSENT: Final[Mapping[str, Any]] = {"dropout": 0.0, "bidirectional": False, "proj_size": 0}

_INSTEAD: Final[Mapping[str, str]] = {
    "dropout": (
        "dropout={value!r} is the placement Placement({{Edge.INTERLAYER: Drop({value!r})}}); give "
        "that as `placement`"
    ),
    "bidirectional": (
        "ablate.LSTM runs forward in time only; run a second one with stack=1 over the sequence "
        "reversed, lstm(x.flip(0)), flip its output back and concatenate"
    ),
    "proj_size": (
        "ablate.LSTM has no projection inside the loop, got proj_size={value!r}; leave it out, or "
        "put an nn.Linear above the LSTM"
    ),
}

_TAKEN: Final = (
    "input_size hidden_size num_layers bias batch_first placement seed stack device dtype".split()
)


def check_options(given: Mapping[str, Any]) -> None:
    """Raise AblateError for an option that is asked for and not there; silent values may stand."""
    for name, value in given.items():
        if name not in _ABSENT:
            raise AblateError(
                f"ablate.LSTM takes no '{name}'{did_you_mean(name, _TAKEN)}; "
                f"it takes {', '.join(_TAKEN)}"
            )
        if value != _ABSENT[name]:
            raise AblateError(_INSTEAD[name].format(value=value))


def check_input(x: Tensor, inputs: int, dtype: torch.dtype) -> Tensor:
    """Return x in the parameters' dtype; raises AblateError where an LSTM cannot read it.

    Only below autocast is another dtype converted.
    """
    if isinstance(x, PackedSequence):
        raise AblateError(
            "ablate.LSTM takes a padded tensor and no PackedSequence; pad_packed_sequence(x) makes "
            "one. Padding at a row's end changes no output before it: leave it out of the loss, "
            "and read a row's last output at its length - 1"
        )
    if not isinstance(x, Tensor):
        raise AblateError(f"ablate.LSTM takes a tensor, got {type(x).__name__}")
    if x.dim() not in (2, 3):
        raise AblateError(
            "ablate.LSTM takes [T, B, D] ([B, T, D] with batch_first) or, without a batch, [T, D]; "
            f"got {x.dim()} dimensions, {tuple(x.shape)}"
        )
    if x.shape[-1] != inputs:
        raise AblateError(
            f"the input's last dimension is input_size={inputs}, got {x.shape[-1]} in "
            f"{tuple(x.shape)}"
        )
    if x.dtype != dtype and not autocasts(x.device):
        raise AblateError(
            f"the input is {x.dtype} and the weights are {dtype}; convert one of them: "
            f"x.to({dtype}) or lstm.to({x.dtype})"
        )
    return x.to(dtype)


def check_state(state: State | None, layers: int, hidden: int, x_TBD: Tensor, batch: bool) -> State:
    """Return the state (h, c) as [L, B, H] each, in the dtype of the input, by default zeros.

    `batch` says whether the caller's tensors have a batch. Raises AblateError for a state that does
    not fit.
    """
    rows = x_TBD.shape[1]
    if state is None:
        zeros = x_TBD.new_zeros(layers, rows, hidden)
        return zeros, zeros
    if not isinstance(state, tuple | list) or len(state) != 2:
        raise AblateError(f"a state is a pair (h, c) of tensors, got {type(state).__name__}")
    expected = (layers, rows, hidden) if batch else (layers, hidden)
    for name, value in zip("hc", state, strict=True):
        if not isinstance(value, Tensor) or tuple(value.shape) != expected:
            got = tuple(value.shape) if isinstance(value, Tensor) else repr(value)
            letters = "[L, B, H]" if batch else "[L, H], as the input has no batch"
            raise AblateError(f"{name} of the state is {letters}, here {expected}, got {got}")
        if value.dtype != x_TBD.dtype and not autocasts(x_TBD.device):
            raise AblateError(
                f"{name} of the state is {value.dtype} and the input is {x_TBD.dtype}; convert it: "
                f"{name}.to({x_TBD.dtype})"
            )
    h, c = (value.to(x_TBD.dtype).view(layers, rows, hidden) for value in state)
    return h, c
