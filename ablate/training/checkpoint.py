"""A trial's checkpoint: all that the next epoch depends on, written whole or not at all.

Masks are a function of coordinates, so that an epoch's number and the parameters suffice: there is
no generator state to save.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ablate.disk import sync_folder
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


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: temporary name, fsync, rename, fsync of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{NAME}"
    with temporary.open("wb") as file:
        torch.save(_detached(asdict(checkpoint)), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / NAME)
    sync_folder(folder)


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


def _detached(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {k: v.detach() if isinstance(v, torch.Tensor) else v for k, v in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in state.items()
    }
