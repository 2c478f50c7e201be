"""How a machine is divided among trials that run at the same time."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ablate.errors import AblateError, WrongValue
from ablate.machine import cores, gpus
from ablate.study.events import Slot

#: What every program that counts its threads by OpenMP takes them from.
VARIABLE: Final = "OMP_NUM_THREADS"

# A number, or one for each level of nested loops, of which the first is the outermost.
_COUNT: Final = re.compile(r"\s*\+?(\d+)\s*(?:,.*)?")

# A worker holds torch, some hundreds of MB: a large machine is not filled unasked.
_MOST_UNASKED: Final = 8


@dataclass(frozen=True, slots=True)
class Threads:
    """How many CPU threads each slot has, where somebody named it, and who that was."""

    count: int
    source: str


def named_threads(asked: int | None, environment: Mapping[str, str] = os.environ) -> Threads | None:
    """The threads that `--threads` asks for, or else OMP_NUM_THREADS; None where neither does.

    A value that OpenMP would not take names nothing.
    """
    if asked is not None:
        return Threads(asked, "--threads")
    found = _COUNT.fullmatch(environment.get(VARIABLE, ""))
    count = int(found[1]) if found else 0
    return Threads(count, VARIABLE) if count else None


def divide(
    device: str, count: int | None = None, *, threads: int | None = None
) -> tuple[Slot, ...]:
    """The slots on `device` ("cpu", "cuda" for every GPU, or one as "cuda:0").

    Without `count`, one a GPU, or on the CPU as many as there are cores for their `threads`, up to
    eight; without `threads`, what the cores give to so many slots. It depends on these
    and the machine alone, never on the work: a trial that goes on later must find the same number
    of threads. Raises AblateError where there is no such device.
    """
    devices = _devices(device)
    if count is None:
        fitting = max(1, cores() // (threads or 1))
        count = len(devices) if device != "cpu" else min(fitting, _MOST_UNASKED)
    if count < 1:
        raise WrongValue("--slots", "one or more", count, mend="0 runs in this process")
    threads = threads or max(1, cores() // count)
    return tuple(Slot(devices[i % len(devices)], threads) for i in range(count))


def _devices(device: str) -> list[str]:
    if device == "cpu":
        return ["cpu"]
    found = gpus()
    every = [f"cuda:{number}" for number in range(found)]
    if device == "cuda" and every:
        return every
    if device in every:
        return [device]
    has = ["cpu", *every]
    finds = "" if found else " (torch finds no GPU)"
    raise AblateError(
        f"there is no device '{device}'; this machine has {', '.join(has)}{finds}",
        given=device,
        allowed=tuple(has),
    )
