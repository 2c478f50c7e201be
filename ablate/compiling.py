"""One source for compiled and eager pointwise code.

`torch.compile` needs a C++ compiler on the CPU. Where there is none, or ABLATE_COMPILE=0 says so, the
same function runs eagerly and one sentence says what that costs.
"""

import functools
import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import torch

EAGER_NOTE = (
    "no C++ compiler was found (looked for $CXX, c++, g++, clang++): pointwise kernels run eagerly, "
    "with equal results, slower; install g++ to compile them"
)


@functools.cache
def can_compile() -> bool:
    """Whether pointwise kernels are compiled in this process; warns once where they cannot be."""
    if os.environ.get("ABLATE_COMPILE", "1") == "0":
        return False
    if any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++")):
        return True
    warnings.warn(EAGER_NOTE, RuntimeWarning, stacklevel=2)
    return False


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` at its first call where that is possible; shapes stay symbolic."""
    state: dict[str, Callable[..., Any]] = {}

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if "run" not in state:
            state["run"] = (
                torch.compile(function, fullgraph=True, dynamic=True)
                if can_compile()
                else function
            )
        return state["run"](*args)

    return call
