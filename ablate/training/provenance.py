"""Where a result came from: versions and machine, without names of hosts or paths."""

import functools
import platform
from typing import Any

import torch

from ablate.machine import processor
from ablate.version import __version__


def provenance() -> dict[str, Any]:
    """Versions, ablate's own included, platform and processor, as columns of `trials`."""
    return {"ablate_version": __version__} | surroundings()


@functools.cache
def surroundings() -> dict[str, Any]:
    """What ablate runs in: the other versions, platform and processor, as columns of `trials`."""
    return {
        "torch_version": torch.__version__,
        "python_version": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": processor(),
    }
