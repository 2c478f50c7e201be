"""What a terminal can show: its width, and stand-ins for characters that its encoding lacks."""

import codecs
import io
import os
import re
import sys
from typing import Final

# Narrower than this no table can be read.
_FEWEST: Final = {"COLUMNS": 40, "LINES": 8}
_PLAIN: Final = "ablate.plain"
_STAND_INS: Final = {
    "±": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "—": "-",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "→": ">",
    "←": "<",
    "…": "...",
    "·": ".",
    "●": "*",
    "○": "o",
    "▲": "^",
    "▶": ">",
    "━": "-",
    "╸": "-",
    "╺": "-",
    "─": "-",
    "│": "|",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": '"',
    "”": '"',
    "\xa0": " ",
} | dict.fromkeys("┌┐└┘├┤┬┴┼", "+")


def prepare() -> None:
    """Let nothing that is printed fail for an encoding (ASCII, cp1252) or for a width.

    A character that the encoding lacks has a stand-in. A width or height in the environment that is
    none is passed over, as a shell does.
    """
    codecs.register_error(_PLAIN, _plain)
    for stream in (sys.stdout, sys.stderr):
        # What stands in for a stream (a notebook's, a test's) may have no encoding of its own.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)
    for name, fewest in _FEWEST.items():
        given = os.environ.get(name)
        if given is None:
            continue
        if re.fullmatch(r"0*[1-9][0-9]{0,4}", given, re.ASCII) is None:
            del os.environ[name]
        elif int(given) < fewest:
            os.environ[name] = str(fewest)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Stand-ins for what an encoding lacks; what has none is spelled as Python would."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = (_STAND_INS.get(c) or c.encode("ascii", "backslashreplace").decode() for c in missing)
    return "".join(plain), error.end
