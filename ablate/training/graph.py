"""A function of tensors as one CUDA graph: captured once, replayed with what was copied in.

A graph repeats the very numbers that Python held while it was captured. So all that changes from
one update to the next lies in tensors: the tokens, the states, and a cohort's clock.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

import torch
from torch import Tensor

from ablate.errors import AblateError

Result = TypeVar("Result")

#: Calls before a capture: libraries choose their algorithms and kernels are compiled in them, which
#: a capture does not allow.
WARM_UPS: Final = 3


class Captured(Generic[Result]):
    """`function(*inputs)` on a CUDA device: called `WARM_UPS` times, then captured and replayed.

    Every call does its work, the first ones as well: nothing is done twice or put back.
    `function` may read and write other tensors than its inputs, always the same ones, and waits for
    nothing on the device; what it returns lies in tensors that the next call may overwrite.
    """

    def __init__(self, function: Callable[..., Result]) -> None:
        self._function = function
        self._calls = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], Result] | None = None

    def __call__(self, *inputs: Tensor) -> Result:
        """Call with these inputs; all calls' have the shapes and dtypes of the first ones.

        Raises AblateError for others: a graph cannot be replayed with them.
        """
        if not self._calls:
            self._inputs = tuple(value.detach().clone() for value in inputs)
        own = [_kind(value) for value in self._inputs]
        given = [_kind(value) for value in inputs]
        if own != given:
            raise AblateError(
                f"this call was captured with inputs {own}, got {given}; capture it anew for them",
                given=given,
            )
        for static, value in zip(self._inputs, inputs, strict=True):
            static.copy_(value, non_blocking=True)
        self._calls += 1
        if self._calls <= WARM_UPS:
            with _aside(inputs[0].device):
                return self._function(*self._inputs)
        if self._replay is None:
            self._replay = _captured(self._function, self._inputs)
        return self._replay()


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"


@functools.cache
def _side(device: torch.device) -> torch.cuda.Stream:
    """One for all: memory that a stream has freed is its own to take again."""
    return torch.cuda.Stream(device)


@contextlib.contextmanager
def _aside(device: torch.device) -> Iterator[None]:
    """On a side stream, as a capture is: autograd and the libraries keep things for each stream."""
    with torch.cuda.device(device):
        side = _side(device)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            yield
        torch.cuda.current_stream().wait_stream(side)


def _captured(function: Callable[..., Result], inputs: Sequence[Tensor]) -> Callable[[], Result]:
    """What replays `function(*inputs)`; nothing is done yet."""
    graph, device = torch.cuda.CUDAGraph(), inputs[0].device
    with torch.cuda.device(device), torch.cuda.graph(graph, stream=_side(device)):
        result = function(*inputs)

    def replay() -> Result:
        graph.replay()
        return result

    return replay
