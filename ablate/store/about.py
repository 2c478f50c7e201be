"""What a store says of the study that filled it: its question, and the file that asked it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ablate.store.files import write_text

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

    @classmethod
    def of(cls, path: Path, question: str, *, shipped: bool = False) -> "About":
        """What a store keeps of the study file at `path`."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(question, str(path.resolve()), digest, shipped)


def read_about(folder: Path) -> About | None:
    """Return what the store in `folder` says of its study; None where it says nothing readable."""
    try:
        return About(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_about(folder: Path, about: About) -> None:
    """Keep `about` in the store's folder; AblateError where it cannot be written."""
    write_text(json.dumps(asdict(about), indent=1) + "\n", folder / FILE)
