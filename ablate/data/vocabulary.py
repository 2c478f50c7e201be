"""Words and their numbers: a text becomes tokens, and tokens become `int32` numbers.

A text is split at white space, and every line, an empty one included, ends with `<eos>`. The
vocabulary is that of the training tokens, the most frequent word first and words of equal frequency
in alphabetical (code point) order, so that it depends on the text alone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

EOS = "<eos>"
UNKNOWN = "<unk>"


def tokenize(text: str) -> list[str]:
    """Return the words of `text` in order, with `<eos>` at the end of every line.

    A last line without its newline is a line all the same. An `<eos>` written out in the text is
    the same token.
    """
    if text and not text.endswith("\n"):
        text += "\n"
    return text.replace("\n", f" {EOS} ").split()


def build_vocabulary(train: Iterable[str], others: Iterable[Sequence[str]] = ()) -> tuple[str, ...]:
    """Return the types of `train`, by falling frequency and then alphabetically.

    Where `others` (the other splits) hold a word that `train` lacks, and `train` has no `<unk>` to
    stand for it, `<unk>` is added at the end, the place that its frequency of zero gives it. It is
    never a training target then: its probability is what the model makes of a word it never met.
    """
    counts = Counter(train)
    vocabulary = tuple(sorted(counts, key=lambda word: (-counts[word], word)))
    if UNKNOWN not in counts and any(word not in counts for tokens in others for word in tokens):
        vocabulary += (UNKNOWN,)
    return vocabulary


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
