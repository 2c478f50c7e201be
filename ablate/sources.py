"""How a placement's text names a noise or a schedule, with a digest of a plugin's source.

A result's key is made of that text. Built-in ones are identified by name, since SEMANTICS versions
what they do. A plugin's text holds the digest of its source, so a changed equation changes the key.
"""

import dataclasses
import functools
import hashlib
import inspect
import re
from pathlib import Path
from typing import Any, Final

from ablate.errors import AblateError

#: How a plugin's noise or schedule is written, for the error about an unknown name.
WRITTEN: Final = "another package's is written NAME#digest"

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*")
# A value may not contain the separators of a placement's text.
_VALUE: Final = re.compile(r"[\w.+-]+")
_FROM_ELSEWHERE: Final = re.compile(r"[A-Z][A-Z0-9_]*#[0-9a-f]{8}(,\w+=[\w.+-]+)*")


def text_of(value: Any) -> str:
    """The canonical text of a noise or a schedule: `GAUSSIAN`, `STUDENT#1a2b3c4d,df=3.0`.

    A plugin's has the first 8 hexadecimal digits of the sha256 of its source file, and its fields
    other than `name`. Raises AblateError if it has no source file or a field has no text.
    """
    own = type(value)
    if built_in(own.__module__):
        return value.name
    if not _NAME.fullmatch(value.name):
        raise AblateError(
            f"the name of {own.__name__} is of capital letters, digits and '_', such as STUDENT_T, "
            f"got {value.name!r}",
            given=value.name,
        )
    fields = (field.name for field in dataclasses.fields(value) if field.name != "name")
    parts = [f"{value.name}#{_digest_of(own)}"]
    parts += [f"{name}={_spell(own, name, getattr(value, name))}" for name in fields]
    return ",".join(parts)


def from_elsewhere(text: str) -> bool:
    """Whether a canonical text names a plugin's noise or schedule."""
    return bool(_FROM_ELSEWHERE.fullmatch(text))


def built_in(module: str) -> bool:
    """Whether a module of this name is part of ablate."""
    return module.partition(".")[0] == "ablate"


def digest(content: bytes) -> str:
    """The first 8 hexadecimal digits of the sha256 of a source."""
    return hashlib.sha256(content).hexdigest()[:8]


@functools.cache
def _digest_of(own: type) -> str:
    try:
        return digest(Path(inspect.getfile(own)).read_bytes())
    except (OSError, TypeError) as error:
        raise AblateError(
            f"{own.__name__} of module {own.__module__} has no source file, so that no result "
            "could say what it was; write it into a file"
        ) from error


def _spell(own: type, name: str, value: object) -> str:
    text = repr(value) if isinstance(value, bool | int | float) else value
    if not isinstance(text, str) or not _VALUE.fullmatch(text):
        raise AblateError(
            f"field '{name}' of {own.__name__} enters each result's key: it takes a number, a "
            f"truth value or one word, got {value!r}",
            given=value,
        )
    return text
