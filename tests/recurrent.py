"""The three recurrent modules as tests make and call them: torch's and ours, and what they give."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import ablate
from ablate.drops import VARIATIONAL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.placement import Placement

T, B, D, H, L = 4, 3, 3, 5, 2

# By the name of the cell: the class, and what its constructor is given.
KINDS = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "rnn": ("RNN", {}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
}

_OF_ALL = {
    Edge.VERTICAL: Drop(0.4, Sharing(time=2)),
    Edge.WEIGHT: Drop(0.3),
    Edge.RECURRENT: Drop(0.3, VARIATIONAL),
    Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD),
}

# A drop at every edge that a cell has.
EVERYWHERE = {
    "lstm": Placement(
        _OF_ALL
        | {Edge.UPDATE: Drop(0.3), Edge.CELL: Drop(0.1), Edge.CARRY: Drop(0.2, fill=Fill.HOLD)}
    ),
    "gru": Placement(_OF_ALL | {Edge.UPDATE: Drop(0.3)}),
    "rnn": Placement(_OF_ALL),
    "rnn_relu": Placement(_OF_ALL),
}


def ours(cell: str, layers: int = L, **options: object) -> nn.RNNBase:
    """Our module of a cell, in float64."""
    name, own = KINDS[cell]
    torch.manual_seed(1)
    kind = getattr(ablate, name)
    return kind(D, H, layers, **({"dtype": torch.float64, "seed": 7} | own | options))


def theirs(cell: str, layers: int = L, **options: object) -> nn.RNNBase:
    """Torch's module of a cell, in float64."""
    name, own = KINDS[cell]
    torch.manual_seed(1)
    return getattr(nn, name)(D, H, layers, dtype=torch.float64, **own, **options)


def drawn(*shape: int, seed: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def state_of(module: nn.RNNBase, *batch: int, seed: int = 3) -> tuple[torch.Tensor, ...]:
    """The parts of a state that a module takes."""
    layers = module.num_layers * (2 if module.bidirectional else 1)
    names = 2 if isinstance(module, nn.LSTM) else 1
    return tuple(drawn(layers, *batch, module.hidden_size, seed=seed + n) for n in range(names))


def given(parts: Sequence[torch.Tensor]) -> object:
    """The parts of a state as a call takes them."""
    return tuple(parts) if len(parts) > 1 else parts[0]


def parts_of(state: object) -> tuple[torch.Tensor, ...]:
    """And back."""
    return state if isinstance(state, tuple) else (state,)


def packed(x: torch.Tensor, lengths: Sequence[int], module: nn.RNNBase) -> PackedSequence:
    return pack_padded_sequence(x, list(lengths), module.batch_first, enforce_sorted=False)


def by_packing(
    module: nn.RNNBase, x: torch.Tensor, state: object, lengths: Sequence[int]
) -> tuple[torch.Tensor, object]:
    """What torch gives for rows of these lengths in a padded tensor."""
    y, state = module(packed(x, lengths, module), state)
    time = x.shape[1 if module.batch_first else 0]
    return pad_packed_sequence(y, module.batch_first, total_length=time)[0], state


def everything(module: nn.RNNBase, call, x: torch.Tensor, *batch: int) -> dict[str, torch.Tensor]:
    """Output, state and all gradients where `call(x, state)` runs the module."""
    module.zero_grad()
    leaf = x.clone().requires_grad_()
    parts = [part.requires_grad_() for part in state_of(module, *batch)]
    y, state = call(leaf, given(parts))
    values = y.data if isinstance(y, PackedSequence) else y
    after = parts_of(state)
    weights = drawn(*values.shape, seed=9)
    loss = (values * weights).sum() + sum((part * part).sum() for part in after)
    loss.backward()
    found = {"y": values.detach(), "dx": leaf.grad}
    for name, part, own in zip("hc", after, parts, strict=False):
        found |= {name: part.detach(), f"d{name}_0": own.grad}
    return found | {name: value.grad.clone() for name, value in module.named_parameters()}
