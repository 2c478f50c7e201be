"""What a user is told: a sentence that says what is wrong, what is allowed and what to do."""

import difflib
import traceback
from collections.abc import Callable, Iterable


class AblateError(Exception):
    """A mistake that a user can mend; the command line prints it and exits with code 2.

    The sentence is for people. A program, or a test, reads the class and the fields: `given`, what
    was not taken, and `allowed`, what would have been; None where the sentence speaks of neither.
    """

    def __init__(self, sentence: str = "", *, given: object = None, allowed: object = None) -> None:
        super().__init__(sentence)
        self.given = given
        self.allowed = allowed

    def __reduce__(self) -> tuple[Callable[..., "AblateError"], tuple[object, ...]]:
        # Workers send errors to the driver: a class whose arguments are not its sentence is made
        # again from what it became.
        return _again, (type(self), str(self), self.__dict__)


class UnknownName(AblateError):
    """A name that nothing of its `kind` has.

    The sentence names the nearest that there is; where none is near, it lists all that is allowed,
    or says what `else_` says. kind: the word for what was looked up, as in "no strategy is called".
    """

    def __init__(
        self, kind: str, given: str, allowed: Iterable[str], *, else_: str | None = None
    ) -> None:
        names = tuple(allowed)
        there_are = f"there are {', '.join(names)}" if names else "there are none yet"
        rest = did_you_mean(given, names) or f"; {else_ or there_are}"
        super().__init__(f"no {kind} is called '{given}'{rest}", given=given, allowed=names)
        self.kind = kind


class WrongValue(AblateError):
    """A value that `name` does not take: "`name` takes `allowed`, got `given`; `mend`".

    allowed: what it takes, in words; mend: what to do, or the empty string.
    """

    def __init__(self, name: str, allowed: str, given: object, *, mend: str = "") -> None:
        sentence = f"{name} takes {allowed}, got {given!r}" + (f"; {mend}" if mend else "")
        super().__init__(sentence, given=given, allowed=allowed)
        self.name = name


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


def _again(kind: type[AblateError], sentence: str, fields: dict[str, object]) -> AblateError:
    error = kind.__new__(kind)
    AblateError.__init__(error, sentence)
    error.__dict__.update(fields)
    return error
