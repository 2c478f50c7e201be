"""The machine that a bench ran on, in words and numbers, without names of hosts or paths."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch

from ablate.compiling import can_compile
from ablate.study.slots import cores
from ablate.training.provenance import device_name, provenance

# The instructions that decide how fast products are.
_FLAGS: Final = (
    "avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "bf16", "sve",
)  # fmt: skip
_ROOT: Final = Path(__file__).parents[2]


def describe(device: str, *, threads: int, command: Sequence[str] = ()) -> dict[str, Any]:
    """Everything that a reader needs to judge a measurement; None for what cannot be found."""
    found = {
        **provenance(),
        "cores": cores(),
        "threads": threads,
        "memory_bytes": memory_bytes(),
        "last_cache_bytes": last_cache_bytes(),
        "flags": flags(),
        "release": platform.release(),
        "compiled": can_compile(),
        "device": device_name(torch.device(device)),
        "float32_products": torch.get_float32_matmul_precision(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "command": " ".join(command),
    }
    if torch.device(device).type == "cuda":
        found |= {
            "cuda_version": torch.version.cuda,
            "cudnn_version": torch.backends.cudnn.version(),
            "tf32_products": torch.backends.cuda.matmul.allow_tf32,
            "tf32_cudnn": torch.backends.cudnn.allow_tf32,
            "device_memory_bytes": torch.cuda.get_device_properties(device).total_memory,
        }
    return found


def flags() -> list[str]:
    """The processor's instructions that matter for products."""
    line = _cpuinfo("flags") or _cpuinfo("Features") or ""
    return [flag for flag in _FLAGS if flag in line.split()]


def memory_bytes() -> int | None:
    """The machine's memory, or what its control group grants."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
    try:
        return min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return whole


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


def commit() -> str | None:
    """The commit of the checkout that runs, `+` behind it where files differ from it."""
    if not (_ROOT / ".git").exists():
        return None
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(_ROOT), *arguments], capture_output=True, text=True, check=True
            ).stdout.strip()
            for arguments in (
                ["rev-parse", "--short", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no"],
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _cpuinfo(field: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith(field))
    return next(named, None)
