"""Tokens and their numbers."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.data.text import Text
from ablate.data.vocabulary import build_vocabulary, count_outside, encode, positions_outside


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


@pytest.mark.parametrize(
    ("text", "vocabulary"),
    [
        pytest.param(Text(), "a b <eos> c d", id="plain"),
        pytest.param(Text(min_count=2), "a b <eos> <unk>", id="rare-are-unknown"),
        pytest.param(Text(min_count=3), "a b <eos> <unk>", id="the-end-is-kept"),
        pytest.param(Text(size=5), "a b <eos> c d", id="as-large-as-it-is"),
        pytest.param(Text(size=4), "a b <eos> <unk>", id="one-fewer"),
        pytest.param(Text(size=3), "<unk> a <eos>", id="by-frequency"),
        pytest.param(Text(size=2), "<unk> <eos>", id="least"),
        pytest.param(Text(size=3, min_count=2), "<unk> a <eos>", id="both"),
    ],
)
def test_a_text_says_which_words_a_vocabulary_takes_in(text: Text, vocabulary: str) -> None:
    """`<unk>` has the frequency of the words it stands for, and `<eos>` is always kept."""
    train = "a a a a b b b c d <eos> <eos>".split()
    assert build_vocabulary(train, (), text) == tuple(vocabulary.split())


def test_a_size_counts_the_unknown_of_other_splits() -> None:
    """A vocabulary that is full makes room for `<unk>` where another split needs it."""
    train = "a a a b b <eos>".split()
    assert build_vocabulary(train, (), Text(size=3)) == ("a", "b", "<eos>")
    assert build_vocabulary(train, (["z"],), Text(size=3)) == ("a", "<unk>", "<eos>")
    assert build_vocabulary(train, (["z"],), Text(size=4)) == ("a", "b", "<eos>", "<unk>")


_WORDS = st.lists(st.sampled_from(["<unk>", "<eos>", *"abcdefg"]), max_size=30)


@given(
    train=_WORDS,
    valid=_WORDS,
    least=st.integers(1, 4),
    size=st.none() | st.integers(2, 9),
)
def test_every_word_has_a_number_and_the_lacking_are_counted(
    train: list[str], valid: list[str], least: int, size: int | None
) -> None:
    """For all texts: no more types than asked, no two alike, all encoded, both counts agree."""
    text = Text(min_count=least, size=size)
    train = [*train, "<eos>"]
    vocabulary = build_vocabulary(train, [valid], text)
    assert len(set(vocabulary)) == len(vocabulary)
    assert size is None or len(vocabulary) <= size
    for tokens in (train, valid):
        words = [vocabulary[number] for number in encode(tokens, vocabulary)]
        lacking = set(positions_outside(tokens, vocabulary).tolist())
        expected = ["<unk>" if at in lacking else word for at, word in enumerate(tokens)]
        assert words == expected
    kept = set(vocabulary) - {"<eos>", "<unk>"}
    assert all(train.count(word) >= least for word in kept)
    counts = {"train": Counter(train), "valid": Counter(valid)}
    assert count_outside(counts, text) == {
        "train": len(positions_outside(train, vocabulary)),
        "valid": len(positions_outside(valid, vocabulary)),
    }
