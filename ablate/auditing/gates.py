"""The order of a layer's gates and what is added to them in code.

Shapes: H hidden.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor


class Unread(Exception):
    """A module is called as an LSTM is, and its gates are not an LSTM's."""


@dataclass(frozen=True, slots=True)
class Gates:
    """In which quarter of the rows i, f, g and o are, and what each layer adds to their z."""

    order: tuple[int, int, int, int] = (0, 1, 2, 3)
    added: tuple[tuple[float, float, float, float], ...] = ()

    def rows(self, value: Tensor) -> Tensor:
        """Rows i, f, g, o in the module's own order."""
        if self.order == (0, 1, 2, 3):
            return value
        quarters = value.unflatten(0, (4, -1))
        return torch.stack([quarters[self.order.index(own)] for own in range(4)]).flatten(0, 1)

    def bias(self, layer: int, value: Tensor) -> Tensor:
        """Biases i, f, g, o in the module's own order, less what the layer adds by itself."""
        if self.added and any(self.added[layer]):
            less = torch.tensor(self.added[layer], dtype=value.dtype)
            value = value - less.repeat_interleave(len(value) // 4)
        return self.rows(value)


STANDARD: Final = Gates()
