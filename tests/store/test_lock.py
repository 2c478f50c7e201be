"""One driver at a time, on every system; and what a system without locks or synced folders does."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows import name_row, trial_row

from ablate.errors import AblateError
from ablate.store import Store

HOLDER = """
import sys, time
from pathlib import Path
from ablate.store import Store

with Store(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    """Another process is named by number and host; killed, it leaves a folder that can be held."""
    store = Store(tmp_path / "study" / "quick")
    command = [sys.executable, "-c", HOLDER, str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AblateError, match=rf"\(process {holder.pid} on \S+\); wait for it"):
            store.lock().__enter__()
        holder.send_signal(signal.SIGKILL)
    with store.lock(), pytest.raises(AblateError, match=rf"\(process {os.getpid()} on"):
        store.lock().__enter__()
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_a_system_that_opens_no_folder_writes_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a folder cannot be opened, as on Windows, files are synced and folders are not."""
    whole = os.open

    def no_folders(path: Any, *rest: Any, **more: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return whole(path, *rest, **more)

    monkeypatch.setattr(os, "open", no_folders)
    store = Store(tmp_path / "study" / "quick")
    with store.lock():
        store.write_cells([name_row("a1")])
        store.write(trial_row("a1"), [{"epoch": 1}], {"valid": np.float32([-1.0])})
        (store.folder / "trials" / "a1-1.parquet").write_bytes(b"broken")
        aside = store.set_damage_aside()
        assert aside is not None
        assert "1 damaged file(s)" in aside.said
    assert store.committed() == {}
