"""SVG made fit to stand inside a page: its own ids, the page's colours, no prologue."""

import re

from ablate.report.kinds import BETWEEN, BOTH, INSIDE, NOWHERE
from ablate.report.style import DIVERGED, FAINT, GRID, INK, PAPER, RULE, TRAIN

# Each colour of the figures is a variable of the page, so that a dark page has dark figures.
VARIABLES = {
    PAPER: "paper",
    INK: "ink",
    FAINT: "faint",
    RULE: "rule",
    GRID: "grid",
    NOWHERE.colour: "nowhere",
    BETWEEN.colour: "between",
    INSIDE.colour: "inside",
    BOTH.colour: "both",
    TRAIN: "train",
    DIVERGED: "diverged",
}

_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
_ID = re.compile(r'(\bid="|url\(#|href="#)')
_SIZE = re.compile(r' (?:width|height)="[^"]*"')
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_TAG = re.compile(r"<[^>]*>")


def inline(svg: str, *, name: str, title: str) -> str:
    """Return a figure's SVG as an element of a page; `name` is unique on it, `title` read aloud."""
    text = _METADATA.sub("", _PROLOGUE.sub("", svg, count=1))
    # Within tags alone: a name may hold what looks like an id or a colour.
    text = _TAG.sub(lambda tag: _ID.sub(rf"\g<1>{name}-", tag[0]), text)
    # Settings for the whole document, in matplotlib's eyes; here for this figure alone.
    text = text.replace("*{stroke-linejoin", f"#{name} *{{stroke-linejoin")
    head, body = text.split(">", 1)
    head = _SIZE.sub("", head)
    body = _TAG.sub(lambda tag: _COLOUR.sub(lambda found: _variable(found[0]), tag[0]), body)
    return f'{head} id="{name}" role="img" aria-label="{title}">{body}'


def _variable(colour: str) -> str:
    name = VARIABLES.get(colour)
    return f"var(--{name}, {colour})" if name else colour
