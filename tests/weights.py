"""The words of a weight's mask at one address, as tests of addresses read them."""

from dataclasses import replace

import torch
from torch import Tensor

from ablate.drops import Sharing
from ablate.masks import Address, activation_words


def weight_words(
    address: Address,
    sharing: Sharing,
    *,
    sources: int,
    units: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The words of a weight, [G, U, S]; an axis that ALL share has length 1."""
    sharing = replace(sharing, source=sharing.source or 1)
    drawn = activation_words(address, sharing, time=1, batch=sources, units=units, device=device)
    return drawn[0].permute(1, 2, 0)
