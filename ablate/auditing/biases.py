"""Biases for a copy that was made without: an audit opens and shuts gates by them."""

import torch
from torch import nn

_OF_CELL = ("bias_ih", "bias_hh")


def with_biases(module: nn.Module) -> nn.Module:
    """Give zero biases to each stock LSTM, cell and linear of a copy that has none.

    Zero biases change nothing of what the module computes.
    """
    for each in module.modules():
        if isinstance(each, nn.LSTM) and not each.bias and each.proj_size == 0:
            _to_lstm(each)
        elif isinstance(each, nn.LSTMCell) and not each.bias:
            each.bias = True
            for name in _OF_CELL:
                setattr(each, name, _zeros(4 * each.hidden_size))
        elif isinstance(each, nn.Linear) and each.bias is None:
            each.bias = _zeros(each.out_features)
    return module


def _to_lstm(lstm: nn.LSTM) -> None:
    lstm.bias = True
    names = []
    for layer, own in enumerate(lstm._all_weights):
        # One direction has two weights, each of which gets its bias.
        for suffix in (f"_l{layer}",) if not lstm.bidirectional else ():
            for name in _OF_CELL:
                setattr(lstm, name + suffix, _zeros(4 * lstm.hidden_size))
                own.append(name + suffix)
        names += own
    lstm._flat_weights_names = names
    lstm._init_flat_weights()


def _zeros(size: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(size, dtype=torch.float64))
