"""What a user is told: a sentence that says what is wrong, what is allowed and what to do."""

import difflib
import traceback
from collections.abc import Iterable


class AblateError(Exception):
    """A mistake that a user can mend; the command line prints it and exits with code 2."""


class AblateWarning(UserWarning):
    """Something that the user should know and that stops nothing; the command line prints it."""


def printable(text: str) -> str:
    """Return `text` with each code that UTF-8 has no bytes for written out: `\\udcff`.

    Names of files that are not text in the system's encoding have such codes, and so may whatever
    another's code says.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def in_words(error: BaseException) -> str:
    """Return what another's code raised, with its class; a sentence of ablate's stands alone."""
    if isinstance(error, AblateError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}"


def line_in(file: str, error: BaseException) -> int | None:
    """Return the line of `file` at which an error was raised, or what it called; None for none."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return lines[-1] if lines else None


def quoted(words: Iterable[str]) -> str:
    """Return `"'none', 'naive'"`: names that a sentence cannot be mistaken for."""
    return ", ".join(f"'{word}'" for word in words)


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the nearest allowed word, or the empty string."""
    words = list(allowed)
    # By letters first; "nfc" has none of those of "NFC".
    near = difflib.get_close_matches(given, words, n=1, cutoff=0.6)
    near = near or [word for word in words if word.casefold() == given.casefold()]
    return f"; did you mean '{near[0]}'?" if near else ""
