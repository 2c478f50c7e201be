"""The machine that a bench ran on, in words and numbers, without names of hosts or paths."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import torch

from ablate.compiling import can_compile
from ablate.machine import cores, device_name, instructions, last_cache_bytes, memory_bytes
from ablate.training.provenance import provenance

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
        "flags": [flag for flag in _FLAGS if flag in instructions()],
        "release": platform.release(),
        "compiled": can_compile(),
        "device": device_name(device),
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
