"""What the machine does at best: matrix products in both precisions, and memory bandwidth.

A ceiling is the best of several tries, not their median: it is what the machine can do.

Shapes: K trials, B batch, H hidden.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch.utils.benchmark import Timer

from ablate.machine import last_cache_bytes, memory_bytes
from bench.shapes import Shape

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}

_CACHED: Final = 8 << 20
_UNKNOWN_CACHE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Product:
    """A product [m, k] x [k, n], `trials` of them at once, at its best operations a second."""

    kind: Literal["large", "step"]
    shape: str
    precision: str
    trials: int
    m: int
    k: int
    n: int
    operations_per_second: float


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The triad a = b + s c at its best bytes a second, on three arrays of `array_bytes` each."""

    kind: Literal["memory", "cache"]
    array_bytes: int
    bytes_per_second: float


def best_seconds(call: Callable[[], object], *, tries: int, least: float = 2e-3) -> float:
    """Seconds of one call at its best, in tries of at least `least` seconds."""
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    calls = timer.blocked_autorange(min_run_time=least).number_per_run
    return min(timer.timeit(calls).median for _ in range(tries))


def large_products(
    precisions: Sequence[str],
    device: str,
    *,
    sizes: Sequence[int] = (2048, 4096),
    tries: int = 3,
) -> list[Product]:
    """Square products, large enough that nothing but the arithmetic counts."""
    return [
        _product("large", "", precision, device, (1, n, n, n), tries)
        for precision in precisions
        for n in sizes
    ]


def step_products(
    shape: Shape,
    precisions: Sequence[str],
    device: str,
    *,
    trials: Sequence[int] = (1,),
    tries: int = 10,
) -> list[Product]:
    """The product of one step, [B, H] x [H, 4H], whose weight is where the step before left it."""
    size = (shape.batch, shape.hidden, 4 * shape.hidden)
    return [
        _product("step", shape.name, precision, device, (count, *size), tries)
        for precision in precisions
        for count in trials
    ]


def array_bytes() -> int:
    """The size of each array of the triad: twice the last cache, or a twelfth of the memory."""
    cache = last_cache_bytes() or _UNKNOWN_CACHE
    return min(2 * cache, (memory_bytes() or 12 * cache) // 12)


def bandwidths(
    device: str,
    *,
    each: int | None = None,
    cached: int = _CACHED,
    tries: int = 3,
) -> list[Bandwidth]:
    """The triad on arrays of `each` bytes, by default beyond the last cache, and on small ones."""
    each = array_bytes() if each is None else each
    return [
        _triad("memory", each, device, tries),
        _triad("cache", cached, device, 3 * tries),
    ]


def _product(
    kind: Literal["large", "step"],
    name: str,
    precision: str,
    device: str,
    size: tuple[int, int, int, int],
    tries: int,
) -> Product:
    trials, m, k, n = size
    dtype = DTYPES[precision]
    x = torch.rand(trials, m, k, device=device).to(dtype)
    w = torch.rand(trials, n, k, device=device).to(dtype)
    if trials == 1:
        x, w = x[0], w[0]
    out = torch.empty(*x.shape[:-1], n, device=device, dtype=dtype)
    taken = best_seconds(lambda: torch.matmul(x, w.mT, out=out), tries=tries)
    return Product(kind, name, precision, trials, m, k, n, 2 * trials * m * k * n / taken)


def _triad(
    kind: Literal["memory", "cache"],
    each: int,
    device: str,
    tries: int,
) -> Bandwidth:
    a, b, c = (torch.ones(each // 4, device=device) for _ in range(3))
    taken = best_seconds(lambda: torch.add(b, c, alpha=0.5, out=a), tries=tries)
    return Bandwidth(kind, a.nbytes, 3 * a.nbytes / taken)
