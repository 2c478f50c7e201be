"""Law 7: the store loses nothing; killed at any point, it holds whole attempts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ablate.store import Store

# Writes attempts one after the other and is killed just before its n-th call that touches the disk.
WRITER = """
import os, signal, sys
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from ablate.store import Store

left = int(sys.argv[2])

def count(call):
    def counted(*args, **kwargs):
        global left
        if left == 0:
            if call is write:
                args[1].write(b"PAR1 half a file"), args[1].flush()
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*args, **kwargs)
    return counted

same = dict.fromkeys(("precision", "corpus", "corpus_digest", "net", "recipe"), "x") | {"seed": 1}
store = Store.of(Path(sys.argv[1]), "study", "quick")
# As a run does, before its first trial.
name = same | {"strategy": "s", "arguments": "{}", "label": "s", "position": 0, "baseline": False}
store.write_cells([name | {"key": key} for key in ("a1", "b2", "c3")])
write = pq.write_table
pq.write_table, os.fsync, os.replace = count(write), count(os.fsync), count(os.replace)
for key in ("a1", "b2", "c3"):
    trial = same | {"pair_key": "x", "placement": "x"}
    trial |= {"key": key, "attempt": 1, "status": "ok", "semantics": 1}
    tokens = {"valid": np.full(50, -2.0, np.float32)}
    store.write(trial | {"ablate_version": "0"}, [{"epoch": 1}, {"epoch": 2}], tokens)
    print(key, flush=True)
"""

# Folders, files and renames of one attempt after another; the last one is past the end.
POINTS = [0, 2, 4, 6, 8, 9, 11, 13, 14, 17, 20, 21, 23, 26, 29, 99]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, list[str]]]:
    """For each point the results folder that its killed writer left, and what it had committed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    writers = {}
    for point in POINTS:
        folder = tmp_path_factory.mktemp(f"killed-{point}")
        writers[point] = (
            folder,
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(folder), str(point)],
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            ),
        )
    ended = {}
    for point, (folder, writer) in writers.items():
        said, _ = writer.communicate(timeout=300)
        assert writer.returncode == (0 if point == 99 else -signal.SIGKILL)
        ended[point] = folder, said.split()
    return ended


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_it_holds_whole_attempts(
    killed: dict[int, tuple[Path, list[str]]], point: int
) -> None:
    """What was committed is there, whole; what is there is committed; the rest can be named."""
    folder, committed = killed[point]
    store = Store.of(folder, "study", "quick")

    store.check()
    held = sorted(store.committed())
    # The kill may fall between the commit itself and the word about it.
    assert held[: len(committed)] == committed
    assert len(held) - len(committed) in (0, 1)
    assert store.epochs().num_rows == 2 * len(held)
    assert store.tokens().num_rows == 50 * len(held)

    orphans = store.sweep()
    assert not {attempt.key for attempt in orphans} & set(held)
    left = [path for path in store.folder.rglob("*") if path.is_file()]
    assert len(left) == 3 * len(held) + 1
    assert sorted(store.committed()) == held
