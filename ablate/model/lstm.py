"""`ablate.LSTM`: `torch.nn.LSTM` with dropout at any edge."""

from typing import ClassVar

from torch import nn

from ablate.model.recurrent import Recurrent


class LSTM(Recurrent, nn.LSTM):  # pyright: ignore[reportIncompatibleMethodOverride]
    """`torch.nn.LSTM` with dropout wherever a placement puts it.

    The constructor's arguments, the call, its outputs, the state, `state_dict` and the initial
    weights under `torch.manual_seed` are those of `torch.nn.LSTM`, so that a model changes one line
    and checkpoints load both ways. PackedSequence and `bidirectional=True` too; beside a padded
    input the call takes `lengths`.

        placement = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
        lstm = ablate.LSTM(10, 20, num_layers=2, placement=placement)
        y, (h, c) = lstm(x)

    In training mode each call is one update, counted in `next_update`. Its masks are a function of
    `seed`, `stack` and the update. A call that names its `update` uses that one and counts nothing.
    In evaluation mode nothing is sampled: each mask is replaced by its mean under the placement.
    `mask_state()` is what a checkpoint needs besides `state_dict`.

    `seed=None` draws one from torch's default generator, after the weights. Two modules of one seed
    take different `stack`s (0 to 255), and a warning says where two of one model have not. A deep
    copy draws a stack of its own; what is pickled, saved or loaded keeps the one it had. OUTPUT
    drops the sequence that is returned, not the state.

    Two directions have one placement, or a pair of them (forward, backward). Each samples masks of
    its own, unless a drop shares them: `Sharing(direction=ALL)`. Backward reads each row from that
    row's own end.

    Below `torch.autocast` matrix products are taken in its dtype, everything else in that of the
    parameters. That is also the dtype of what is returned, where `torch.nn.LSTM` returns
    autocast's: the next operation casts it if it wants to, and a state that is carried from call to
    call keeps its precision.

    Raises AblateError for what is not here: `proj_size`, `dropout=` (the edge INTERLAYER is that),
    and EMBEDDING, which `ablate.Embedding` owns. Warns of a drop that acts nowhere.
    `ablate.model.transforms` has the table of what torch's tools (export, trace, vmap, ...) do with
    it.
    """

    adds: ClassVar[tuple[str, ...]] = ("proj_size",)
