"""What the pages of the repository show: fenced blocks, commands, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
#: The pages whose every snippet runs.
DOCUMENTS = (README, *sorted((ROOT / "docs").rglob("*.md")))
#: All pages, whose commands are read and whose links lead somewhere.
PAGES = (
    *DOCUMENTS,
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "ablate").rglob("README.md")),
    *sorted((ROOT / "benchmarks").rglob("README.md")),
    *sorted((ROOT / "results/reference").rglob("README.md")),
)

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `name` is that of the file which its first line says it is."""

    page: Path
    language: str
    text: str

    @property
    def name(self) -> str | None:
        found = re.match(r"# ([\w.]+\.(?:py|toml))\b", self.text)
        return found[1] if found else None


def blocks(page: Path, language: str) -> list[Block]:
    """The page's fenced blocks in a language."""
    found = _FENCED.findall(page.read_text(encoding="utf-8"))
    return [Block(page, of, text) for of, text in found if of == language]


def files(folder: Path) -> None:
    """Write every file that a page shows, as a reader saves it."""
    for page in DOCUMENTS:
        for block in (*blocks(page, "python"), *blocks(page, "toml")):
            if block.name:
                (folder / block.name).write_text(block.text, encoding="utf-8")


def shell_lines(page: Path) -> Iterator[list[str]]:
    """The words of every line of a shell block, and of every indented line that is a command."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    shown = (block.text.replace("\\\n", "") for block in blocks(page, "sh"))
    lines = [line for block in shown for line in block.splitlines()]
    lines += re.findall(r"^    ((?:ablate|python|make) .*)$", _FENCED.sub("", text), re.MULTILINE)
    for line in lines:
        if words := shlex.split(line, comments=True):
            yield words


def inline_commands(page: Path) -> Iterator[list[str]]:
    """The words of every command `ablate ...` within a line."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for span in _SPAN.findall(text):
        # Not `ablate/...`, nor what stands for any command.
        if re.match(r"ablate [a-z]", span) and "..." not in span:
            yield shlex.split(span)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Where every relative link leads: the file, and the heading's anchor or an empty text."""
    text = _SPAN.sub("", _FENCED.sub("", page.read_text(encoding="utf-8")))
    for target in _LINK.findall(text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings."""
    headings = _HEADING.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", each).strip().lower().replace(" ", "-") for each in headings}
