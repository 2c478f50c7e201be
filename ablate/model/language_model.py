"""The LSTM language model as functions of its parameters: embedding, layers, softmax.

Shapes: T time, B batch, D embedding, H hidden, L layers, V vocabulary.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.edges import Edge
from ablate.engine.factors import Window
from ablate.engine.plan import Path
from ablate.engine.stack import State, drop_sequence, run_stack
from ablate.model.net import Net
from ablate.model.parameters import Parameters, layer_weights
from ablate.placement import Placement


class Read(NamedTuple):
    """What the layers made of a window: the sequence that the softmax reads, and the state."""

    y_TBH: Tensor
    state: State


def zero_state(net: Net, batch: int, like: Tensor) -> State:
    """The state at an epoch's start: zeros [L, B, H], device and dtype of `like`."""
    zeros = torch.zeros(net.layers, batch, net.hidden, device=like.device, dtype=like.dtype)
    return zeros, zeros.clone()


def read(
    parameters: Parameters,
    x_TB: Tensor,
    state: State,
    net: Net,
    placement: Placement,
    window: Window,
    path: Path,
) -> Read:
    """Run embedding and layers over the words `x_TB` (int64)."""
    table = parameters["embedding.weight"]
    window = replace(window, time=x_TB.shape[0], batch=x_TB.shape[1])
    x_TBD = functional.embedding(x_TB, table)
    x_TBD = drop_sequence(x_TBD, Edge.EMBEDDING, 0, placement, window, tokens_TB=x_TB)
    weights = layer_weights(parameters, net.layers)
    out = run_stack(x_TBD, state, weights, placement, window, path)
    return Read(out.y_TBH, (out.s_LBH, out.c_LBH))


def logits(parameters: Parameters, y_TBH: Tensor) -> Tensor:
    """Unnormalised log-probabilities [T * B, V]."""
    return functional.linear(
        y_TBH.flatten(0, 1), parameters["decoder.weight"], parameters["decoder.bias"]
    )
