"""Which precision this machine is faster in: measured, not looked up.

A processor may know bfloat16 and be slower in it, which no list of features says. The list is asked
only where the machine is too busy to be timed.
"""

import gc
import statistics
import time
from pathlib import Path
from typing import Final, NamedTuple

import torch

from ablate.training.arithmetic import settle
from ablate.training.busy import apart

#: How many times faster bfloat16 products must be to be taken.
WORTHWHILE: Final = 1.5

_REPEATS: Final = 5
# The rows of a window, the input of a layer and its four gates at Zaremba's medium size, and what
# fills a GPU: a product too small for it would measure how fast it can be asked.
_SHAPES: Final = {"cpu": (700, 650, 2600), "cuda": (4096, 4096, 4096)}


# A busy moment passes, or it does not.
_PAUSE: Final = 1.0
# What processors call their instructions for products in bfloat16.
_UNITS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
_AMPERE: Final = 8


class Measured(NamedTuple):
    """The faster precision and how many times faster a bfloat16 product was than a float32 one.

    Where the machine was `busy` the ratio says nothing, and the precision is that for which the
    device has instructions.
    """

    precision: str
    ratio: float
    busy: bool = False


def measure(device: str = "cpu", threads: int = 1) -> Measured:
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
        return Measured("bf16" if _has_units(device) else "fp32", ratio, busy=True)
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


def _has_units(device: str) -> bool:
    """Whether the device says that it multiplies bfloat16 by instructions of its own."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= _AMPERE
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    named = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return not _UNITS.isdisjoint(next(named, "").split())


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    synchronize(left.device)
    began = time.perf_counter()
    torch.mm(left, right)
    synchronize(left.device)
    return time.perf_counter() - began


def release(device: torch.device | str) -> None:
    """Give back what a probe took of a GPU: else it is a worker's that nobody uses."""
    if torch.device(device).type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def synchronize(device: torch.device | str) -> None:
    """Wait for a GPU to have done what it was asked; a CPU has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
