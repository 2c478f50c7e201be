"""Words outside a vocabulary: the number of such targets, their causes, and remedies.

Each is scored as `<unk>`. If `<unk>` was never a training target, it costs as much as an untrained
word: 10.3 nats against 5.7 for a known word, measured on 360 kB of English prose. A few per cent of
such targets then dominate the perplexity.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Literal
from unicodedata import normalize

from ablate.data.lines import EOS
from ablate.data.note import Note, by_split, shown
from ablate.data.text import Text
from ablate.data.vocabulary import UNKNOWN, count_outside

Counts = Mapping[str, Mapping[str, int]]

# Other tools' spellings of <unk>: "unk" with any punctuation, "unknown" only in brackets.
_SPELLING: Final = re.compile(
    r"[\W_]*unk[\W_]*|[<\[{][\W_]*(unknown|oov|rare)[\W_]*[>\]}]|\u2047", re.IGNORECASE
)

#: Invisible characters, which turn a word into a different one.
INVISIBLE: Final = {
    "\ufeff": "byte order mark",
    "\u200b": "zero width space",
    "\u2060": "word joiner",
    "\u00ad": "soft hyphen",
}

# The milder form first: NFKC also replaces ligatures and wide forms.
_FORMS: Final[tuple[Literal["NFC", "NFKC"], ...]] = ("NFC", "NFKC")

# Lower case is worth a note if it explains more than this share of the unknown targets.
_NOTABLE: Final = 0.05


def notes(tokens: Mapping[str, Sequence[str]], text: Text) -> Iterator[Note]:
    """Yield the notes on unknown words in the tokens of `train` and the other splits.

    First their number, then the warnings, each with counts by split. `text` are the options that
    made the tokens.
    """
    counts = {split: Counter(own) for split, own in tokens.items()}
    outside = count_outside(counts, text)
    yield _how_many(outside, {split: len(own) for split, own in tokens.items()})
    yield from _untrained(counts, outside)
    yield from _spellings(counts, text)
    yield from _invisible(counts)
    yield from _form(counts, outside, text)
    yield from _case(counts, outside, text)


def _how_many(outside: Mapping[str, int], targets: Mapping[str, int]) -> Note:
    if not any(outside.values()):
        words = "unknown words: none, the vocabulary has every word of all splits"
        return Note("unknown", outside, words, warns=False)
    parts = (
        f"{split} {count:,} of {targets[split]:,} targets ({100 * count / targets[split]:.1f} %)"
        for split, count in outside.items()
        if count
    )
    words = f"unknown words, scored as {UNKNOWN}: {', '.join(parts)}"
    return Note("unknown", outside, words, warns=False)


def _untrained(counts: Counts, outside: Mapping[str, int]) -> Iterator[Note]:
    """A note if `<unk>` is a target in other splits but never in training."""
    train = counts["train"]
    if outside["train"] or UNKNOWN in train:
        return
    found = {split: outside[split] + own.get(UNKNOWN, 0) for split, own in counts.items()}
    if not any(found.values()):
        return
    rarest = min((count for word, count in train.items() if word != EOS), default=1)
    least = rarest + 1
    yield Note(
        "untrained",
        found,
        f"{UNKNOWN} is never a training target, so that each target that is one "
        f"({by_split(found)}) costs what an untrained word costs; let rare training words be "
        f"{UNKNOWN}: --set text.min_count={least}, or text = {{min_count = {least}}} in the "
        "study's profile",
    )


def _spellings(counts: Counts, text: Text) -> Iterator[Note]:
    """A note if the texts spell `<unk>` differently."""
    found = {
        split: {word: count for word, count in own.items() if _is_spelling(word)}
        for split, own in counts.items()
    }
    words = Counter(word for own in found.values() for word in own)
    if not words:
        return
    sums = {split: sum(own.values()) for split, own in found.items()}
    lowered = not text.lowercase and all(word.lower() == UNKNOWN for word in words)
    mend = ", or lower all case: --set text.lowercase=true" if lowered else ""
    yield Note(
        "spelling",
        sums,
        f"{shown(words)} in the texts ({by_split(sums)}) is a word like any other, and only "
        f"{UNKNOWN} stands for unknown words: write {UNKNOWN} for it{mend}",
    )


def _is_spelling(word: str) -> bool:
    return word != UNKNOWN and _SPELLING.fullmatch(word) is not None


def _invisible(counts: Counts) -> Iterator[Note]:
    """A note if an invisible character makes a different word."""
    for char, name in INVISIBLE.items():
        found = {
            split: {word: count for word, count in own.items() if char in word}
            for split, own in counts.items()
        }
        words = Counter(word for own in found.values() for word in own)
        if words:
            sums = {split: sum(own.values()) for split, own in found.items()}
            yield Note(
                "invisible",
                sums,
                f"U+{ord(char):04X} ({name}), which nobody sees, makes other words of those it "
                f"stands in, such as {shown(words, 1)} ({by_split(sums)}): delete it from the "
                "files",
            )


def _form(counts: Counts, outside: Mapping[str, int], text: Text) -> Iterator[Note]:
    """A note if the splits write a word in several Unicode forms."""
    plain = all(word.isascii() for own in counts.values() for word in own)
    if plain or text.normalize is not None or not _others(outside):
        return
    ended = {form: _known_by(counts, outside, text, partial(normalize, form)) for form in _FORMS}
    # On a tie, the first.
    form = max(ended, key=lambda own: sum(ended[own].values()))
    if any(ended[form].values()):
        yield Note(
            "form",
            ended[form],
            f"{_of(ended[form], outside)} unknown targets ({by_split(ended[form])}) would be known "
            f"in one Unicode form: --set text.normalize={form}, or "
            f'text = {{normalize = "{form}"}} in the study\'s profile',
        )


def _case(counts: Counts, outside: Mapping[str, int], text: Text) -> Iterator[Note]:
    """A note if lower case would make many of the unknown words known."""
    if text.lowercase or not _others(outside):
        return
    known = _known_by(counts, outside, text, str.lower)
    if sum(known.values()) > _NOTABLE * _others(outside):
        yield Note(
            "case",
            known,
            f"{_of(known, outside)} unknown targets ({by_split(known)}) would be known in lower "
            "case: --set text.lowercase=true, or text = {lowercase = true} in the study's profile",
        )


def _known_by(
    counts: Counts, outside: Mapping[str, int], text: Text, spell: Callable[[str], str]
) -> dict[str, int]:
    """By how much `spell`, applied to all words, lowers the unknown targets of the other splits."""
    spelt = {split: Counter[str]() for split in counts}
    for split, own in counts.items():
        for word, count in own.items():
            spelt[split][spell(word)] += count
    left = count_outside(spelt, text)
    return {split: max(0, outside[split] - left[split]) for split in counts if split != "train"}


def _others(outside: Mapping[str, int]) -> int:
    return sum(count for split, count in outside.items() if split != "train")


def _of(some: Mapping[str, int], outside: Mapping[str, int]) -> str:
    return f"{sum(some.values()):,} of the {_others(outside):,}"
