"""Lines and their words: what ends a line, what splits it, and its one `<eos>`."""

import pytest

from ablate.data import lines
from ablate.data.lines import split_lines, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("a b\nc\n", "a b <eos> c <eos>", id="lines"),
        pytest.param(" a  b \t\n", "a b <eos>", id="odd-space"),
        pytest.param("a\n\nb\n", "a <eos> <eos> b <eos>", id="empty-line"),
        pytest.param("a", "a <eos>", id="no-last-line-end"),
        pytest.param("a\n ", "a <eos> <eos>", id="blank-last-line"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_every_line_ends_with_eos(text: str, tokens: str) -> None:
    """A text is split at white space and each line closed by `<eos>`."""
    assert tokenize(text) == tokens.split()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("last", [True, False], ids=["closed", "open"])
def test_every_systems_line_end_ends_a_line(end: str, last: bool) -> None:
    """Line feed, carriage return, or both in a row make the same lines, the last one too."""
    text = end.join(["a b", "", "c"]) + (end if last else "")
    assert tokenize(text) == "a b <eos> <eos> c <eos>".split()


def test_line_ends_of_several_systems_may_meet_in_one_text() -> None:
    """Each ends one line wherever it stands; CR before CRLF is an empty line."""
    assert split_lines("a\rb\r\nc\nd\r\r\ne") == [["a"], ["b"], ["c"], ["d"], [], ["e"]]


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c", "\xa0"])
def test_nothing_else_ends_a_line(char: str) -> None:
    """What Unicode also calls a line's end is white space between two words."""
    assert tokenize(f"a{char}b\n") == ["a", "b", "<eos>"]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        pytest.param("a b <eos>\nc <eos>\n", "a b\nc\n", id="all-lines"),
        pytest.param("a b <eos>\nc\n", "a b\nc\n", id="one-line"),
        pytest.param("a b <eos> \t\r\nc<eos>\n", "a b\nc<eos>\n", id="space-after"),
        pytest.param("<eos>\na <eos>", "\na", id="empty-line-and-last"),
    ],
)
def test_a_line_that_writes_its_own_eos_has_just_that_one(written: str, plain: str) -> None:
    """Text with and without it has the same tokens."""
    assert tokenize(written) == tokenize(plain)


def test_eos_inside_a_line_is_a_token() -> None:
    """Nothing is taken away but the doubling of the last."""
    assert tokenize("a <eos> b\n<eos> <eos>\n") == "a <eos> b <eos> <eos> <eos>".split()


def test_what_was_done_with_eos_is_counted_and_said() -> None:
    """Written ends and those inside lines are notes by split; a text without them has none."""
    found = {note.kind: note for note in lines.notes({"train": "a <eos>\n<eos> b\n", "valid": "a"})}
    assert found["written-eos"].counts == {"train": 1, "valid": 0}
    assert found["inner-eos"].counts == {"train": 1, "valid": 0}
    assert not any(note.warns for note in found.values())
    assert "train 1" in found["written-eos"].sentence
    assert list(lines.notes({"train": "a b\n\n", "valid": "a"})) == []


@pytest.mark.parametrize("mark", ["</s>", "<s>", "<EOS>", "[EOS]", "<bos>", "<|endoftext|>"])
@pytest.mark.parametrize("line", ["a b {}\n", "{} a b\n"], ids=["end", "begin"])
def test_another_tools_mark_at_lines_is_warned_of(mark: str, line: str) -> None:
    """It is a word that is nearly certain each time; counted by lines."""
    (note,) = lines.notes({"train": line.format(mark) * 3, "valid": "a\n"})
    assert (note.kind, note.counts, note.warns) == ("other-mark", {"train": 3, "valid": 0}, True)
    assert mark in note.sentence


@pytest.mark.parametrize("word", ["s", "eos", ".", "<unk>", "(s)", "<seos>"])
def test_an_ordinary_word_at_lines_is_no_mark(word: str) -> None:
    """A word is no mark for having its letters."""
    assert list(lines.notes({"train": f"a {word}\n"})) == []
