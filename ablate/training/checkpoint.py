"""A trial's checkpoint: all that the next epoch depends on, written whole or not at all.

Masks are a function of coordinates, so that an epoch's number and the parameters suffice: there is
no generator state to save.
"""

import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from ablate.files import write_whole
from ablate.model.parameters import Parameters

NAME = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `len(rows)` finished epochs; `best` holds the parameters of the best one.

    `threads` are those of the last epoch; 0 where an earlier version did not keep them.
    """

    key: str
    parameters: Parameters
    best: Parameters
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    threads: int = 0

    @property
    def epochs(self) -> int:
        return len(self.rows)


class Writer:
    """Writes checkpoints in a thread of its own, one after the other, while training goes on.

    A context manager: at its end all that was given to it is written. A write that failed raises in
    the thread that trains: at the folder's next `save` or `wait`, or at that end.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._pending: dict[Path, Future[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown()
        # Where the block raises, its error is shown, and not that of a write.
        while self._pending and error is None:
            self.wait(next(iter(self._pending)))

    def save(self, folder: Path, checkpoint: Checkpoint) -> None:
        """Write a checkpoint some time after the folder's last one, for which this waits."""
        self.wait(folder)
        # Nothing is copied on a CPU. Nobody changes what a checkpoint holds: an epoch trains
        # parameters that were stacked into other memory, and ends with rows and tensors of its own.
        # From a GPU the copy is made here, since no thread may copy while a graph is captured.
        state = _plain(checkpoint)
        self._pending[folder] = self._thread.submit(_write, folder, state)

    def wait(self, folder: Path) -> None:
        """Wait until the folder's checkpoint is written; raises what its write raised."""
        if (pending := self._pending.pop(folder, None)) is not None:
            pending.result()


def load(folder: Path, key: str, device: torch.device | str) -> Checkpoint | None:
    """Read the checkpoint of the trial `key`; None, with a warning, where it cannot be used."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        found = Checkpoint(**torch.load(path, map_location=device, weights_only=True))
    except Exception as error:  # a torn file raises many kinds; each means: begin anew
        warnings.warn(f"{path} cannot be read ({error}); the trial starts anew", stacklevel=2)
        return None
    if found.key != key:
        warnings.warn(f"{path} is another trial's; the trial starts anew", stacklevel=2)
        return None
    return found


def _write(folder: Path, state: dict[str, Any]) -> None:
    write_whole(folder / NAME, lambda file: torch.save(state, file))


def _plain(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a file holds. Parameters that are the best ones are one dictionary, hence saved once."""
    state = {each.name: getattr(checkpoint, each.name) for each in fields(checkpoint)}
    parameters = _apart(checkpoint.parameters)
    best = parameters if checkpoint.best is checkpoint.parameters else _apart(checkpoint.best)
    return state | {"parameters": parameters, "best": best}


def _apart(parameters: Parameters) -> Parameters:
    return {name: _own(value.detach().cpu()) for name, value in parameters.items()}


def _own(value: Tensor) -> Tensor:
    """The tensor in memory of its own: a view is saved with all of the tensor that it looks at."""
    return value if value.untyped_storage().nbytes() == value.nbytes else value.clone()
