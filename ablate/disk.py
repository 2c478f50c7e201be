"""What it takes to know that something has reached the disk."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` have reached the disk, where the system can be asked to."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        # Windows opens no folder: there a rename is kept by the file system alone.
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
