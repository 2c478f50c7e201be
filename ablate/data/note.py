"""Findings about a corpus that affect its numbers: counts, and one sentence about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One finding: `kind` names it, `counts` are its numbers by split.

    The sentence of a finding that `warns` includes the remedy.
    """

    kind: str
    counts: Mapping[str, int]
    sentence: str
    warns: bool = True


def by_split(counts: Mapping[str, int]) -> str:
    """Return `"train 1,204, valid 98"`: the splits with a count above 0."""
    return ", ".join(f"{split} {count:,}" for split, count in counts.items() if count)


def visible(text: str) -> str:
    """Return `text` with unprintable characters escaped, such as `\\ufeff`."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def shown(words: Iterable[str], most: int = 3) -> str:
    """Return the first words in quotes, `'a', 'b'`, with `visible` characters."""
    return ", ".join(f"'{visible(word)}'" for word in list(words)[:most])


def _escape(char: str) -> str:
    # Python's surrogate for a byte that is not valid text.
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return ascii(char)[1:-1]
