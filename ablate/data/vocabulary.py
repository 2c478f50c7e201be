"""Words and their numbers: a vocabulary maps tokens to `int32` numbers.

The vocabulary is that of the training tokens, the most frequent word first, words of equal
frequency in alphabetical (code point) order. It depends only on the text.
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

    `<unk>` is one of them if a word is not kept, or if `others` (the other splits) have a word that
    `train` lacks. Its frequency is that of the training words that it replaces. If that is zero, it
    comes last and is never a training target: the model assigns it the probability of an unseen
    word.
    """
    counts = Counter(train)
    return _ordered(_with_unknown(counts, set().union(*others), text))


def count_outside(counts: Mapping[str, Mapping[str, int]], text: Text = PLAIN) -> dict[str, int]:
    """Return the number of tokens of each split outside the vocabulary, from its word counts."""
    others = (word for split, own in counts.items() if split != "train" for word in own)
    kept = _with_unknown(Counter(counts["train"]), set(others), text)
    return {
        split: sum(count for word, count in own.items() if word not in kept)
        for split, own in counts.items()
    }


def encode(tokens: Sequence[str], vocabulary: Sequence[str]) -> NDArray[np.int32]:
    """Return the numbers of `tokens`, a read-only `int32` array; an unknown word is `<unk>`.

    Raises `KeyError` for an unknown word if the vocabulary has no `<unk>`.
    """
    numbers = {word: number for number, word in enumerate(vocabulary)}
    if UNKNOWN in numbers:
        unknown = numbers[UNKNOWN]
        found = (numbers.get(word, unknown) for word in tokens)
    else:
        found = (numbers[word] for word in tokens)
    encoded = np.fromiter(found, np.int32, len(tokens))
    # All trials of a process share a corpus, so it must not be written.
    encoded.setflags(write=False)
    return encoded


def positions_outside(tokens: Sequence[str], vocabulary: Sequence[str]) -> NDArray[np.int64]:
    """Return the positions of tokens outside `vocabulary`: ascending, read-only."""
    known = set(vocabulary)
    found = np.array([at for at, word in enumerate(tokens) if word not in known], np.int64)
    found.setflags(write=False)
    return found


def _with_unknown(counts: Counter[str], others: set[str], text: Text) -> Counter[str]:
    """The vocabulary's types with training frequencies; `<unk>` has that of the words it replaces.

    `others` are the types of the other splits.
    """
    marks = {EOS} & counts.keys()
    words = [
        word
        for word, count in counts.items()
        if word not in (EOS, UNKNOWN) and count >= text.min_count
    ]
    lacking = (counts.keys() | others) - marks - set(words)
    if text.size is not None and len(marks) + len(words) + bool(lacking) > text.size:
        # Words that are cut off become unknown, and <unk> takes one of the places.
        ranked = _ordered({word: counts[word] for word in words})
        words = ranked[: text.size - len(marks) - 1]
        lacking = (counts.keys() | others) - marks - set(words)
    kept = Counter({word: counts[word] for word in (*marks, *words)})
    if lacking:
        kept[UNKNOWN] = sum(counts[word] for word in lacking)
    return kept


def _ordered(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))
