"""How long a call takes, and whether timings can be believed.

Other programs slow a timing down by any factor. Where they come and go, repeats lie far apart.
Where they stay, repeats agree with each other, and only the number of threads that want a core
tells.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ablate.machine import synchronize

if TYPE_CHECKING:
    import torch

# The slowest over the fastest: what is chosen by timings hangs on less.
_APART: Final = 1.5
# From so many on, one at either end is chance.
_MANY: Final = 5


def seconds_of(call: Callable[[], object], device: "torch.device | str") -> float:
    """Seconds of one call, a GPU's work included."""
    synchronize(device)
    began = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - began


def disturbed(seconds: Sequence[float], wanted: Sequence[float], *, device: str) -> bool:
    """Whether repeats of one thing on `device` cannot be believed.

    `wanted` are the threads that wanted a core meanwhile, which say nothing of a GPU.
    """
    return apart(seconds) or (device.startswith("cpu") and crowded(wanted))


def apart(seconds: Sequence[float]) -> bool:
    """Whether repeats of one thing lie too far apart to say how long it takes."""
    kept = sorted(seconds)
    if len(kept) >= _MANY:
        kept = kept[1:-1]
    return kept[-1] > _APART * kept[0]


def crowded(wanted: Sequence[float]) -> bool:
    """Whether, at most of these moments, more threads wanted a core than the machine has."""
    return statistics.median(wanted) > (os.cpu_count() or 1)


def wanted() -> float:
    """How many threads of this machine want a core now; the last minute's mean where only that is
    known, 0 where nothing is."""
    try:
        # "0.52 0.61 0.60 3/512 4711": three of 512 run or could.
        return float(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return 0.0
