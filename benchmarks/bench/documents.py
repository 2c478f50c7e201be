"""The speed figures of the documents, from `results/reference/bench/*.json`.

`python -m bench.documents` writes them: all tables into `results/reference/bench/README.md`, the
parts of an update into `docs/evidence/speed.md`. A test holds the documents to the files.
"""

import re
from pathlib import Path

from bench import files, show
from bench.tables import to_the_best

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "results/reference/bench"
WHOLE = FOLDER / "README.md"
NOTE = ROOT / "docs/evidence/speed.md"

_BLOCK = re.compile(
    r"(<!-- figures of results/reference/bench.*?-->\n).*?(<!-- end of figures -->)", re.S
)
_PART = ("part", "way", "shape", "precision")
_HEAD = """# Speed, as measured

Each section is what `make bench ARGS="--from FILE --markdown"` prints of a file beside this one;
`benchmarks/bench/README.md` says how it is measured. What a file calls `ablate bench ...` is
`make bench ARGS="..."` today.
"""


def note(text: str, folder: Path = FOLDER) -> str:
    """The page of speed with the parts of an update by vocabulary.

    The best of its kind is in bold, with what the spreads cannot tell from it.
    """
    rows = files.read(folder / "parts.json")["parts"]
    best = {
        id(row)
        for row, found in zip(rows, to_the_best(rows), strict=True)
        if found is not None and found.low <= 1.0
    }
    order = list(dict.fromkeys(row["part"] for row in rows))
    rows.sort(key=lambda row: order.index(row["part"]))
    vocabularies = sorted({row["vocabulary"] for row in rows})
    head = ("part", "way", "", *(f"{size:,}" for size in vocabularies))
    lines = [head, ("---", "---", "---", *("---:" for _ in vocabularies))]
    ways: dict[tuple[str, ...], dict[int, str]] = {}
    for row in rows:
        words = f"{row['ms']:.3g}" if row["ms"] < 100 else f"{row['ms']:.0f}"
        cells = ways.setdefault(tuple(row[name] for name in _PART), {})
        cells[row["vocabulary"]] = f"**{words}**" if id(row) in best else words
    lines += [
        (part, way, f"{shape}, {precision}", *(cells[size] for size in vocabularies))
        for (part, way, shape, precision), cells in ways.items()
    ]
    return _renewed(text, "".join(f"| {' | '.join(line)} |\n" for line in lines))


def _renewed(text: str, figures: str) -> str:
    renewed, count = _BLOCK.subn(lambda match: match[1] + figures + match[2], text)
    assert count == 1, "the document has no place for the speed figures"
    return renewed


def whole(folder: Path = FOLDER) -> str:
    """Every table of every file."""
    found = (
        f"## `{path.name}`\n\n{show.markdown(files.read(path))}\n"
        for path in sorted(folder.glob("*.json"))
    )
    return "\n".join([_HEAD, *found])


if __name__ == "__main__":
    NOTE.write_text(note(NOTE.read_text(encoding="utf-8")), encoding="utf-8")
    if FOLDER.is_dir():
        WHOLE.write_text(whole(), encoding="utf-8")
