"""One look for all figures: sizes for a page of a paper, text that stays text, files that repeat.

Figures are `matplotlib.figure.Figure` values without pyplot: no global state and no window. A
user's matplotlibrc is left out: equal results make equal files on every machine.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

# The width of a page's text in inches; type is set in points for that width.
WIDTH = 7.0
DPI = 200
SMALL = 7.5

INK = "#1f2328"
FAINT = "#6e7781"
RULE = "#d0d7de"
GRID = "#e6e9ec"
PAPER = "#ffffff"
TRAIN = "#e69f00"
VALID = "#0072b2"
DIVERGED = "#a40e4c"
# Of changes: red is a loss that rises. Numbers on its dark and on its pale cells.
CHANGES = "RdBu_r"
BRIGHT, DARK = "#fefefe", "#262626"

# DejaVu Sans comes with matplotlib, so a layout settled here is the same everywhere.
_LOOK: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.bottom": True,
    "ytick.left": True,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.3,
    # Text is measured at the resolution at which it is printed, and without hints it is as wide in
    # the SVG: a layout that fits here fits in each file.
    "figure.dpi": DPI,
    "text.hinting": "no_hinting",
    # A dollar in a name is a dollar.
    "text.parse_math": False,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.h_pad": 0.05,
    "svg.fonttype": "none",
    # Equal figures are equal files: ids in the SVG are drawn from this, not from a clock.
    "svg.hashsalt": "ablate",
}

P = ParamSpec("P")


@contextmanager
def look() -> Iterator[None]:
    """The project's settings on matplotlib's defaults, for the length of a `with` block."""
    # The backend is the process's: figures without pyplot choose their canvas by the format.
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    settings: dict[Any, Any] = {**defaults, **sns.axes_style("whitegrid"), **_LOOK}
    with warnings.catch_warnings(), mpl.rc_context(settings):
        # Once for each character and each measure of a text; `lacking` says it once.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that returns a figure: drawn with the project's look, and settled."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with look():
            figure = draw(*args, **kwargs)
            settle(figure)
        return figure

    return drawn


def settle(figure: Figure) -> None:
    """Fix the layout, so that what is measured in pixels stays true and no file lays out anew."""
    engine = figure.get_layout_engine()
    if engine is not None:
        # Ticks are chosen for the axes as they were before; the second time they fit.
        engine.execute(figure)
        engine.execute(figure)
        # Not "none", which leaves an engine that does nothing, and with it one more drawing a file.
        figure.set_layout_engine(None)


def lacking(text: str) -> list[str]:
    """The signs of `text`, each once, that the figures' typeface does not have."""
    known = get_font(findfont(_LOOK["font.family"])).get_charmap()
    return [sign for sign in dict.fromkeys(text) if ord(sign) not in known and not sign.isspace()]


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    return _saved(figure, format="png", dpi=DPI, metadata={"Software": "ablate"})


def svg(figure: Figure) -> str:
    """The figure as SVG; its text is text, set in DejaVu Sans or its near relative Verdana."""
    plain = _saved(figure, format="svg", metadata={"Date": None, "Creator": "ablate"}).decode()
    return plain.replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif")


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, **options)
    return buffer.getvalue()
