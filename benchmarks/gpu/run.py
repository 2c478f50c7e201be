"""Prove, measure and train on a GPU, and keep what was found however it ends.

    python benchmarks/gpu/run.py check --out DIR          # proofs, 240 s
    python benchmarks/gpu/run.py parts --out DIR          # figures beside their predictions
    python benchmarks/gpu/run.py study --out DIR          # two studies of ablate itself
    python benchmarks/gpu/run.py check parts --out DIR --limit 500 --archive FILE

Every step is a process with a limit of its own. README.md beside this file says what each leaves.
Needs nothing but Python itself, since it installs the wheels in `.whl/`, where there are any.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from gpu.steps import LISTS, MACHINE, Step  # noqa: E402

# What takes time in a check is compiling, on one core each.
_JOBS: Final = max(1, 3 * (os.cpu_count() or 1) // 4)
# Below this a step is not begun: Python and PyTorch alone take some of it.
_LEAST: Final = 15.0
_GRACE: Final = 5.0
# Seconds between two copies of a study's results.
_KEPT: Final = 30.0
_FINE: Final = frozenset({"ok", "lacks"})


class Ended(NamedTuple):
    """How a step ended: ok, lacks, failed, cut off (by a limit) or left out (no time was left)."""

    name: str
    state: str
    seconds: float
    told: str

    @property
    def line(self) -> str:
        return f"{self.name:17} {self.state:9} {self.seconds:6.1f} s  {self.told}"


class Run:
    """Steps on their way, and what is known of those that ended."""

    def __init__(
        self, out: Path, *, seconds: float, device: str, archive: Path | None, scratch: Path
    ) -> None:
        self._out, self._device, self._archive, self._scratch = out, device, archive, scratch
        self._ends = time.monotonic() + seconds
        self._environment = _environment(scratch)
        self._lacks: Mapping[str, str] = {}
        self._ended: list[Ended] = []
        self._lock = threading.Lock()
        out.mkdir(parents=True, exist_ok=True)

    def everything(self, steps: Sequence[Step]) -> list[Ended]:
        """Run all steps: the machine first, those that are timed alone, the others side by side."""
        self._wheels()
        self._one(MACHINE)
        with contextlib.suppress(OSError, ValueError, KeyError):
            first = (self._out / f"{MACHINE.name}.jsonl").read_text().splitlines()[0]
            self._lacks = json.loads(first)["lacks"]
        with ThreadPoolExecutor(_JOBS) as pool:
            list(pool.map(self._one, [step for step in steps if not step.alone]))
        for step in steps:
            if step.alone:
                self._one(step)
        return self._ended

    def _one(self, step: Step) -> None:
        began = time.monotonic()
        lacks = [self._lacks[need] for need in step.needs if need in self._lacks]
        left = self._ends - began
        if lacks:
            self._tell(Ended(step.name, "lacks", 0.0, f"this step lacks {' and '.join(lacks)}"))
        elif left < min(_LEAST, step.seconds):
            self._tell(Ended(step.name, "left out", 0.0, f"{max(0.0, left):.0f} s were left"))
        else:
            state, told = self._started(step, min(step.seconds, left))
            self._tell(Ended(step.name, state, time.monotonic() - began, told))

    def _started(self, step: Step, seconds: float) -> tuple[str, str]:
        """The state and the sentence in which a step ends within so many seconds."""
        result = self._out / f"{step.name}.json"
        result.unlink(missing_ok=True)
        log = self._out / f"{step.name}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                self._command(step),
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**self._environment, **_threads(step), **step.environment},
                start_new_session=True,
            )
            try:
                code = self._waited(process, seconds)
            finally:
                _stop(process)
        self._keep_results()
        if code is None:
            return "cut off", f"after {seconds:.0f} s; {_last_line(log)}"
        if isinstance(step.runs, str) and result.exists():
            found = json.loads(result.read_text())
            return found["state"], " ".join(found["told"].split())[:300]
        return "ok" if code == 0 else "failed", f"exit code {code}; {_last_line(log)}"

    def _waited(self, process: subprocess.Popen[bytes], seconds: float) -> int | None:
        """The exit code; None where the process did not end in time."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0.0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(min(_KEPT, left))
            self._keep_results()
        return None

    def _command(self, step: Step) -> list[str]:
        if isinstance(step.runs, str):
            given = ("--out", str(self._out), "--device", self._device)
            return [sys.executable, "-m", "gpu.step", step.name, step.runs, *given]
        return [sys.executable, "cli.py", *step.runs, "--results", str(self._scratch / "results")]

    def _keep_results(self) -> None:
        """Copy a study's results, without checkpoints; files of a store never change in part."""
        copy_new(self._scratch / "results", self._out / "results")
        self._pack()

    def _wheels(self) -> None:
        """Install what the machine lacks from `.whl/`, beside everything else that is here."""
        found = sorted(map(str, (ROOT / ".whl").glob("*.whl")))
        if not found:
            return
        given = ("--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--upgrade")
        target = ("--target", str(self._scratch / "site"))
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", *given, *target, *found],
            capture_output=True, text=True,
        )  # fmt: skip
        (self._out / "wheels.log").write_text(done.stdout + done.stderr)
        state = "failed" if done.returncode else "ok"
        self._tell(Ended("wheels", state, time.monotonic() - began, f"{len(found)} wheels"))

    def _tell(self, ended: Ended) -> None:
        """Show how a step ended, and write all that did."""
        with self._lock:
            self._ended.append(ended)
            print(ended.line, flush=True)
            lines = "".join(f"{each.line}\n" for each in self._ended)
            _replace(self._out / "summary.txt", lines.encode())
        self._pack()

    def _pack(self) -> None:
        """Everything in one file, for a machine from which only few come back."""
        if self._archive is None:
            return
        with self._lock:
            temporary = self._archive.with_name(f".{self._archive.name}")
            with tarfile.open(temporary, "w:gz", compresslevel=1) as tar:
                tar.add(self._out, arcname=self._out.name)
            temporary.replace(self._archive)


