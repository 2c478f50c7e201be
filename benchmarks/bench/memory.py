"""Peak memory of a case: how far a process grows while it builds a trainer and updates twice.

On a GPU that is `max_memory_allocated`. On the CPU each case has a process of its own, because one
process never gives all of its memory back: they are forked from one that has run every case at tiny
shapes, so that nothing is counted that is loaded or compiled once. They run on one thread (a fork
of a process with OpenMP threads would wait for those for ever), and their growth is that of the
resident set.
"""

import gc
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import torch

from bench.shapes import Shape
from bench.trainers import Case, build

# Where a new process finds `bench`.
_FOLDER: Final = Path(__file__).parents[1]
_STATUS: Final = Path("/proc/self/status")
_UPDATES: Final = 2


def peaks(cases: Sequence[Case], device: str, *, threads: int) -> list[int | None]:
    """The bytes by which each case grows; None where that cannot be measured.

    `threads` is what the kernels are compiled for, as in the process that asks.
    """
    if torch.device(device).type == "cuda":
        return [_on_gpu(case, device) for case in cases]
    if not (_STATUS.exists() and hasattr(os, "fork")):
        return [None] * len(cases)
    asked = json.dumps({"threads": threads, "cases": [asdict(case) for case in cases]})
    # The limit, not the number of threads: the number is part of the compiled kernels' source.
    path = os.pathsep.join([str(_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
    apart = {"OMP_THREAD_LIMIT": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1", "PYTHONPATH": path}
    ended = subprocess.run(
        [sys.executable, "-m", "bench.memory"],
        input=asked, capture_output=True, text=True, env=os.environ | apart,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"the process that measures memory ended so:\n{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


def _on_gpu(case: Case, device: str) -> int:
    gc.collect()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    _run(case, device)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _run(case: Case, device: str = "cpu") -> None:
    trainer = build(case, device)
    for number in range(_UPDATES):
        trainer.update(number)


def _tiny(case: Case) -> Case:
    return replace(case, shape=Shape("tiny", case.shape.layers, 16, 5, 3, vocabulary=50))


def _resident(field: str) -> int:
    """Bytes of a field of this process's status: VmRSS, or VmHWM, its highest so far."""
    lines = _STATUS.read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) << 10


def _growth(case: Case) -> int:
    before = _resident("VmRSS")
    _run(case)
    return _resident("VmHWM") - before


def _in_a_fork(measure: Callable[[], int]) -> int | None:
    """What `measure` gives in a process of its own; None where that process is killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.write(writing, str(measure()).encode())
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    if text and not text.isdecimal():
        raise RuntimeError(text)
    return int(text) if text else None


def _main() -> None:
    asked = json.load(sys.stdin)
    torch.set_num_threads(asked["threads"])
    cases = [Case(**(case | {"shape": Shape(**case["shape"])})) for case in asked["cases"]]
    for case in dict.fromkeys(map(_tiny, cases)):
        _run(case)
    gc.collect()
    print(json.dumps([_in_a_fork(lambda case=case: _growth(case)) for case in cases]))


if __name__ == "__main__":
    _main()
