"""A language model's parameters: names, shapes, initial values, as a plain dict of tensors.

Initial values are sampled at separate addresses (purpose INITIAL, the parameter's number as layer),
so every placement of a seed starts from the same weights on every device. A matrix has its rows at
the address's batch and its columns at the unit. A vector is folded into rows of the most units that
an address can hold: its n-th number is unit n mod 2^14 of row n div 2^14.

Shapes: K trials, V vocabulary, D embedding, H hidden.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ablate.addresses import LIMITS, Address, Purpose
from ablate.drops import Sharing
from ablate.engine.layers.reference import LayerWeights
from ablate.masks import activation_words
from ablate.model.net import Net

Parameters = dict[str, Tensor]

_EACH = Sharing(batch=1, unit=1, update=1)


def shapes(net: Net, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """The parameters' names (those of `torch.nn` modules) and shapes, in a fixed order.

    Layers of every cell are called `lstm.`, because checkpoints are read by that name.
    """
    table: dict[str, tuple[int, ...]] = {"embedding.weight": (vocabulary, net.inputs)}
    rows = len(net.of_cell.gates) * net.hidden
    for layer in range(net.layers):
        inputs = net.hidden if layer else net.inputs
        table[f"lstm.weight_ih_l{layer}"] = (rows, inputs)
        table[f"lstm.weight_hh_l{layer}"] = (rows, net.hidden)
        table[f"lstm.bias_ih_l{layer}"] = (rows,)
        table[f"lstm.bias_hh_l{layer}"] = (rows,)
    return table | {"decoder.weight": (vocabulary, net.hidden), "decoder.bias": (vocabulary,)}


def initial_parameters(
    net: Net,
    vocabulary: int,
    *,
    seed: int,
    radius: float,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Parameters:
    """Every parameter, with biases and embedding, from U(-radius, radius) (Zaremba 2014)."""
    parameters = {}
    for number, (name, shape) in enumerate(shapes(net, vocabulary).items()):
        address = Address(seed=seed, layer=number, purpose=Purpose.INITIAL)
        size = math.prod(shape)
        units = shape[-1] if len(shape) == 2 else min(size, LIMITS["unit"])
        rows = -(-size // units)
        words = activation_words(address, _EACH, time=1, batch=rows, units=units, device=device)
        # 24 bits and a half: symmetric about 0 and exact in float32.
        unit_interval = ((words.flatten()[:size] >> 8).double() + 0.5) / 2.0**24
        parameters[name] = ((2.0 * unit_interval - 1.0) * radius).to(dtype).reshape(shape)
    return parameters


def stacked(trials: Sequence[Parameters]) -> Parameters:
    """The parameters of trials side by side, K in front, in memory of their own."""
    return {name: torch.stack([own[name] for own in trials]) for name in trials[0]}


def layer_weights(parameters: Parameters, layers: int) -> list[LayerWeights]:
    """The recurrent layers' parameters, lowest first."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [
        LayerWeights(*(parameters[f"lstm.{name}_l{layer}"] for name in names))
        for layer in range(layers)
    ]


def count(parameters: Parameters) -> int:
    """The total number of trained values."""
    return sum(value.numel() for value in parameters.values())
