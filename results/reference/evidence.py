"""Make every page, table and figure of the committed results again, and the blocks of Markdown.

    make evidence                 # write what has changed
    make evidence ARGS=--check    # name what would change, and end with 1

A folder's `tables/*.parquet` are the measurements; its page, tables and figures follow from them.
In Markdown a block between `<!-- evidence: FILE -->` and `<!-- end -->` is the text of FILE, which
a report wrote beside it. The tables of speed follow from `bench/*.json`, as `bench.documents` says,
those of a GPU from the files in `gpu`, as `gpu.documents` says.
"""

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import store
from bench import documents as speed
from gpu import documents as gpu

from ablate.report import build
from ablate.report.compare import compare
from ablate.store import Store

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

#: Which study and profile a folder's tables are of.
SOURCES = {
    "placement-quick": ("placement", "quick"),
    "placement-tenth": ("placement", "tenth"),
    "placement-tuned": ("placement", "tuned"),
    "placement-factorial": ("placement", "factorial"),
    "placement-without": ("placement", "without"),
    "placement-map": ("placement", "map"),
    "placement-edges": ("placement", "edges"),
    "placement-medium": ("placement", "medium"),
    "cells": ("cells", "quick"),
    "zaremba2014-small": ("zaremba2014", "small"),
}

#: With which folder's placements those of a folder are compared.
COMPARED = {"placement-edges": "placement-map"}

_BLOCK = re.compile(r"(<!-- evidence: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_DRAWN = re.compile(r"<svg.*?</svg>", re.DOTALL)
_NUMBER = re.compile(r"-?\d+\.\d{6,}(?:e[-+]\d+)?")


def reports() -> dict[Path, bytes]:
    """Every file of every report, by the path where it lies in the repository."""
    made: dict[Path, bytes] = {}
    for name, (study, profile) in SOURCES.items():
        with tempfile.TemporaryDirectory() as work, contextlib.chdir(work):
            written = store.write(HERE / name, study, profile, Path("results"))
            build(Path("results"), study, profile)
            folder = written / "report"
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                made[HERE / name / path.relative_to(folder)] = path.read_bytes()
    return made


def comparisons() -> dict[Path, bytes]:
    """What `ablate compare` says of two folders, whose placements both have."""
    made: dict[Path, bytes] = {}
    for name, other in COMPARED.items():
        with tempfile.TemporaryDirectory() as work:
            results = Path(work)
            for each in (other, name):
                store.write(HERE / each, *SOURCES[each], results)
            sides = (Store.of(results, *SOURCES[each]) for each in (other, name))
            (found,) = compare(*sides).comparisons
        text = f"{found.verdict}\n\n{found.panel.markdown()}"
        made[HERE / name / "compare.md"] = text.encode()
        made[HERE / name / "compare.csv"] = found.panel.csv().encode()
    return made


def documents(made: dict[Path, bytes]) -> dict[Path, bytes]:
    """Every Markdown file that has blocks, with the blocks as they are of `made`."""
    note = speed.note(speed.NOTE.read_text(encoding="utf-8"))
    found = {speed.WHOLE: speed.whole().encode(), speed.NOTE: note.encode()}
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *HERE.glob("*/*.md")]):
        text = path.read_text(encoding="utf-8")
        if _BLOCK.search(text):

            def block(match: re.Match[str], folder: Path = path.parent) -> str:
                source = (folder / match[2]).resolve()
                if source not in made:
                    sys.exit(f"a block names {source}, and no report makes it")
                return f"{match[1]}{made[source].decode()}{match[3]}"

            found[path] = _BLOCK.sub(block, text).encode()
    return found


def changed(made: dict[Path, bytes]) -> Iterator[Path]:
    """The files of `made` that the repository lacks or has otherwise.

    Of drawings only that they are there: the last bits of a coordinate are the processor's. Numbers
    are equal in six digits.
    """
    for path, content in made.items():
        if not path.exists():
            yield path
        elif path.suffix in {".csv", ".html", ".md", ".tex"}:
            if _comparable(content) != _comparable(path.read_bytes()):
                yield path


def _comparable(content: bytes) -> str:
    text = _DRAWN.sub("", content.decode())
    return _NUMBER.sub(lambda number: f"{float(number[0]):.6g}", text)


def main(arguments: list[str]) -> int:
    """Write what has changed; with `--check`, name it alone."""
    made = reports() | comparisons() | gpu.tables()
    made |= documents(made)
    if arguments == ["--check"]:
        different = [path.relative_to(ROOT).as_posix() for path in changed(made)]
        print("\n".join(different) or "everything agrees with the committed tables")
        return bool(different)
    if arguments:
        sys.exit(__doc__)
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
