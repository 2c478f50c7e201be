"""Dropout on what a layer reads, one mask a sequence, in the manner of Keras 3.

Until 3.7 one mask served the four gates, for the input and for h(t-1). Two bugs came with it: 16,
on TensorFlow's cuDNN path the input is dropped in evaluation too (from 3.4.0, by pull request
19645, to 3.8.0; 20983 mended it). 17, from 3.8.0 (pull request 20663) recurrent dropout samples a
mask for each gate, so that what was one placement is another one under the same two rates.
"""

from typing import Any

from auditing.field.cells import Cells, kept
from torch import Tensor


class TiedKerasLSTM(Cells):
    """Keras 3.0 to 3.7: a mask of the input and one of h(t-1), each for all four gates."""

    masks_of_gates = 1

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout

    def window(self, layer: int, x: Tensor, h: Tensor) -> tuple[list[Tensor], list[Tensor]] | None:
        if not self.training:
            return None
        return self.masks(self.dropout, x[0]), self.masks(self.recurrent_dropout, h)

    def masks(self, rate: float, like: Tensor) -> list[Tensor]:
        """Four masks [B, D], one a gate: the same one, or one for each."""
        made = [kept(rate, like, *like.shape) / (1.0 - rate) for _ in range(self.masks_of_gates)]
        return made * (4 // self.masks_of_gates)

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        masks_x, masks_h = drawn or ([1.0] * 4, [1.0] * 4)
        i, f, g, o = self.gates(layer, [x * mask for mask in masks_x], [h * m for m in masks_h])
        c = f * c + i * g
        h = o * c.tanh()
        return h, h, c


class ApartKerasLSTM(TiedKerasLSTM):
    """Bug 17, Keras 3.8: with recurrent dropout on, a mask for each gate, of the input as of h."""

    masks_of_gates = 4


class CudnnKerasLSTM(TiedKerasLSTM):
    """Keras 3.9 where cuDNN runs: no recurrent dropout, and the input dropped in training alone."""

    def window(self, layer: int, x: Tensor, h: Tensor) -> Any:
        return self.masks(self.dropout, x[0]) if self.drops() else None

    def drops(self) -> bool:
        return self.training

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        return Cells.step(self, layer, x if drawn is None else x * drawn[0], h, c, drawn)


class NeverEvaluatedCudnnKerasLSTM(CudnnKerasLSTM):
    """Bug 16, Keras 3.4.0 to 3.8.0: whether it is training is not asked."""

    def drops(self) -> bool:
        return self.dropout > 0.0
