"""`ablate.RNN`: `torch.nn.RNN` with dropout at any edge."""

from typing import Any, ClassVar

import torch
from torch import nn

from ablate.errors import AblateError
from ablate.model.placing import Placed
from ablate.model.recurrent import Recurrent


class RNN(Recurrent, nn.RNN):  # pyright: ignore[reportIncompatibleMethodOverride]
    """`torch.nn.RNN` with dropout at the edges of a placement; otherwise as `ablate.LSTM`.

        placement = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
        rnn = ablate.RNN(10, 20, nonlinearity="relu", placement=placement)
        y, h = rnn(x)

    The state is h alone. There is no CELL, no CARRY and no UPDATE, which would equal HIDDEN.
    """

    adds: ClassVar[tuple[str, ...]] = ("nonlinearity",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        placement: Placed | None = None,
        seed: int | None = None,
        stack: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **others: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise AblateError(
                f"the nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}", given=nonlinearity
            )
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            placement=placement,
            seed=seed,
            stack=stack,
            device=device,
            dtype=dtype,
            nonlinearity=nonlinearity,
            **others,
        )
