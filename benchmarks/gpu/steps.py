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
    added. Who lacks one of `needs` is not started. What is timed runs `alone`.
    """

    name: str
    seconds: int
    runs: str | tuple[str, ...]
    needs: tuple[str, ...] = _GPU
    alone: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


MACHINE: Final = Step(name="machine", seconds=60, runs="gpu.machine:describe", needs=(), alone=True)


def _study(name: str, seconds: int, options: str) -> Step:
    given = ("run", "--study", "placement", *options.split(), "--device", "cuda")
    return Step(name=name, seconds=seconds, runs=given, needs=_STUDY, alone=True)


CHECKS: Final = (
    Step(name="masks", seconds=90, runs="gpu.drawing:equal"),
    Step(name="updates", seconds=90, runs="gpu.updates:equal"),
    Step(name="edges-fp32", seconds=150, runs="gpu.placements:edges_fp32"),
    Step(name="edges-bf16", seconds=150, runs="gpu.placements:edges_bf16"),
    Step(name="schemes-fp32", seconds=150, runs="gpu.placements:schemes_fp32"),
    Step(name="schemes-bf16", seconds=150, runs="gpu.placements:schemes_bf16"),
    Step(
        name="eager",
        seconds=120,
        runs="gpu.placements:eager",
        environment={"ABLATE_COMPILE": "0"},
    ),
    Step(name="cells", seconds=120, runs="gpu.placements:other_cells"),
    Step(name="modules", seconds=150, runs="gpu.modules:equal"),
    Step(name="audit", seconds=90, runs="gpu.modules:audited"),
    Step(name="schedules", seconds=90, runs="gpu.updates:schedules"),
    Step(name="cohort", seconds=120, runs="gpu.training:cohort"),
    Step(name="divergence", seconds=90, runs="gpu.training:divergence"),
    Step(name="evaluation", seconds=90, runs="gpu.training:evaluation"),
    Step(name="repeatable", seconds=90, runs="gpu.updates:repeatable"),
    Step(name="memory", seconds=90, runs="gpu.training:memory"),
    Step(name="plain-noise", seconds=90, runs="gpu.updates:plain_noise"),
    Step(name="fallback", seconds=60, runs="gpu.updates:fallback"),
    Step(name="graph-off", seconds=90, runs="gpu.updates:graph_off"),
    _study("trains", 90, "--profile quick --seeds 1 --cohort 6"),
)

PARTS: Final = (
    Step(name="pieces", seconds=60, runs="gpu.figures:pieces", alone=True),
    Step(name="launches", seconds=60, runs="gpu.figures:launches", alone=True),
    Step(name="stock", seconds=40, runs="gpu.figures:stock", alone=True),
    Step(name="scoring", seconds=60, runs="gpu.figures:scoring", alone=True),
    Step(name="times", seconds=150, runs="gpu.figures:times", alone=True),
)


# As many trials at once as there are, since a probe of the best number compiles each size.
STUDIES: Final = (
    _study("edges", 600, "--profile edges --set precision=fp32 --cohort 12"),
    _study("medium", 3600, "--profile medium --seeds 1 --set precision=bf16 --cohort 6"),
)

#: By name: the steps, and the seconds that they have together unless said otherwise.
LISTS: Final[Mapping[str, tuple[tuple[Step, ...], int]]] = {
    "check": (CHECKS, 240),
    "parts": (PARTS, 240),
    "study": (STUDIES, 540),
}
