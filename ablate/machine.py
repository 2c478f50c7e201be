"""What the machine is and has, read where it says so, without names of hosts or paths.

Nothing is imported for the answer that the question does not need: torch is where a GPU is asked.
"""

import gc
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

_CONTROL: Final = Path("/sys/fs/cgroup")

# What processors call their instructions for products in bfloat16.
_BFLOAT16: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
_AMPERE: Final = 8


def cores() -> int:
    """The CPU cores that this process may use: its affinity, or its control group's quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = (_CONTROL / "cpu.max").read_text().split()
        granted = int(quota) // int(period)
    except (OSError, ValueError):
        return usable or 1
    return max(1, min(usable or 1, granted))


def processor() -> str:
    """The processor's product name."""
    return _cpu_field("model name") or platform.processor()


def instructions() -> frozenset[str]:
    """The instructions that the processor says it has; empty where it does not say."""
    return frozenset((_cpu_field("flags") or _cpu_field("Features") or "").split())


def memory_bytes() -> int | None:
    """The machine's memory, or what its control group grants."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
    try:
        return min(whole, int((_CONTROL / "memory.max").read_text()))
    except (OSError, ValueError):
        return whole


def free_bytes(device: str = "cpu") -> int:
    """The memory that a new program could take on `device`, its control group's limit included."""
    if device != "cpu":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    return min([_free_memory(), *_free_in_control_groups()])


def last_cache_bytes() -> int | None:
    """The size of the last cache, as the machine reports it."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        try:
            text = path.read_text().strip()
            sizes.append(int(text.rstrip("KM")) << {"K": 10, "M": 20}.get(text[-1], 0))
        except (OSError, ValueError):
            continue
    return max(sizes, default=None)


def gpus() -> int:
    """How many CUDA devices torch finds."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_name(device: "torch.device | str") -> str:
    """The device as a reader knows it: `cpu`, or the GPU's product name."""
    import torch

    kind = torch.device(device).type
    return torch.cuda.get_device_name(device) if kind == "cuda" else kind


def multiplies_bfloat16(device: str) -> bool:
    """Whether the device says that it has instructions for products in bfloat16."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= _AMPERE
    return not _BFLOAT16.isdisjoint(instructions())


def synchronize(device: "torch.device | str") -> None:
    """Wait for a GPU to have done what it was asked; a CPU has."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def release(device: "torch.device | str") -> None:
    """Give back what a probe took of a GPU: else it is a worker's that nobody uses."""
    import torch

    if torch.device(device).type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def _cpu_field(name: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(named, None)


def _free_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found: dict[str, Any] = dict(line.split(":", 1) for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        # Where nothing says what is free, half of what there is may be.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _free_in_control_groups() -> list[int]:
    """What the limits of this process's control group leave, in either version of its files."""
    left = []
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            statistic = (_CONTROL / limit).with_name("memory.stat").read_text().splitlines()
            # What was read from disk counts as used, and is given back when it is asked for.
            kept = int(dict(line.split() for line in statistic)[cached])
            whole, taken = (int((_CONTROL / name).read_text()) for name in (limit, used))
        except (OSError, KeyError, ValueError):
            continue
        left.append(whole - taken + kept)
    return left
