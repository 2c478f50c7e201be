"""Commands that a user can paste: words are quoted for a shell where necessary."""

import shlex
from pathlib import Path

from ablate.errors import printable


def command(
    verb: str,
    *words: object,
    study: object = None,
    profile: str | None = None,
    results: Path | str | None = None,
) -> str:
    """Spell `ablate VERB --study S --profile P --results DIR WORDS`, without options that are None.

    `study` is a name that `ablate studies` lists or the path of a file. The default folder of
    `results` is left out.
    """
    given = ["ablate", verb]
    given += ["--study", str(study)] if study is not None else []
    given += ["--profile", profile] if profile is not None else []
    if results is not None and str(results) != "results":
        given += ["--results", str(results)]
    return " ".join(_quoted(word) for word in [*given, *map(str, words)])


def _quoted(word: str) -> str:
    """Quote a word for a shell; a word that is not valid text is spelled `$'...'` by bytes."""
    if printable(word) == word:
        return shlex.quote(word)
    spelled = (
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}"
        for byte in word.encode("utf-8", "surrogateescape")
    )
    return f"$'{''.join(spelled)}'"
