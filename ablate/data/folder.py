"""A folder of plain text as a corpus: one UTF-8 file for each split, one sentence a line."""

from pathlib import Path

from ablate.data.note import visible
from ablate.errors import AblateError

#: The allowed file names of each split, in order of preference.
NAMES = {split: (f"{split}.txt", f"ptb.{split}.txt") for split in ("train", "valid", "test")}

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_WANTED = "give plain UTF-8 text, words separated by spaces and one sentence a line"


def read_folder(folder: Path) -> dict[str, str]:
    """Return the texts of the splits `train`, `valid` and `test` in `folder`.

    Raises `AblateError` for a folder or file that cannot be read, for missing splits (naming all of
    them), and for a file that is empty or not text.
    """
    where = visible(str(folder))
    try:
        present = {path.name for path in folder.iterdir()}
    except (OSError, ValueError) as error:
        raise AblateError(
            f"the corpus folder {where} cannot be read: {_reason(error)}; a corpus is a folder "
            "with train.txt, valid.txt and test.txt"
        ) from None
    missing = [split for split, names in NAMES.items() if not present.intersection(names)]
    if missing:
        raise AblateError(
            f"the corpus folder {where} has no {' and no '.join(f'{s}.txt' for s in missing)}; "
            "a corpus is train.txt, valid.txt and test.txt (or ptb.train.txt and so on), "
            f"but the folder holds {_listing(present)}"
        )
    return {
        split: read_text(folder / next(name for name in names if name in present))
        for split, names in NAMES.items()
    }


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark.

    Raises `AblateError` for a file that cannot be read, is binary, or has no word.
    """
    where = visible(str(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AblateError(f"the corpus file {where} cannot be read: {_reason(error)}") from None
    if content.startswith(_UTF16):
        raise AblateError(f"the corpus file {where} is UTF-16 text; save it as UTF-8: {_WANTED}")
    zero = content.find(b"\0")
    if zero >= 0:
        raise AblateError(
            f"the corpus file {where} is not text: byte {zero} is zero, as in binary files; "
            + _WANTED
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AblateError(
            f"the corpus file {where} is not text: byte {error.start} is not UTF-8; {_WANTED}"
        ) from None
    if not text.strip():
        raise AblateError(
            f"the corpus file {where} is empty: it holds no word, and each split needs at least one"
        )
    return text


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _listing(names: set[str], limit: int = 6) -> str:
    if not names:
        return "nothing"
    rest = len(names) - limit
    return ", ".join(map(visible, sorted(names)[:limit])) + (
        f" and {rest} more" if rest > 0 else ""
    )
