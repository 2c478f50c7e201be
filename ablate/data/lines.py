"""Lines and their words: line ends, word separators, and the closing `<eos>`.

A line ends only at a line feed, a carriage return, or both in a row. Words are split at white space
as by `str.split` (a no-break space, a form feed and U+2028 included). Every line, even an empty
one, ends with one `<eos>`; a line that is written with a final `<eos>` gets no second one. An
`<eos>` inside a line is the same token.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from ablate.data.note import Note, by_split, shown

EOS = "<eos>"

# The marks of other tools at the start or end of a line.
_MARK = re.compile(r"[<\[{]\W*(s|eos|bos|sos|eol|bol|endoftext)\W*[>\]}]", re.IGNORECASE)


def tokenize(text: str) -> list[str]:
    """Return the words of `text` in order, with one `<eos>` at the end of every line.

    A last line without a line end counts as a line.
    """
    tokens: list[str] = []
    for words in split_lines(text):
        tokens += words
        if not words or words[-1] != EOS:
            tokens.append(EOS)
    return tokens


def split_lines(text: str) -> list[list[str]]:
    """Return the words of each line as written, without an added `<eos>`."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.split() for line in lines]


def notes(texts: Mapping[str, str]) -> Iterator[Note]:
    """Yield the notes on line ends in the texts of the splits."""
    lines = {split: split_lines(text) for split, text in texts.items()}
    closed = {split: sum(words[-1:] == [EOS] for words in own) for split, own in lines.items()}
    if any(closed.values()):
        yield Note(
            "written-eos",
            closed,
            f"lines that end with an {EOS} of their own ({by_split(closed)}) have that one: "
            "none is doubled",
            warns=False,
        )
    inside = {split: sum(words[:-1].count(EOS) for words in own) for split, own in lines.items()}
    if any(inside.values()):
        yield Note(
            "inner-eos",
            inside,
            f"{EOS} also stands inside lines ({by_split(inside)}), where it is the same token as "
            "at a line's end",
            warns=False,
        )
    yield from _marks(lines)


def _marks(lines: Mapping[str, list[list[str]]]) -> Iterator[Note]:
    """Yield a warning if lines begin or end with another tool's mark, such as `</s>`."""
    found: Counter[str] = Counter()
    counts = dict.fromkeys(lines, 0)
    for split, own in lines.items():
        for words in own:
            marks = {word for word in (*words[:1], *words[-1:]) if _is_mark(word)}
            found.update(marks)
            counts[split] += bool(marks)
    if found:
        yield Note(
            "other-mark",
            counts,
            f"lines begin or end with {shown(word for word, _ in found.most_common())} "
            f"({by_split(counts)}), a word like any other here and nearly certain each time, which "
            f"lowers perplexity: delete it, as every line ends with {EOS} without being told",
        )


def _is_mark(word: str) -> bool:
    return word != EOS and _MARK.fullmatch(word) is not None
