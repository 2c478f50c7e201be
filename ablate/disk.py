"""Waiting for writes to reach the disk."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` have reached the disk, where the system supports it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        # Windows cannot open a folder; there the file system alone keeps a rename.
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
