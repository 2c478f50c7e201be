"""The engine below `torch.autocast`: products in its dtype, everything else as it was.

Autocast decides by operation, and would cast what a loop keeps between two products; here the
weights alone are cast, once a call, and the engine runs with autocast off.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ablate.engine.layers.reference import LayerWeights


def autocasts(device: torch.device) -> bool:
    """Whether `torch.autocast` is on for this kind of device."""
    kind = device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def product_dtype(weight: Tensor) -> torch.dtype:
    """The dtype of products with `weight`: autocast's where that is on; it leaves float64 alone."""
    if weight.dtype == torch.float64 or not autocasts(weight.device):
        return weight.dtype
    return torch.get_autocast_dtype(weight.device.type)


def in_dtype(weights: LayerWeights, dtype: torch.dtype) -> LayerWeights:
    """A layer's weights with its matrices in the dtype of products."""
    return weights._replace(w_ih=weights.w_ih.to(dtype), w_hh=weights.w_hh.to(dtype))


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which autocast is off."""
    if autocasts(device):
        return torch.autocast(device_type=device.type, enabled=False)
    return nullcontext()
