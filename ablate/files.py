"""Files that reach the disk whole: a crash leaves the old one or the new one, never a part."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

# A name that begins with a dot is passed over by every reader of a folder of Parquet.
TEMPORARY: Final = ".writing-"


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill the file at `path`, whose folder is made where there is none.

    A reader sees the old content or the new one; both file and name have reached the disk. Of two
    processes that write one file, the last to end has written it.
    """
    _make(path.parent)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with temporary.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


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


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
