"""What a run that writes a store is at: `progress.json`, for whoever looks on.

It lies there while a driver holds the store. What a killed one left behind is passed over.
"""

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ablate.files import write_whole

PROGRESS_FILE: Final = "progress.json"


def write_progress(
    folder: Path, under_way: Mapping[str, Any], written: datetime | None = None
) -> None:
    """Write what is under way, with the time at which this was so.

    A system that refuses to is passed over: nothing depends on this file.
    """
    written = written or datetime.now(UTC)
    content = {"written": written.isoformat(timespec="milliseconds"), **under_way}
    with contextlib.suppress(OSError):
        # As ASCII: a name may hold what UTF-8 has no bytes for.
        write_whole(folder / PROGRESS_FILE, lambda file: file.write(json.dumps(content).encode()))


def remove_progress(folder: Path) -> None:
    """Nothing is under way any more."""
    with contextlib.suppress(OSError):
        (folder / PROGRESS_FILE).unlink(missing_ok=True)


def read_progress(folder: Path, now: datetime | None = None) -> dict[str, Any] | None:
    """What was written last, its seconds brought up to `now`; None where there is nothing whole."""
    try:
        found = json.loads((folder / PROGRESS_FILE).read_bytes())
        age = (
            (now or datetime.now(UTC)) - datetime.fromisoformat(found["written"])
        ).total_seconds()
        for each in (found, *found["trials"]):
            if each["left"] is not None:
                each["left"] = round(max(0.0, each["left"] - max(0.0, age)), 1)
        found["elapsed"] = round(found["elapsed"] + max(0.0, age), 1)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found
