"""One driver at a time writes a results folder."""

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ablate.errors import AblateError
from ablate.store.files import unwritable, writing

LOCK: Final = ".lock"
# Beside the lock, because Windows lets nobody read a file that is locked.
HOLDER: Final = ".lock-holder"
# Seconds: whoever looks whether a folder is held holds it for a moment.
_PATIENCE: Final = 0.5


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; the kernel lets go when the process ends, however it ends.

    Raises AblateError where another process holds it or the folder cannot be written.
    """
    # Here, because it warns at import of a system that has no such lock, and reading needs none.
    from filelock import FileLock, Timeout

    holder = folder / HOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=_PATIENCE)
        lock.acquire(poll_interval=_PATIENCE / 10)
    except Timeout as error:
        raise AblateError(
            f"another `ablate run` is writing {folder} ({_read(holder)}); "
            "wait for it, stop it, or name another folder with --results DIR",
            given=folder,
        ) from error
    except (OSError, NotImplementedError) as error:
        raise unwritable(folder, error) from error
    try:
        with writing(folder):
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def holder_of(folder: Path) -> str | None:
    """The process that holds `folder`, in words; None where none does.

    Where the lock cannot be tried, as in a folder that only others may write, its word is taken.
    """
    from filelock import FileLock, Timeout

    holder = folder / HOLDER
    # Most folders are told apart without touching the lock.
    if not holder.is_file():
        return None
    words = _read(holder)
    try:
        with FileLock(folder / LOCK, timeout=0):
            return None
    except (Timeout, OSError, NotImplementedError):
        return words


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8", errors="replace").strip() or "unknown process"
    except OSError:
        return "unknown process"
