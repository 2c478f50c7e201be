"""`ablate.LSTM`: `torch.nn.LSTM` with dropout at any edge."""

from typing import ClassVar

from torch import nn

from ablate.model.recurrent import Recurrent


class LSTM(Recurrent, nn.LSTM):  # pyright: ignore[reportIncompatibleMethodOverride]
    """`torch.nn.LSTM` with dropout at the edges of a placement.

    The constructor's arguments, the call, its outputs, the state, `state_dict` and the initial
    weights under `torch.manual_seed` are those of `torch.nn.LSTM`. A model changes one line, and
    checkpoints load both ways. It supports PackedSequence and `bidirectional=True`; with a padded
    input the call takes `lengths`.

        placement = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
        lstm = ablate.LSTM(10, 20, num_layers=2, placement=placement)
        y, (h, c) = lstm(x)

    In training mode each call is one update, counted in `next_update`. Its masks are a function of
    `seed`, `stack` and the update. A call with `update=n` uses that number and does not count.
    In evaluation mode nothing is sampled: each mask is replaced by its mean under the placement.
    A checkpoint needs `mask_state()` besides `state_dict`.

    `seed=None` draws a seed from torch's default generator, after the weights. Two modules of one
    seed need different `stack`s (0 to 255); a warning names two of one model that share a stack. A
    deep copy gets a new stack; pickling, saving and loading keep it. OUTPUT drops the returned
    sequence, not the state.

    A bidirectional module has one placement, or a pair (forward, backward). The directions sample
    independent masks, unless a drop shares them: `Sharing(direction=ALL)`. Backward reads each row
    from the end of that row.

    Under `torch.autocast` matrix products use its dtype, everything else that of the parameters.
    Outputs have the dtype of the parameters, where `torch.nn.LSTM` returns autocast's: the next
    operation casts them if needed, and a state carried from call to call keeps its precision.

    Raises AblateError for unsupported arguments: `proj_size`, `dropout=` (use the edge INTERLAYER),
    and EMBEDDING, which `ablate.Embedding` owns. Warns of a drop that acts nowhere.
    `ablate.model.transforms` lists what torch's tools (export, trace, vmap, ...) do with it.
    """

    adds: ClassVar[tuple[str, ...]] = ("proj_size",)
