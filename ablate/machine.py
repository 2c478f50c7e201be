"""Facts about the machine, as the machine reports them, without names of hosts or paths.

A function imports only what its answer needs: torch is imported only for questions about a GPU.
"""

import gc
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

_CONTROL: Final = Path("/sys/fs/cgroup")

# The flags of processors that multiply matrices in bfloat16. AVX-512's has dot products alone: on a
# Xeon without AMX a bfloat16 product took twice as long as a float32 one.
_BFLOAT16: Final = frozenset({"amx_bf16", "bf16"})
_AMPERE: Final = 8


def cores() -> int:
    """The CPU cores that this process may use, by its affinity and its control group's quota."""
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
    """The instruction sets that the processor reports; empty if it reports none."""
    return frozenset((_cpu_field("flags") or _cpu_field("Features") or "").split())


def memory_bytes() -> int | None:
    """The memory of the machine, or the limit of the control group if that is lower."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
    try:
        return min(whole, int((_CONTROL / "memory.max").read_text()))
    except (OSError, ValueError):
        return whole


def free_bytes(device: str = "cpu") -> int:
    """The memory available to a new program on `device`, within the control group's limit."""
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
    """The number of CUDA devices that torch finds."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_name(device: "torch.device | str") -> str:
    """The device in words: `cpu`, or the GPU's product name."""
    import torch

    kind = torch.device(device).type
    return torch.cuda.get_device_name(device) if kind == "cuda" else kind


def multiplies_bfloat16(device: str) -> bool:
    """Whether the device reports instructions for products of matrices in bfloat16."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= _AMPERE
    return not _BFLOAT16.isdisjoint(instructions())


def synchronize(device: "torch.device | str") -> None:
    """Wait for a GPU to finish its queued work; a CPU has none."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def release(device: "torch.device | str") -> None:
    """Free the GPU memory that a probe cached; a worker would hold it unused."""
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
        # If the system does not report free memory, assume half of the total.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _free_in_control_groups() -> list[int]:
    """The memory left by the limits of this process's control group, version 1 or 2."""
    left = []
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            statistic = (_CONTROL / limit).with_name("memory.stat").read_text().splitlines()
            # The page cache counts as used, but the kernel reclaims it on demand.
            kept = int(dict(line.split() for line in statistic)[cached])
            whole, taken = (int((_CONTROL / name).read_text()) for name in (limit, used))
        except (OSError, KeyError, ValueError):
            continue
        left.append(whole - taken + kept)
    return left
