"""What a store says of the study that filled it: its question, and the file that asked it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ablate.errors import AblateError
from ablate.files import write_whole
from ablate.store.files import writing
from ablate.store.studies import is_path, is_shipped

FILE: Final = "study.json"


@dataclass(frozen=True, slots=True)
class About:
    """The study file of a store: `path` is absolute, `digest` the SHA-256 of its bytes.

    `shipped` files come with ablate, whose folder moves from one installation to the next.
    """

    question: str
    path: str
    digest: str
    shipped: bool = False

    @property
    def name(self) -> str:
        """What `--study` takes to find this study again: its name, or else the path of its file."""
        path = Path(self.path)
        if self.shipped or path == Path("studies").resolve() / path.name:
            return path.stem
        here = Path.cwd()
        shown = str(path.relative_to(here) if path.is_relative_to(here) else path)
        return shown if is_path(shown) else f"./{shown}"

    @classmethod
    def of(cls, path: Path, question: str) -> "About":
        """What a store keeps of the study file at `path`."""
        return cls(question, str(path.resolve()), _digest_of(path), is_shipped(path))


def read_about(folder: Path) -> About | None:
    """Return what the store in `folder` says of its study; None where it says nothing readable."""
    try:
        about = About(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        known = all(isinstance(text, str) for text in (about.question, about.path, about.digest))
        return about if known else None
    except (OSError, ValueError, TypeError):
        return None


def refuse_other(known: About | None, given: About, folder: Path) -> None:
    """Raise AblateError where the store in `folder` is that of a study file other than `given`.

    A file that moved, one that was edited, a copy, and the shipped one of another installation are
    no other. A file that cannot be read is as one that is gone.
    """
    if known is None or known.path == given.path or (known.shipped and given.shipped):
        return
    try:
        now = _digest_of(Path(known.path))
    except (OSError, ValueError):
        now = None
    if (now is None and not known.shipped) or given.digest in (known.digest, now):
        return
    raise AblateError(
        f"{folder} holds the results of the study file {known.path}, and {given.path} is another "
        "file of that name: two studies never share a folder; name another one with --results DIR, "
        "or rename the file",
        given=given.path,
        allowed=known.path,
    )


def write_about(folder: Path, about: About) -> None:
    """Keep `about` in the store's folder; AblateError where it cannot be written."""
    text = json.dumps(asdict(about), indent=1) + "\n"
    with writing(folder):
        write_whole(folder / FILE, lambda file: file.write(text.encode()))


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
