"""Where a result came from: versions and machine, without names of hosts or paths."""

import functools
import platform
from pathlib import Path
from typing import Any

import torch

import ablate


def provenance() -> dict[str, Any]:
    """Versions, ablate's own included, platform and processor, as columns of `trials`."""
    return {"ablate_version": ablate.__version__} | surroundings()


@functools.cache
def surroundings() -> dict[str, Any]:
    """What ablate runs in: the other versions, platform and processor, as columns of `trials`."""
    return {
        "torch_version": torch.__version__,
        "python_version": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _processor(),
    }


def device_name(device: torch.device) -> str:
    """The device as a reader knows it: `cpu`, or the GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
