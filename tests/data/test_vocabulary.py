"""Tokens and their numbers."""

import numpy as np
import pytest

from ablate.data.vocabulary import build_vocabulary, encode, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("a b\nc\n", ["a", "b", "<eos>", "c", "<eos>"], id="lines"),
        pytest.param(" a  b \t\n", ["a", "b", "<eos>"], id="odd-space"),
        pytest.param("a\n\nb\n", ["a", "<eos>", "<eos>", "b", "<eos>"], id="empty-line"),
        pytest.param("a", ["a", "<eos>"], id="no-last-newline"),
        pytest.param("a\r\nb\r\n", ["a", "<eos>", "b", "<eos>"], id="windows-newlines"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_every_line_ends_with_eos(text: str, tokens: list[str]) -> None:
    """A text is split at white space and each line closed by `<eos>`."""
    assert tokenize(text) == tokens


def test_vocabulary_is_ordered_by_frequency_then_alphabet() -> None:
    """The most frequent type comes first, equally frequent ones alphabetically."""
    assert build_vocabulary("b a c c b d".split()) == ("b", "c", "a", "d")


@pytest.mark.parametrize(
    ("train", "valid", "vocabulary"),
    [
        pytest.param("a a b", "b a", ("a", "b"), id="nothing-unknown"),
        pytest.param("a a b", "c", ("a", "b", "<unk>"), id="added-last"),
        pytest.param("a <unk> <unk>", "c", ("<unk>", "a"), id="there-already"),
    ],
)
def test_unknown_joins_the_vocabulary_when_needed(
    train: str, valid: str, vocabulary: tuple[str, ...]
) -> None:
    """`<unk>` is added where another split has a new word and training has no `<unk>`."""
    assert build_vocabulary(train.split(), [valid.split()]) == vocabulary


def test_words_outside_are_unknown() -> None:
    """A word that the vocabulary lacks takes the number of `<unk>`."""
    numbers = encode("a z b".split(), ("b", "<unk>", "a"))
    assert numbers.tolist() == [2, 1, 0]
    assert numbers.dtype == np.int32
    assert not numbers.flags.writeable


def test_a_vocabulary_without_unknown_refuses_new_words() -> None:
    """Without `<unk>` a new word is an error, never another word's number."""
    with pytest.raises(KeyError, match="z"):
        encode(["z"], ("a", "b"))
