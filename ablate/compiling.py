"""Compile pointwise functions, or run the same functions eagerly.

Inductor, PyTorch's compiler, needs a C++ compiler on the CPU and Triton on a GPU. Without one, or
where compilation fails, the function runs eagerly and a warning says so. ABLATE_COMPILE=0 and
`eagerly` turn compilation off.
"""

import contextlib
import functools
import importlib.util
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from ablate.errors import in_words

EAGER_NOTE = (
    "no C++ compiler was found (looked for $CXX, c++, g++, clang++): pointwise kernels run "
    "eagerly, slower; install g++ to compile them"
)
TRITON_NOTE = (
    "Triton was not found: what lies between the products runs eagerly on this GPU, slower; "
    "install triton to compile it"
)
FAILED_NOTE = (
    "what lies between the products could not be compiled for {device} ({error}) and runs eagerly, "
    "slower; ABLATE_COMPILE=0 asks for that without a word"
)

# A kernel uses the caller's number of threads. The other options parallelise over B as well as K;
# the compiler would stop at K, which is 1 for a single trial.
_OPTIONS: Final = {"cpp.dynamic_threads": True, "cpp.threads": 2, "cpp.min_chunk_size": 1}


# A context variable belongs to a thread: an audit does not turn off another thread's kernels.
_EAGER: Final = ContextVar("eager", default=False)
# No context variable: on a GPU the backward pass compiles in a thread of autograd.
_LISTENERS: Final[list[Callable[[str], None]]] = []


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Run pointwise kernels eagerly within, unless ABLATE_COMPILE=1 asks for compiled ones.

    Kernels that were compiled before stay compiled.
    """
    token = _EAGER.set(os.environ.get("ABLATE_COMPILE") != "1")
    try:
        yield
    finally:
        _EAGER.reset(token)


def can_compile(device: str = "cpu") -> bool:
    """Whether pointwise kernels are compiled on this type of device, "cpu" or "cuda"."""
    return not _EAGER.get() and compiles(device)


@functools.cache
def compiles(device: str = "cpu") -> bool:
    """Whether this process compiles outside of `eagerly`, decided once; warns where it cannot."""
    if os.environ.get("ABLATE_COMPILE", "1") == "0":
        return False
    if device == "cuda":
        found, note = importlib.util.find_spec("triton") is not None, TRITON_NOTE
    else:
        named = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
        found, note = any(shutil.which(name) for name in named), EAGER_NOTE
    if not found:
        warnings.warn(note, RuntimeWarning, stacklevel=3)
    return found


@contextlib.contextmanager
def telling(listener: Callable[[str], None]) -> Iterator[None]:
    """Let `listener` hear within what is about to be compiled, in words, from whatever thread."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def lowered(
    function: Callable[..., Any],
    examples: Callable[[Any], tuple[Any, ...]],
    what: str = "a kernel",
) -> Callable[..., Any]:
    """Compile a pure function of tensors ahead of its first call, where that is possible.

    An update calls a step's kernel about a hundred times, and the guards of `torch.compile` cost
    more than its arithmetic. This compiles without guards: every call must have the examples'
    dtypes, their strides as functions of the sizes, and their equalities of sizes, while the sizes
    are free. `examples` gives arguments on a device. Sizes, and products of sizes, must be equal
    only where they always are. `what` is said to those who listen by `telling`.
    """

    @functools.cache
    def compiled(device: Any) -> Callable[..., Any]:
        import torch

        # Outside of `try`: what a listener raises is its own.
        for listener in _LISTENERS:
            listener(what)
        # Inductor writes the GPU's number into the code: compile for each GPU.
        here = torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
        try:
            with torch.inference_mode(mode=False), here:
                return _lower(function, examples(device))
        except Exception as error:  # of the compiler's internals, which may raise anything
            _warn_once(FAILED_NOTE.format(device=device, error=in_words(error)))
            return function

    def call(*args: Any) -> Any:
        device = args[0].device
        if device.type in ("cpu", "cuda") and can_compile(device.type) and _plain()(args[0]):
            return compiled(device)(*args)
        return function(*args)

    return call


@functools.cache
def _warn_once(note: str) -> None:
    warnings.warn(note, RuntimeWarning, stacklevel=4)


@functools.cache
def _plain() -> Callable[[Any], bool]:
    """Whether a tensor is a real one: not fake, and outside `torch.func`."""
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
        # Inductor warns of deprecated parts of PyTorch that it uses.
        warnings.simplefilter("ignore")
        graph = make_fx(function, lowering, tracing_mode="symbolic")(*examples)
        return standalone_compile(graph, list(examples), dynamic_shapes="from_graph")


def _tanh(x: Any) -> Any:
    """tanh by expm1, exact near 0 and, by the clamp, at the ends of either float."""
    grown = (2.0 * x).clamp(-40.0, 40.0).expm1()
    return grown / (grown + 2.0)
