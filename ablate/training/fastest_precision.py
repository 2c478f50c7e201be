"""Which precision this machine is faster in: measured, not looked up.

A processor may know bfloat16 and be slower in it, which no list of features says. The list is asked
only where the machine is too busy to be timed.
"""

import statistics
import time
from typing import Final, NamedTuple

import torch

from ablate.machine import multiplies_bfloat16, release
from ablate.training.arithmetic import settle
from ablate.training.timing import apart, seconds_of

#: How many times faster bfloat16 products must be to be taken.
WORTHWHILE: Final = 1.5

_REPEATS: Final = 5
# The rows of a window, the input of a layer and its four gates at Zaremba's medium size, and what
# fills a GPU: a product too small for it would measure how fast it can be asked.
_SHAPES: Final = {"cpu": (700, 650, 2600), "cuda": (4096, 4096, 4096)}


# A busy moment passes, or it does not.
_PAUSE: Final = 1.0


class Measured(NamedTuple):
    """The faster precision and how many times faster a bfloat16 product was than a float32 one.

    Where the machine was `busy` the ratio says nothing, and the precision is that for which the
    device has instructions.
    """

    precision: str
    ratio: float
    busy: bool = False


def fastest_precision(device: str = "cpu", threads: int = 1) -> Measured:
    """Time one product in both precisions on `device`, in a fraction of a second.

    bf16 where it is at least `WORTHWHILE` times faster, else fp32. The medians of a few, in turns,
    so that a busy moment meets both alike; once more where they lie far apart all the same.
    """
    settle(device)
    ratio, busy = _ratio(device, threads)
    if busy:
        time.sleep(_PAUSE)
        ratio, busy = _ratio(device, threads)
    release(device)
    if busy:
        return Measured("bf16" if multiplies_bfloat16(device) else "fp32", ratio, busy=True)
    return Measured("bf16" if ratio >= WORTHWHILE else "fp32", ratio)


def _ratio(device: str, threads: int) -> tuple[float, bool]:
    """How many times faster bfloat16 was, and whether its timings, or float32's, lie far apart."""
    rows, inner, columns = _SHAPES[torch.device(device).type]
    pairs = {
        dtype: (
            torch.ones(rows, inner, dtype=dtype, device=device),
            torch.ones(inner, columns, dtype=dtype, device=device),
        )
        for dtype in (torch.float32, torch.bfloat16)
    }
    taken: dict[torch.dtype, list[float]] = {dtype: [] for dtype in pairs}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(1 + _REPEATS):
            for dtype, (left, right) in pairs.items():
                taken[dtype].append(_seconds(left, right))
    finally:
        torch.set_num_threads(before)
    slow, fast = (statistics.median(taken[dtype][1:]) for dtype in (torch.float32, torch.bfloat16))
    return slow / max(fast, 1e-9), any(apart(seconds[1:]) for seconds in taken.values())


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    return seconds_of(lambda: torch.mm(left, right), left.device)
