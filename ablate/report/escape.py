"""Names and numbers as text of LaTeX and Markdown: every sign once, in one pass."""

import re

from ablate.report.numbers import MINUS, NOTHING, PLUS_MINUS

# What LaTeX reads as a command, sets in mathematics, or has no sign for in its first encoding.
_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"$<$", ">": r"$>$", "|": r"\textbar{}",
    # After the end of a row they would be read as its options.
    "[": "{[}", "*": "{*}",
    MINUS: "$-$", PLUS_MINUS: r"$\pm$", "\N{MULTIPLICATION SIGN}": r"$\times$", NOTHING: "--",
    "\N{EM DASH}": "---", "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
}  # fmt: skip

_MARKDOWN = {sign: f"\\{sign}" for sign in "\\|*`$["} | {"<": r"\<"}

# Before another hyphen one is an option's, and no half of a dash.
_TEX_SIGNS = re.compile("|".join([*map(re.escape, _TEX), "-(?=-)"]))
# A sign of less is one only before a letter: elsewhere it begins no tag. An underscore between
# letters is no emphasis.
_MARKDOWN_SIGNS = re.compile(r"[\\|*`$[]|<(?=[A-Za-z/!?])|(?<![^\W_])_|_(?![^\W_])")
_BREAKS = re.compile(r"\s+")


def tex(text: str) -> str:
    """The text as LaTeX sets it, in one line."""
    return _TEX_SIGNS.sub(lambda found: _TEX.get(found[0], "-{}"), _one_line(text))


def markdown(text: str) -> str:
    """The text as an entry of a Markdown table shows it, in one line."""
    return _MARKDOWN_SIGNS.sub(
        lambda found: _MARKDOWN.get(found[0], rf"\{found[0]}"), _one_line(text)
    )


def _one_line(text: str) -> str:
    return _BREAKS.sub(" ", text)
