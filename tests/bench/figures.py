"""The speed figures of the documents, from `results/reference/bench/*.json`.

`python tests/bench/figures.py` writes them: the short tables into the README, all of them into
`results/reference/bench/README.md`. A test holds both documents to the files.
"""

import re
from pathlib import Path

from ablate.bench import files, show

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "results/reference/bench"
README = ROOT / "README.md"
WHOLE = FOLDER / "README.md"

_BLOCK = re.compile(
    r"(<!-- figures of results/reference/bench.*?-->\n).*?(<!-- end of figures -->)", re.S
)
_HEAD = """# Speed, as measured

Each section is what `ablate bench --from FILE --markdown` prints of a file beside this one;
`ablate/bench/README.md` says how it is measured.
"""


def readme(text: str, folder: Path = FOLDER) -> str:
    """The README with its figures renewed; parts by themselves are the design note's."""
    facts = [files.read(path) for path in sorted(folder.glob("*.json"))]
    found = [show.markdown(each, brief=True) for each in facts if not each.get("parts")]
    figures = "".join(f"\n{each}\n\n" for each in found)
    renewed, count = _BLOCK.subn(lambda match: match[1] + figures + match[2], text)
    assert count == 1, "the README has no place for the speed figures"
    return renewed


def whole(folder: Path = FOLDER) -> str:
    """Every table of every file."""
    found = (
        f"## `{path.name}`\n\n{show.markdown(files.read(path))}\n"
        for path in sorted(folder.glob("*.json"))
    )
    return "\n".join([_HEAD, *found])


if __name__ == "__main__":
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
    if FOLDER.is_dir():
        WHOLE.write_text(whole(), encoding="utf-8")
