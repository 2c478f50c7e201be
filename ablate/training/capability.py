"""Which precision this machine is faster in: measured, not looked up.

A processor may know bfloat16 and be slower in it, which no list of features says.
"""

import statistics
import time
from typing import Final, NamedTuple

import torch

#: How many times faster bfloat16 products must be to be taken.
WORTHWHILE: Final = 1.5

_REPEATS: Final = 5
# The rows of a window, the input of a layer and its four gates at Zaremba's medium size, and what
# fills a GPU: a product too small for it would measure how fast it can be asked.
_SHAPES: Final = {"cpu": (700, 650, 2600), "cuda": (4096, 4096, 4096)}


class Measured(NamedTuple):
    """The faster precision and how many times faster a bfloat16 product was than a float32 one."""

    precision: str
    ratio: float


def measure(device: str = "cpu", threads: int = 1) -> Measured:
    """Time one product in both precisions on `device`, in a fraction of a second.

    bf16 where it is at least `WORTHWHILE` times faster, else fp32. The medians of a few, in turns,
    so that a busy moment meets both alike.
    """
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
    ratio = slow / max(fast, 1e-9)
    return Measured("bf16" if ratio >= WORTHWHILE else "fp32", ratio)


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    synchronize(left.device)
    began = time.perf_counter()
    torch.mm(left, right)
    synchronize(left.device)
    return time.perf_counter() - began


def synchronize(device: torch.device | str) -> None:
    """Wait for a GPU to have done what it was asked; a CPU has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
