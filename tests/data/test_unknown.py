"""Unknown words: how many there are, what explains them, and the mend that each warning names."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ablate.data import load_corpus, unknown
from ablate.data.lines import tokenize
from ablate.data.note import Note
from ablate.data.text import PLAIN, Text


def found(text: Text = PLAIN, **texts: str) -> Mapping[str, Note]:
    """The notes on three splits by their kind; a split that is not given is a word of train."""
    whole = {"train": "a\n", "valid": "a\n", "test": "a\n"} | texts
    tokens = {split: tokenize(text.spell(own)) for split, own in whole.items()}
    return {note.kind: note for note in unknown.notes(tokens, text)}


def test_unknown_words_are_counted_by_split() -> None:
    """As many as there are, of all targets, `<eos>` counted; three words of ten are 30 %."""
    notes = found(train="a b c <unk>\n", valid="a b x y z a b a b\n", test="q\n")
    assert notes["unknown"].counts == {"train": 0, "valid": 3, "test": 1}
    assert "valid 3 of 10 targets (30.0 %)" in notes["unknown"].sentence
    assert "test 1 of 2 targets (50.0 %)" in notes["unknown"].sentence
    assert not notes["unknown"].warns
    assert set(notes) == {"unknown"}


def test_a_vocabulary_that_lacks_nothing_says_so() -> None:
    """The one sentence is there for every corpus."""
    assert "none" in found()["unknown"].sentence
    assert set(found()) == {"unknown"}


@pytest.mark.parametrize(
    ("valid", "counts"),
    [
        pytest.param("a x x\n", {"train": 0, "valid": 2, "test": 0}, id="unknown-words"),
        pytest.param("a <unk>\n", {"train": 0, "valid": 1, "test": 0}, id="written-in-valid-alone"),
    ],
)
def test_an_unknown_that_was_never_trained_is_warned_of(
    valid: str, counts: Mapping[str, int]
) -> None:
    """Each such target costs what an untrained word costs, made or written."""
    assert found(valid=valid)["untrained"].counts == counts


@pytest.mark.parametrize(
    "train", [pytest.param("a a <unk>\n", id="written"), pytest.param("a a b\n", id="made")]
)
def test_an_unknown_that_is_trained_is_not_warned_of(train: str) -> None:
    """Whether the text writes `<unk>` or rare words become it."""
    assert "untrained" not in found(Text(min_count=2), train=train, valid="x\n")


@pytest.mark.parametrize("train", ["a b c\n", "a a b b\n", "a a a a a\n"])
def test_the_least_min_count_that_trains_it_is_the_mend(train: str) -> None:
    """The count that the warning names makes `<unk>` a target, one less does not."""
    sentence = found(train=train, valid="x\n")["untrained"].sentence
    least = next(count for count in range(1, 9) if f"--set text.min_count={count}," in sentence)
    assert f"{{min_count = {least}}}" in sentence
    assert "untrained" not in found(Text(min_count=least), train=train, valid="x\n")
    assert "untrained" in found(Text(min_count=least - 1 or 1), train=train, valid="x\n")


@pytest.mark.parametrize(
    "word", ["<UNK>", "UNK", "[UNK]", "unk", "<Unk>", "<unknown>", "@unk@", "__unk__", "<oov>", "⁇"]
)
def test_another_spelling_of_unknown_is_warned_of(word: str) -> None:
    """It is a word of its own, counted by split, and the warning says what to write."""
    note = found(train=f"a {word}\n", valid=f"a {word} {word}\n")["spelling"]
    assert note.counts == {"train": 1, "valid": 2, "test": 0}
    assert word in note.sentence
    assert "write <unk>" in note.sentence


@pytest.mark.parametrize("word", ["<unk>", "unknown", "(unknown)", "unks", "trunk", "Funk", "rare"])
def test_an_ordinary_word_is_no_spelling_of_it(word: str) -> None:
    """A word is none for holding those letters."""
    assert "spelling" not in found(train=f"a {word}\n")


def test_lower_case_mends_a_spelling_that_it_makes_right() -> None:
    """`<UNK>` in lower case is `<unk>`; `UNK` is not, and no such mend is named."""
    assert "text.lowercase=true" in found(train="a <UNK>\n")["spelling"].sentence
    assert "text.lowercase=true" not in found(train="a UNK\n")["spelling"].sentence
    assert "spelling" not in found(Text(lowercase=True), train="a <UNK>\n")


@pytest.mark.parametrize("char", ["\ufeff", "\u200b", "\u2060", "\u00ad"])
@pytest.mark.parametrize("word", ["{}a", "a{}a", "{}"], ids=["before", "inside", "alone"])
def test_a_character_that_nobody_sees_is_warned_of(char: str, word: str) -> None:
    """Its number and the words that it makes others of, shown so that it is seen."""
    note = found(train="a a\n", test=f"{word.format(char)} a\n")["invisible"]
    assert note.counts == {"train": 0, "valid": 0, "test": 1}
    assert f"U+{ord(char):04X}" in note.sentence
    assert char not in note.sentence


@pytest.mark.parametrize(
    ("train", "valid", "form", "known"),
    [
        pytest.param("caf\u00e9 a\n", "cafe\u0301 x\n", "NFC", 1, id="decomposed"),
        pytest.param("cafe\u0301 a\n", "caf\u00e9 caf\u00e9 x\n", "NFC", 2, id="composed"),
        pytest.param("\u1112\u1161\u11ab a\n", "\ud55c\n", "NFC", 1, id="Hangul"),
        pytest.param("office a\n", "o\ufb03ce \uff41\n", "NFKC", 2, id="ligature-and-wide"),
    ],
)
def test_unicode_forms_that_explain_unknown_words_are_warned_of(
    train: str, valid: str, form: str, known: int
) -> None:
    """How many would be known, and the option that makes them so."""
    before = found(train=train, valid=valid)
    assert before["form"].counts == {"valid": known, "test": 0}
    assert f"--set text.normalize={form}," in before["form"].sentence
    mended = found(Text.model_validate({"normalize": form}), train=train, valid=valid)
    left = before["unknown"].counts["valid"] - mended["unknown"].counts["valid"]
    assert left == known
    assert "form" not in mended


def test_case_that_explains_unknown_words_is_warned_of() -> None:
    """How many of how many would be known; the option makes just so many known."""
    texts = {"train": "the cat sat\n", "valid": "The Cat ran\n", "test": "THE DOG\n"}
    before = found(**texts)
    assert before["case"].counts == {"valid": 2, "test": 1}
    assert before["case"].sentence.startswith("3 of the 5 unknown targets")
    mended = found(Text(lowercase=True), **texts)["unknown"].counts
    assert mended == {"train": 0, "valid": 1, "test": 1}


def test_case_that_explains_little_is_not_mentioned() -> None:
    """One of thirty unknown words is no reason to lower the case of a text."""
    names = " ".join(f"n{number}" for number in range(29))
    assert "case" not in found(train="a b\n", valid=f"A {names}\n")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder whose texts have an unknown word, an `<eos>` and a mark inside a text."""
    for split, lines in {"train": "a b <eos>\n", "valid": "a x\n", "test": "\ufeffa\n"}.items():
        (tmp_path / f"{split}.txt").write_text(lines)
    (tmp_path / "test.txt").write_text("b\n\ufeffa\n")
    return tmp_path


def test_a_corpus_has_what_was_found_in_it(texts: Path) -> None:
    """The notes on its lines and on its unknown words, and the positions of those."""
    corpus = load_corpus(str(texts))
    kinds = [note.kind for note in corpus.notes]
    assert kinds == ["written-eos", "unknown", "untrained", "invisible"]
    assert corpus.unknown["valid"].tolist() == [1]
    assert corpus.unknown["test"].tolist() == [2]
    assert load_corpus("toy").notes[0].counts == {"train": 0, "valid": 0, "test": 0}
