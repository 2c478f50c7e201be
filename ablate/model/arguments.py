"""What a module refuses of `torch.nn.LSTM`'s arguments, and in which words.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ablate.engine.precision import autocasts
from ablate.engine.stack import State
from ablate.errors import AblateError, did_you_mean
from ablate.model.transforms import refuse_proxy

# What torch.nn.LSTM has and this one has not, with the value at which it is not asked for.
_ABSENT: Final[Mapping[str, Any]] = {"dropout": 0.0, "bidirectional": False, "proj_size": 0}

_TAKEN: Final = (
    "input_size hidden_size num_layers bias batch_first placement seed stack device dtype".split()
)


_WEIGHTS: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked of an LSTM, as far as the words of a refusal depend on it."""

    inputs: int
    hidden: int
    layers: int
    bias: bool
    batch_first: bool

    def made(self, inputs: str, stack: str) -> str:
        """The constructor's call of one layer of this shape."""
        options = ", bias=False" if not self.bias else ""
        options += ", batch_first=True" if self.batch_first else ""
        return f"ablate.LSTM({inputs}, {self.hidden}{options}{stack})"


def check_options(given: Mapping[str, Any], shape: Shape) -> None:
    """Raise AblateError for an option that is asked for and not there; silent values may stand."""
    for name, value in given.items():
        if name not in _ABSENT:
            raise AblateError(
                f"ablate.LSTM takes no '{name}'{did_you_mean(name, _TAKEN)}; "
                f"it takes {', '.join(_TAKEN)}"
            )
        if value == _ABSENT[name]:
            continue
        match name:
            case "dropout":
                raise AblateError(_no_dropout(value, shape))
            case "bidirectional":
                raise AblateError(_no_bidirectional(value, shape))
            case _:
                raise AblateError(
                    f"ablate.LSTM has no projection inside the loop, got proj_size={value!r}; "
                    "leave it out, or project what is returned, which is another net: "
                    f"`y = torch.nn.Linear({shape.hidden}, {value!r})(y)`"
                )


def _no_dropout(value: object, shape: Shape) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        return f"ablate.LSTM takes its dropout as `placement`, at rates in [0, 1), got {value!r}"
    if shape.layers == 1:
        return (
            f"dropout={value!r} does nothing in one layer, since torch.nn.LSTM drops between "
            "layers; leave it out, or drop what is returned: "
            f"`ablate.Placement({{ablate.Edge.OUTPUT: ablate.Drop({value!r})}})` as `placement`"
        )
    return (
        f"dropout={value!r} is the placement "
        f"`ablate.Placement({{ablate.Edge.INTERLAYER: ablate.Drop({value!r})}})`; give that as "
        "`placement`"
    )


def _no_bidirectional(value: object, shape: Shape) -> str:
    """Two LSTMs a layer: torch's upper layers read both directions of the layer below."""
    time, steps, of_batch = (
        ("-2", "x.shape[1]", "lengths[:, None]")
        if shape.batch_first
        else ("0", "len(x)", "lengths")
    )
    position = f"torch.arange({steps}).to(lengths)" + ("" if shape.batch_first else "[:, None]")
    both = "torch.cat([forward(x)[0], turned(backward(turned(x))[0])], -1)"
    if shape.layers == 1:
        pair = [shape.made(str(shape.inputs), stack) for stack in ("", ", stack=1")]
        run = f"`forward, backward = {', '.join(pair)}`, then `y = {both}`"
    else:
        pair = [shape.made("n", f", stack={stack}") for stack in ("2 * l", "2 * l + 1")]
        widths = [shape.inputs, *[2 * shape.hidden] * (shape.layers - 1)]
        run = (
            f"`pairs = [({', '.join(pair)}) for l, n in enumerate({widths})]`, then "
            f"`for forward, backward in pairs: x = {both}`"
        )
    return (
        f"ablate.LSTM runs forward in time only, got bidirectional={value!r}; make two of each "
        f"layer, with your placement, one of which reads the steps turned around, `turned = lambda "
        f"v: v.flip({time})`: {run}; where rows are padded at their ends, turn each within its own "
        f"length, or backward starts in the padding: `steps = (({of_batch} - 1 - {position}) % "
        f"{steps})[..., None].to(x.device); "
        f"turned = lambda v: v.take_along_dim(steps, {1 if shape.batch_first else 0})`"
    )


def _no_packed(batch_first: bool) -> str:
    option = ", batch_first=True" if batch_first else ""
    last = ("torch.arange(len(lengths))", "lengths - 1")[:: 1 if batch_first else -1]
    row = "i, :lengths[i]" if batch_first else ":lengths[i], i"
    return (
        "ablate.LSTM takes a padded tensor and no PackedSequence: `x, lengths = "
        f"torch.nn.utils.rnn.pad_packed_sequence(x{option})`; padding at a row's end changes no "
        "output before it, so leave it out of the loss and read the last outputs by "
        f"`y[{', '.join(last)}]`; the state that is returned has read the padding, and that of row "
        f"i before it is `lstm(x[{row}], batch_offset=i)[1]`"
    )


def check_input(x: Tensor, like: Tensor, shape: Shape) -> Tensor:
    """Return x in the dtype of a weight; raises AblateError where an LSTM cannot read it.

    Only below autocast is another dtype converted.
    """
    inputs, dtype = shape.inputs, like.dtype
    if isinstance(x, PackedSequence):
        raise AblateError(_no_packed(shape.batch_first))
    refuse_proxy("ablate.LSTM", x)
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
    if x.device != like.device:
        raise AblateError(
            f"the input is on {x.device} and the weights are on {like.device}; "
            f"{_moved(x.device, like.device)}"
        )
    if x.dtype != dtype and not autocasts(x.device):
        # Weights are real numbers of a common precision.
        other = f" or `lstm.to({x.dtype})`" if x.dtype in _WEIGHTS else ""
        raise AblateError(
            f"the input is {x.dtype} and the weights are {dtype}; convert "
            f"{'one of them' if other else 'it'}: `x = x.to({dtype})`{other}"
        )
    return x.to(dtype)


def _moved(given: torch.device, weights: torch.device) -> str:
    """How input and weights come to one device; what is on `meta` has no values to move."""
    if weights.type == "meta":
        return (
            f"give them values: `lstm.to_empty(device='{given}'); lstm.reset_parameters()`, or "
            "load them"
        )
    there = f"`lstm.to('{given}')`"
    if given.type == "meta":
        return f"the input has no values there, so move the weights: {there}"
    return f"move one of them: `x = x.to('{weights}')` or {there}"


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
        if value.device != x_TBD.device:
            raise AblateError(
                f"{name} of the state is on {value.device} and the input on {x_TBD.device}; make "
                f"both on one device, such as `state = torch.zeros({expected}, "
                f"device='{x_TBD.device}'), torch.zeros({expected}, device='{x_TBD.device}')`"
            )
        if value.dtype != x_TBD.dtype and not autocasts(x_TBD.device):
            raise AblateError(
                f"{name} of the state is {value.dtype} and the input is {x_TBD.dtype}; convert it: "
                f"`{name} = {name}.to({x_TBD.dtype})`"
            )
    h, c = (value.to(x_TBD.dtype).reshape(layers, rows, hidden) for value in state)
    return h, c
