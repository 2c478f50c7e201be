"""One source for compiled and eager pointwise code.

Inductor, PyTorch's compiler, needs a C++ compiler on the CPU. Where there is none, or
ABLATE_COMPILE=0 says so, the same function runs eagerly and one sentence says what that costs.
`eagerly` does the same for a while, and leaves compilation as it was.
"""

import contextlib
import functools
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

EAGER_NOTE = (
    "no C++ compiler was found (looked for $CXX, c++, g++, clang++): pointwise kernels run "
    "eagerly, slower; install g++ to compile them"
)

# As many threads as the process has when it calls; the rest parallelises over K and over B too,
# where the compiler would stop at K, which is 1 for a trial alone.
_OPTIONS: Final = {"cpp.dynamic_threads": True, "cpp.threads": 2, "cpp.min_chunk_size": 1}


# Of a thread, so that a trial that trains beside an audit keeps its kernels.
_EAGER: Final = ContextVar("eager", default=False)


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Run pointwise kernels eagerly within, unless ABLATE_COMPILE=1 asks for compiled ones.

    What was compiled before stays compiled for whoever calls it after.
    """
    token = _EAGER.set(os.environ.get("ABLATE_COMPILE") != "1")
    try:
        yield
    finally:
        _EAGER.reset(token)


def can_compile() -> bool:
    """Whether pointwise kernels are compiled here; warns once where they cannot be."""
    return not _EAGER.get() and compiles()


@functools.cache
def compiles() -> bool:
    """Whether this process compiles outside of `eagerly`, decided once."""
    if os.environ.get("ABLATE_COMPILE", "1") == "0":
        return False
    if any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++")):
        return True
    warnings.warn(EAGER_NOTE, RuntimeWarning, stacklevel=3)
    return False


def lowered(
    function: Callable[..., Any], examples: Callable[[], tuple[Any, ...]]
) -> Callable[..., Any]:
    """Compile a pure function of tensors ahead of its first call, where that is possible.

    A step's kernel is called some hundred times an update, and the guards of `torch.compile` cost
    more than its arithmetic. Nothing is guarded here, so that the caller answers for dtypes and for
    which sizes are equal; the sizes themselves stay free. `examples` gives arguments whose unequal
    sizes all differ, as a product of sizes does from a size. What is not on the CPU runs eagerly: a
    GPU's kernels are Triton's.
    """

    @functools.cache
    def compiled() -> Callable[..., Any]:
        return _lower(function, examples())

    def call(*args: Any) -> Any:
        on_cpu = args[0].device.type == "cpu" and _plain()(args[0])
        return (compiled() if on_cpu and can_compile() else function)(*args)

    return call


@functools.cache
def _plain() -> Callable[[Any], bool]:
    """Whether a tensor has memory of its own: not a fake one, nor seen through `torch.func`."""
    import torch

    transforms = torch._C._functorch.peek_interpreter_stack  # pyright: ignore
    return lambda value: type(value) is torch.Tensor and transforms() is None


def _lower(function: Callable[..., Any], examples: tuple[Any, ...]) -> Callable[..., Any]:
    import torch
    from torch._inductor import config, standalone_compile
    from torch.fx.experimental.proxy_tensor import make_fx

    # The library's own vectorised tanh is several times as slow as its exp.
    lowering = {torch.ops.aten.tanh.default: _tanh}
    with torch.no_grad(), config.patch(_OPTIONS), warnings.catch_warnings():
        # Inductor warns of its own use of what PyTorch deprecates.
        warnings.simplefilter("ignore")
        graph = make_fx(function, lowering, tracing_mode="symbolic")(*examples)
        return standalone_compile(graph, list(examples), dynamic_shapes="from_graph")


def _tanh(x: Any) -> Any:
    """tanh by expm1, exact near 0 and, by the clamp, at the ends of either float."""
    grown = (2.0 * x).clamp(-40.0, 40.0).expm1()
    return grown / (grown + 2.0)
