"""The steps of each list, in the order of their worth. Needs nothing but Python.

A step is a function of a module here, which takes the device, or a command of `ablate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_GPU: Final = ("gpu",)
_STUDY: Final = ("gpu", "treebank")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One process: what it runs, how many seconds it may take, and what it needs.

    `runs` is `module:function`, or the arguments of `ablate`, to which the folder of the results is
    added. Who lacks one of `needs` is not started. What is timed runs `alone`. A step that is
    `kept` its seconds is begun however long those before it would have taken.
    """

    name: str
    seconds: int
    runs: str | tuple[str, ...]
    needs: tuple[str, ...] = _GPU
    alone: bool = False
    kept: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


MACHINE: Final = Step(name="machine", seconds=60, runs="gpu.machine:describe", needs=(), alone=True)

CHECKS: Final = (
    Step(name="masks", seconds=90, runs="gpu.drawing:equal"),
    Step(name="updates", seconds=90, runs="gpu.updates:equal"),
    Step(name="placements-fp32", seconds=200, runs="gpu.placements:compiled_fp32"),
    Step(name="placements-bf16", seconds=200, runs="gpu.placements:compiled_bf16"),
    Step(
        name="placements-eager",
        seconds=120,
        runs="gpu.placements:eager",
        environment={"ABLATE_COMPILE": "0"},
    ),
    Step(name="cells", seconds=120, runs="gpu.placements:other_cells"),
    Step(name="schedules", seconds=90, runs="gpu.updates:schedules"),
    Step(name="cohort", seconds=120, runs="gpu.training:cohort"),
    Step(name="divergence", seconds=90, runs="gpu.training:divergence"),
    Step(name="evaluation", seconds=90, runs="gpu.training:evaluation"),
    Step(name="repeatable", seconds=90, runs="gpu.updates:repeatable"),
    Step(name="memory", seconds=90, runs="gpu.training:memory"),
    Step(name="plain-noise", seconds=90, runs="gpu.updates:plain_noise"),
    Step(name="fallback", seconds=60, runs="gpu.updates:fallback"),
    Step(name="graph-off", seconds=90, runs="gpu.updates:graph_off"),
)

PARTS: Final = (
    Step(name="times", seconds=150, runs="gpu.figures:times", alone=True),
    Step(name="pieces", seconds=60, runs="gpu.figures:pieces", alone=True),
    Step(name="launches", seconds=60, runs="gpu.figures:launches", alone=True),
    Step(name="stock", seconds=40, runs="gpu.figures:stock", alone=True),
    Step(name="scoring", seconds=60, runs="gpu.figures:scoring", alone=True),
)


def _study(name: str, seconds: int, *arguments: str) -> Step:
    report = arguments[0] == "report"
    return Step(name=name, seconds=seconds, runs=arguments, needs=_STUDY, alone=True, kept=report)


STUDIES: Final = (
    _study("placement", 200, "run", "--study", "placement", "--profile", "tenth",
           "--device", "cuda", "--set", "precision=bf16", "--cohort", "16"),
    _study("placement-report", 60, "report", "--study", "placement", "--profile", "tenth"),
    # Ten seeds at once, 39 epochs.
    _study("medium", 3600, "run", "--study", "zaremba2014", "--profile", "medium",
           "--device", "cuda", "--set", "precision=bf16", "--cohort", "10"),
    _study("medium-report", 60, "report", "--study", "zaremba2014"),
)  # fmt: skip

#: By name: the steps, and the seconds that they have together unless said otherwise.
LISTS: Final[Mapping[str, tuple[tuple[Step, ...], int]]] = {
    "check": (CHECKS, 240),
    "parts": (PARTS, 240),
    "study": (STUDIES, 540),
}
