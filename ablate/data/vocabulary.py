"""Words and their numbers: tokens become `int32` numbers by a vocabulary.

The vocabulary is that of the training tokens, the most frequent word first and words of equal
frequency in alphabetical (code point) order, so that it depends on the text alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ablate.data.lines import EOS
from ablate.data.text import PLAIN, Text

UNKNOWN = "<unk>"


def build_vocabulary(
    train: Iterable[str], others: Iterable[Sequence[str]] = (), text: Text = PLAIN
) -> tuple[str, ...]:
    """Return the types of `train` that `text` keeps, by falling frequency and then alphabetically.

    `<unk>` is one of them where a word is not kept, or where `others` (the other splits) hold a
    word that `train` lacks. Its frequency is that of the training words it stands for. Where that
    is zero it comes last and is never a training target: its probability is what the model makes
    of a word it never met.
    """
    counts = Counter(train)
    return _ordered(_with_unknown(counts, set().union(*others), text))


def count_outside(
    counts: Mapping[str, Mapping[str, int]], text: Text = PLAIN, *, train: str = "train"
) -> dict[str, int]:
    """Return how many tokens of each split the vocabulary lacks, given each split's word counts."""
    others = (word for split, own in counts.items() if split != train for word in own)
    kept = _with_unknown(Counter(counts[train]), set(others), text)
    return {
        split: sum(count for word, count in own.items() if word not in kept)
        for split, own in counts.items()
    }


def encode(tokens: Sequence[str], vocabulary: Sequence[str]) -> NDArray[np.int32]:
    """Return the numbers of `tokens`, a read-only `int32` array; a word outside is `<unk>`.

    Raises `KeyError` for a word outside of a vocabulary that has no `<unk>`.
    """
    numbers = {word: number for number, word in enumerate(vocabulary)}
    if UNKNOWN in numbers:
        unknown = numbers[UNKNOWN]
        found = (numbers.get(word, unknown) for word in tokens)
    else:
        found = (numbers[word] for word in tokens)
    encoded = np.fromiter(found, np.int32, len(tokens))
    # A corpus is shared by every trial of a process; nobody may write into it.
    encoded.setflags(write=False)
    return encoded


def positions_outside(tokens: Sequence[str], vocabulary: Sequence[str]) -> NDArray[np.int64]:
    """Return where `tokens` has a word that `vocabulary` lacks: rising positions, read-only."""
    known = set(vocabulary)
    found = np.array([at for at, word in enumerate(tokens) if word not in known], np.int64)
    found.setflags(write=False)
    return found


def _with_unknown(counts: Counter[str], others: set[str], text: Text) -> Counter[str]:
    """The vocabulary's types with their training frequencies, `<unk>` with that of what it hides.

    `others` are the types of the other splits.
    """
    marks = {EOS} & counts.keys()
    words = [
        word
        for word in _ordered(counts)
        if word not in (EOS, UNKNOWN) and counts[word] >= text.min_count
    ]
    lacking = (counts.keys() | others) - marks - set(words)
    if text.size is not None and len(marks) + len(words) + bool(lacking) > text.size:
        # Whatever is cut off is unknown from here on, and <unk> takes a place of its own.
        words = words[: text.size - len(marks) - 1]
        lacking = (counts.keys() | others) - marks - set(words)
    kept = Counter({word: counts[word] for word in (*marks, *words)})
    if lacking:
        kept[UNKNOWN] = sum(counts[word] for word in lacking)
    return kept


def _ordered(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))
