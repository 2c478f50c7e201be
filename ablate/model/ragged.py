"""Rows of different lengths: a PackedSequence, or `lengths` with a padded tensor.

Shapes: T time, B batch, D input, H hidden.
"""

import operator
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ablate.errors import AblateError
from ablate.model.transforms import hidden_by_vmap

Lengths = Tensor | Sequence[int]


def padded(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """x [T, B, D] and lengths [B] of a packed sequence, rows in their order before packing."""
    x_TBD, lengths_B = pad_packed_sequence(packed)
    return x_TBD, lengths_B.to(x_TBD.device)


def packed_as(given: PackedSequence, y_TBH: Tensor) -> PackedSequence:
    """Outputs packed with the same order of steps and rows as `given`."""
    sizes_T = given.batch_sizes
    if given.sorted_indices is not None:
        y_TBH = y_TBH.index_select(1, given.sorted_indices)
    # A sorted row is as long as the number of steps whose batch size exceeds its index. Sorting
    # again could order rows of equal length differently.
    lengths_B = (sizes_T.unsqueeze(1) > torch.arange(int(sizes_T[0]))).sum(0)
    data_NH = pack_padded_sequence(y_TBH, lengths_B).data
    return PackedSequence(data_NH, sizes_T, given.sorted_indices, given.unsorted_indices)


def check_lengths(lengths: Lengths, x: Tensor | PackedSequence, x_TBD: Tensor) -> Tensor:
    """Return the row lengths, [B] on the device of x; raises AblateError for invalid ones."""
    if isinstance(x, PackedSequence):
        raise AblateError("a PackedSequence knows the lengths of its rows; leave `lengths` out")
    if x.dim() == 2:
        raise AblateError(
            "`lengths` are those of a batch's rows, and this input has no batch; cut it: "
            "`x = x[:length]`"
        )
    steps, rows, _ = x_TBD.shape
    of_kind = _whole_numbers(lengths, steps)
    if of_kind.shape != (rows,):
        raise AblateError(
            f"`lengths` has one number for each of the {rows} rows, [B], got "
            f"{'x'.join(map(str, of_kind.shape)) or 'a single number'}",
            given="x".join(map(str, of_kind.shape)) or "a single number",
        )
    if rows and _told(of_kind):
        _in_range(torch.stack(of_kind.aminmax()).tolist(), steps)
    return of_kind.to(x_TBD.device, torch.int64)


def _told(lengths: Tensor) -> bool:
    """Whether the host may read the values: not while the call is captured in a graph."""
    if lengths.is_cuda and torch.cuda.is_current_stream_capturing():
        return False
    return not (torch.compiler.is_exporting() or lengths.is_meta or hidden_by_vmap(lengths))


def _in_range(lengths: Sequence[int], steps: int) -> None:
    for each in lengths:
        if not 0 <= each <= steps:
            raise AblateError(
                f"`lengths` lie in [0, {steps}], as the input has {steps} steps, got {each}",
                given=each,
            )


def _whole_numbers(lengths: Lengths, steps: int) -> Tensor:
    """The caller's lengths as a tensor; raises AblateError unless they are whole numbers."""
    if isinstance(lengths, list | tuple):
        try:
            numbers = [operator.index(each) for each in lengths if not isinstance(each, bool)]
        except TypeError:
            numbers = []
        if len(numbers) == len(lengths):
            # Check before making a tensor, which cannot hold an arbitrarily large number.
            _in_range(numbers, steps)
            return torch.tensor(numbers, dtype=torch.int64)
        got = f"{list(lengths)!r}"
    elif not isinstance(lengths, Tensor):
        got = type(lengths).__name__
    elif lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        got = f"a tensor of {lengths.dtype}"
    else:
        return lengths
    raise AblateError(
        f"`lengths` are whole numbers, a 1-D tensor or a list of them, got {got}", given=got
    )
