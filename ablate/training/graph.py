"""A whole update as one CUDA graph: captured once, replayed with what was copied in.

A graph repeats the very numbers that Python held while it was captured. So all that changes from
one update to the next lies in tensors: the tokens, the states, and a cohort's `Pace`.

Shapes: K trials.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import torch
from torch import Tensor

from ablate.errors import AblateError

Result = TypeVar("Result")

# Libraries choose their algorithms and kernels are compiled before a capture, which allows neither.
_WARM_UPS: Final = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """Where each trial of a cohort stands, on the device: what a replay must not bake in.

    `updates_K` (int64) are the updates' numbers, which its tosses read; `rates_K` (float32) the
    rates of learning.
    """

    updates_K: Tensor
    rates_K: Tensor

    @classmethod
    def at(
        cls, updates: Sequence[int], rates: Sequence[float], *, device: torch.device | str = "cpu"
    ) -> "Pace":
        """The pace of trials at these updates and rates of learning."""
        return cls(
            torch.tensor(updates, dtype=torch.int64, device=device),
            torch.tensor(rates, dtype=torch.float32, device=device),
        )

    def advance(self) -> None:
        """Go on by one update, in place and without a word to the host."""
        self.updates_K.add_(1)

    def become(self, other: "Pace") -> None:
        """Take another's values in place: at the end of an epoch, where a place is refilled."""
        self.updates_K.copy_(other.updates_K)
        self.rates_K.copy_(other.rates_K)


class CapturedUpdate(Generic[Result]):
    """`function(*inputs)`, captured in one CUDA graph.

    `function` may read and write other tensors than its inputs, always the same ones, and waits for
    nothing on the device; what it returns lies in tensors that the next call overwrites. `written`
    are the tensors that it changes in place (parameters, a `Pace`): they are as before when the
    capture is done. Raises AblateError where the inputs are not on a CUDA device.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        inputs: Sequence[Tensor],
        *,
        written: Sequence[Tensor] = (),
    ) -> None:
        if not inputs or any(not value.is_cuda for value in inputs):
            devices = ", ".join(sorted({str(value.device) for value in inputs})) or "no inputs"
            raise AblateError(
                f"an update is captured with inputs on a CUDA device, got {devices}; "
                "elsewhere call the function itself"
            )
        self._inputs = tuple(value.detach().clone() for value in inputs)
        with torch.cuda.device(inputs[0].device):
            _warm_up(function, self._inputs, written)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._result = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Result:
        """Replay the update with these inputs; they have the shapes and dtypes of the first ones.

        Raises AblateError for others: a graph cannot be replayed with them.
        """
        own = [_kind(value) for value in self._inputs]
        given = [_kind(value) for value in inputs]
        if own != given:
            raise AblateError(
                f"this update was captured with inputs {own}, got {given}; capture it anew for them"
            )
        for static, value in zip(self._inputs, inputs, strict=True):
            static.copy_(value, non_blocking=True)
        self._graph.replay()
        return self._result


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"


def _warm_up(
    function: Callable[..., object], inputs: Sequence[Tensor], written: Sequence[Tensor]
) -> None:
    """Run the function a few times on a side stream; what it wrote is put back."""
    before = [value.detach().clone() for value in written]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    with torch.no_grad():
        for value, old in zip(written, before, strict=True):
            value.copy_(old)