def copy_new(source: Path, target: Path) -> None:
    """Copy the files of a results folder that are new or changed; no checkpoints, no locks."""
    for path in sorted(source.rglob("*")):
        where = path.relative_to(source)
        if "work" in where.parts or any(part.startswith(".") for part in where.parts):
            continue
        # Files come and go while a run is under way.
        with contextlib.suppress(OSError):
            if path.is_file() and not _same(path, target / where):
                (target / where).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target / where)


def _same(path: Path, copy: Path) -> bool:
    if not copy.exists():
        return False
    one, other = path.stat(), copy.stat()
    return (one.st_size, int(one.st_mtime)) == (other.st_size, int(other.st_mtime))


def _environment(scratch: Path) -> dict[str, str]:
    """Our own modules, the wheels' and a cache of kernels that all steps share."""
    paths = [str(scratch / "site"), str(ROOT), str(ROOT / "benchmarks")]
    before = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths + ([before] if before else [])),
        "PYTHONUNBUFFERED": "1",
        # One thread compiles, as in a worker: pools of processes would get in each other's way.
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "kernels"),
    }


def _threads(step: Step) -> dict[str, str]:
    """Steps side by side share the cores; a study sees to its own threads."""
    cores = os.cpu_count() or 1
    return {} if step.alone else {"OMP_NUM_THREADS": str(max(1, cores // _JOBS))}


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content)
    temporary.replace(path)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here, and all that it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    # Whoever is left of its session, whether it ended or not.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "it said nothing")


@contextlib.contextmanager
def _scratch(given: Path | None) -> Iterator[Path]:
    """A folder for wheels, kernels and checkpoints; one that was given is kept."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix="ablate-") as folder:
            yield Path(folder)
        return
    given.mkdir(parents=True, exist_ok=True)
    yield given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lists that are named; 1 where a check failed or was not made, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lists", nargs="+", choices=list(LISTS), metavar="|".join(LISTS))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="of all steps together")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--archive", type=Path, metavar="FILE", help="keep DIR in one tar.gz, too")
    parser.add_argument(
        "--scratch", type=Path, metavar="DIR", help="keep wheels, kernels and checkpoints here"
    )
    given = parser.parse_args(arguments)
    names = list(dict.fromkeys(given.lists))
    seconds = given.limit or sum(LISTS[name][1] for name in names)
    steps = [step for name in names for step in LISTS[name][0]]
    with _scratch(given.scratch) as scratch:
        out = given.out.resolve()
        # What was trained before is not trained again.
        copy_new(out / "results", scratch / "results")
        archive = given.archive and given.archive.resolve()
        run = Run(out, seconds=seconds, device=given.device, archive=archive, scratch=scratch)
        ended = run.everything(steps)
    checks = {step.name for step in LISTS["check"][0]}
    bad = [one for one in ended if one.state == "failed"]
    # A proof that was not made is none; figures and trials that are missing are no mistake.
    bad += [one for one in ended if one.name in checks and one.state not in _FINE | {"failed"}]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
