"""How a machine is divided among trials that run at the same time."""

import os
from pathlib import Path
from typing import Final

from ablate.errors import AblateError
from ablate.study.events import Slot

# A worker holds torch, some hundreds of MB: a large machine is not filled unasked.
_MOST_UNASKED: Final = 8


def divide(device: str, count: int | None = None) -> tuple[Slot, ...]:
    """The slots on `device` ("cpu", "cuda" for every GPU, or one as "cuda:0").

    Without `count`, one a GPU, or on the CPU one a core up to eight. It depends on the machine
    alone, never on the work: a trial that goes on later must find the same number of threads.
    Raises AblateError where there is no such device.
    """
    devices = _devices(device)
    if count is None:
        count = len(devices) if device != "cpu" else min(cores(), _MOST_UNASKED)
    if count < 1:
        raise AblateError(f"a run needs at least one slot, got {count}; 0 runs in this process")
    threads = max(1, cores() // count)
    return tuple(Slot(devices[i % len(devices)], threads) for i in range(count))


def cores() -> int:
    """The CPU cores that this process may use: its affinity, or its control group's quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        granted = int(quota) // int(period)
    except (OSError, ValueError):
        return usable or 1
    return max(1, min(usable or 1, granted))


def gpus() -> int:
    """How many CUDA devices torch finds."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _devices(device: str) -> list[str]:
    if device == "cpu":
        return ["cpu"]
    found = gpus()
    every = [f"cuda:{number}" for number in range(found)]
    if device == "cuda" and every:
        return every
    if device in every:
        return [device]
    raise AblateError(
        f"there is no device '{device}'; this machine has {', '.join(['cpu', *every])}"
        + ("" if found else " (torch finds no GPU)")
    )
