"""One step in a process of its own: rows as they come, and how it ended.

    python -m gpu.step NAME MODULE:FUNCTION --out DIR --device cuda

Each row is a line of NAME.jsonl; NAME.json says at the end how it went, and why where it failed.
"""

import argparse
import importlib
import json
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

# Of a traceback.
_MOST: Final = 4_000


def main() -> None:
    """Run the step that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("runs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", required=True)
    given = parser.parse_args()
    ended = run(given.name, given.runs, given.out, given.device)
    raise SystemExit(ended["state"] != "ok")


def run(name: str, runs: str, out: Path, device: str) -> dict[str, Any]:
    """Keep the rows of a step and how it ended: its state, its seconds, a sentence."""
    began, told, state, why = time.perf_counter(), "nothing was said", "ok", None
    try:
        with (out / f"{name}.jsonl").open("w") as file:
            for row in _function(runs, device)(device):
                print(json.dumps(row), file=file, flush=True)
                told = row.get("told", told)
    except BaseException as error:  # an interruption, too, is how it ended
        state, told = "failed", f"{type(error).__name__}: {error}"
        why = traceback.format_exc()[-_MOST:]
        print(why)
    seconds = round(time.perf_counter() - began, 2)
    ended = {"step": name, "state": state, "seconds": seconds, "told": told, "why": why}
    (out / f"{name}.json").write_text(json.dumps(ended, indent=1) + "\n")
    return ended


def _function(runs: str, device: str) -> Callable[[str], Iterator[dict[str, Any]]]:
    module, _, name = runs.partition(":")
    if module.startswith("gpu.") and module != "gpu.machine":
        from ablate.training.arithmetic import settle

        # As training does: float32 products are float32, sums are float32.
        settle("cuda:0" if device == "cuda" else device)
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main()
