"""What reading a corpus found that its numbers depend on: counts, and one sentence about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One finding: `kind` names it, `counts` are its numbers by split.

    A finding that `warns` says in its sentence how it is mended.
    """

    kind: str
    counts: Mapping[str, int]
    sentence: str
    warns: bool = True


def by_split(counts: Mapping[str, int]) -> str:
    """Return `"train 1,204, valid 98"`: the splits that have any."""
    return ", ".join(f"{split} {count:,}" for split, count in counts.items() if count)


def visible(text: str) -> str:
    """Return `text` with whatever a terminal cannot show as its escape, such as `\\ufeff`."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def shown(words: Iterable[str], most: int = 3) -> str:
    """Return the first words in quotes, `'a', 'b'`, each of them visible."""
    return ", ".join(f"'{visible(word)}'" for word in list(words)[:most])


def _escape(char: str) -> str:
    # What Python puts in a name for a byte that is no text.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return ascii(char)[1:-1]
