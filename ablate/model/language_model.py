"""The language model without its softmax, as functions of the parameters of K trials.

Shapes: K trials, T time, B batch, D embedding, H hidden, L layers.
"""

import torch
from torch import Tensor

from ablate.engine.layers.stack import CohortOutput, State, run_cohort
from ablate.engine.masks.net import NetMasks
from ablate.engine.plan import Path
from ablate.model.net import Net
from ablate.model.parameters import Parameters, layer_weights


def zero_state(net: Net, batch: int, like: Tensor) -> State:
    """The state at an epoch's start: zeros [L, B, H] each, device and dtype of `like`."""
    return tuple(
        torch.zeros(net.layers, batch, net.hidden, device=like.device, dtype=like.dtype)
        for _ in net.of_cell.state
    )


def zero_cohort_state(net: Net, cohort: int, batch: int, like: Tensor) -> State:
    """The states of K trials at an epoch's start: zeros [L, K, B, H] each."""
    return tuple(part.unsqueeze(1).repeat(1, cohort, 1, 1) for part in zero_state(net, batch, like))


def read_cohort(
    parameters: Parameters,
    x_KTBD: Tensor,
    tokens_TB: Tensor,
    state: State,
    net: Net,
    masks: NetMasks,
    path: Path,
) -> CohortOutput:
    """Apply dropout at EMBEDDING to the vectors of the words `tokens_TB` and run the layers.

    The layers' `parameters` are [K, ...] each; each part of `state` is [L, K, B, H].
    """
    x_KTBD = masks.drop_words(x_KTBD, tokens_TB)
    weights = layer_weights(parameters, net.layers)
    return run_cohort(x_KTBD, state, weights, masks, path, cell=net.of_cell)
