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
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
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


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8", errors="replace").strip() or "unknown process"
    except OSError:
        return "unknown process"
