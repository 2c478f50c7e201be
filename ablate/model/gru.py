"""`ablate.GRU`: `torch.nn.GRU` with dropout at any edge."""

from torch import nn

from ablate.model.recurrent import Recurrent


class GRU(Recurrent, nn.GRU):  # pyright: ignore[reportIncompatibleMethodOverride]
    """`torch.nn.GRU` with dropout at the edges of a placement; otherwise as `ablate.LSTM`.

        placement = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
        gru = ablate.GRU(10, 20, bidirectional=True, placement=placement)
        y, h = gru(x, lengths=lengths)

    The state is h alone. h is also the carry, so HIDDEN takes HOLD only: a division by 1 - p would
    compound. There is no CELL and no CARRY; UPDATE drops n.
    """
