"""The LSTM language model as functions of its parameters: embedding, layers, softmax.

Shapes: K trials, T time, B batch, D embedding, H hidden, L layers, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.edges import Edge
from ablate.engine.cohort import CohortOutput, State, Trial, drop_sequences, run_cohort
from ablate.engine.factors import Window
from ablate.engine.plan import Path
from ablate.engine.stack import drop_sequence, run_stack
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


def zero_cohort_state(net: Net, cohort: int, batch: int, like: Tensor) -> State:
    """The states of K trials at an epoch's start: zeros [L, K, B, H]."""
    return tuple(part.unsqueeze(1).repeat(1, cohort, 1, 1) for part in zero_state(net, batch, like))  # pyright: ignore[reportReturnType]


def read_cohort(
    parameters: Parameters,
    x_KTBD: Tensor,
    tokens_TB: Tensor,
    state: State,
    net: Net,
    trials: Sequence[Trial],
    path: Path,
) -> CohortOutput:
    """As `read` for K trials, whose parameters have K in front, of the words' vectors."""
    time, batch = tokens_TB.shape
    trials = [
        Trial(placement, replace(window, time=time, batch=batch)) for placement, window in trials
    ]
    x_KTBD = drop_sequences(x_KTBD, Edge.EMBEDDING, 0, trials, tokens_TB=tokens_TB)
    return run_cohort(x_KTBD, state, layer_weights(parameters, net.layers), trials, path)


def logits(parameters: Parameters, y_TBH: Tensor) -> Tensor:
    """Unnormalised log-probabilities [T * B, V]."""
    return functional.linear(
        y_TBH.flatten(0, 1), parameters["decoder.weight"], parameters["decoder.bias"]
    )
