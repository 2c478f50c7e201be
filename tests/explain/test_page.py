"""What `ablate explain` prints, at the widths that terminals have and without one."""

import io

import pytest
from rich.console import Console

from ablate.drops import ALL, GROWING, Drop, Sharing
from ablate.edges import Edge
from ablate.errors import UnknownName, WrongValue
from ablate.explain import render
from ablate.explain.describe import sharing_words
from ablate.explain.drawing import draw
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.strategies import names, strategy


def _print(name, width=80, encoding="utf-8", layers=2, n=2, point=None, **arguments):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=stream, width=width)
    render(name, arguments | (point or {}), console=console, layers=layers, n=n)
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", names())
def test_every_strategy_fits_every_width(name, width):
    """No line is wider than the console, no colour code is written without a terminal."""
    text = _print(name, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert f"\n{name}(" in "\n" + text


def test_zaremba_in_words():
    """Edges, rate, sharing, fill, scale, plan, reason and counts all stand on the page."""
    text = _print("zaremba2014")
    assert "zaremba2014(rate=0.5)\narXiv:1409.2329, ablate" in text
    assert "INTERLAYER  0.5   each step, each row  ZERO  TRAIN  outside      silent" in text
    assert "training: fused." in text
    assert "INPUT acts on the layer's whole input." in text
    assert "from the word at t-2 to the prediction at t+2, 2 layers:" in text
    assert "fewest 3: INPUT, INTERLAYER, OUTPUT" in text
    assert "most   3: INPUT, INTERLAYER, OUTPUT" in text


def test_naive_counts_in_words():
    """A repeated touch is told with its number."""
    assert "most   7: INPUT, RECURRENT x 4, INTERLAYER, OUTPUT" in _print("naive")


@pytest.mark.parametrize(
    ("edge", "legend"),
    [
        pytest.param(Edge.OUTPUT, "● multiplies by noise; equal", id="alone"),
        pytest.param(Edge.VERTICAL, "● drops to zero or multiplies by noise; equal", id="beside"),
    ],
)
def test_a_noise_is_no_zero(own_strategies, edge, legend):
    """The legend says that a mark multiplies, and the noise stands under a heading that fits."""

    @strategy()
    def noisy() -> Placement:
        """Multiply the output by noise, and drop where else there is something to drop."""
        silent = Placement({edge: Drop(0.25)}) - Edge.OUTPUT
        return silent | Placement({Edge.OUTPUT: Drop(0.25, noise=GAUSSIAN)})

    text = _print("noisy", width=120)
    assert legend in text
    assert "one decision         fill or noise" in text
    assert "each step, each row  GAUSSIAN" in text
    assert "fill or noise" not in _print("zaremba2014", width=120)


def test_arguments_reach_the_page():
    """What is given is what is explained."""
    text = _print("recurrent", rate=0.4, sharing="window")
    assert "recurrent(rate=0.4, sharing='window', layers='all')" in text
    assert "once a window" in text


def test_the_drawing_of_a_net():
    """Marks stand where masks act: fresh ones are numbered by step, shared ones by one number."""
    placement = Placement(
        {
            Edge.OUTPUT: Drop(0.5),
            Edge.RECURRENT: Drop(0.25, Sharing(time=ALL)),
            Edge.CELL: Drop(0.1),
        }
    )
    assert draw(placement, 1, (-1, 0)).splitlines() == [
        "                            y(t-1)              y(t)",
        "                            ▲                   ▲",
        "                            │                   │",
        "OUTPUT 0.5                  ●1                  ●2",
        "layer 1               ┌─────┴─────┐       ┌─────┴─────┐",
        "                  ───▶│ c         │──────▶│ c         │───",
        "CELL 0.1              │ c~   ●1   │       │ c~   ●2   │",
        "RECURRENT 0.25    ─●1▶│ s         │────●1▶│ s         │───",
        "                      └─────▲─────┘       └─────▲─────┘",
        "                            │                   │",
        "                            w(t-1)              w(t)",
    ]


def test_a_held_state_is_marked_where_it_is_written():
    """HOLD on RECURRENT stands on the way out of a box, ZERO on the way in."""
    text = _print("zoneout", upward=False)
    assert "│ s         │─≈1───▶│ s         │─≈2───▶│" in text


def test_rates_by_layer_are_drawn_by_layer():
    """A layer whose rate is zero carries no mark."""
    placement = Placement({Edge.HIDDEN: Drop((0.5, 0.0, 0.25))})
    drawn = draw(placement, 3, (0,))
    assert drawn.count("HIDDEN") == 2
    assert drawn.index("HIDDEN 0.25") < drawn.index("layer 2") < drawn.index("HIDDEN 0.5")


@pytest.mark.parametrize(
    ("rule", "words", "marked"),
    [
        ("top", "0.25, top layer", [3]),
        ("bottom", "0.25, bottom layer", [1]),
        ("growing", "growing to 0.25", [3, 2, 1]),
    ],
)
def test_a_rule_by_layer_is_drawn_where_it_acts(rule, words, marked):
    """The table says the rule, the drawing has marks at the layers that drop."""
    text = _print("recurrent", 120, layers=3, point={"layers": rule})
    assert f"layers='{rule}')" in text
    assert words in text
    boxes = text[text.index("layer 3") :].split("layer ")[1:4]
    assert [int(box[0]) for box in boxes if "RECURRENT 0." in box.split("w(t")[0]] == marked
    drawn = draw(Placement({Edge.INTERLAYER: Drop(0.25, layers=GROWING)}), 4, (0,))
    assert "INTERLAYER 0.0833 " in drawn


def test_a_plain_terminal_gets_plain_characters():
    """An encoding without box characters still gets a picture."""
    text = _print("zoneout", encoding="ascii", upward=False)
    assert "| s         |-~1--->| s" in text
    assert "o drops to zero; ~ holds the old value" in text


def test_more_columns_show_more_steps():
    """80 columns hold three steps, 120 five."""
    assert "y(t+2)" not in _print("none", 80)
    assert "y(t+2)" in _print("none", 120)


def test_nothing_dropped_is_said():
    """A silent placement has no table of edges and counts nothing."""
    text = _print("none")
    assert "No mask anywhere." in text
    assert "one decision" not in text
    assert "fewest 0\n" in text


@pytest.mark.parametrize(
    ("sharing", "words"),
    [
        pytest.param(Sharing(time=1, batch=1, unit=1), "each step, each row", id="fresh"),
        pytest.param(
            Sharing(time=ALL, batch=1, unit=1, gate=1),
            "once a window, each row, each gate",
            id="gal",
        ),
        pytest.param(
            Sharing(time=10, batch=4, unit=2), "each 10 steps, each 4 rows, each 2 units", id="many"
        ),
        pytest.param(
            Sharing(source=1, unit=1, gate=1), "once a window, each weight", id="drop-connect"
        ),
        pytest.param(
            Sharing(time=ALL, word=1, batch=ALL, unit=ALL, update=3),
            "once a window, each word, whole batch, all units, kept for 3 windows",
            id="words",
        ),
        pytest.param(
            Sharing(time=1, batch=1, unit=1, gate=ALL, update=2, direction=ALL),
            "each step, each row, both directions, kept for 2 windows",
            id="both-directions",
        ),
        pytest.param(
            Sharing(time=1, batch=1, unit=1, update=ALL),
            "each step, each row, the same in all windows",
            id="frozen",
        ),
    ],
)
def test_sharing_in_words(sharing, words):
    """How far a decision reaches can be read without knowing the axes."""
    assert sharing_words(sharing) == words


@pytest.mark.parametrize("size", [{"layers": 65}, {"layers": 100_000}, {"n": 1001}], ids=str)
def test_a_net_without_end_is_refused(size, refused):
    """Its ways would be counted for hours."""
    with refused(WrongValue):
        _print("gal2016", **size)


def test_unknown_strategy_and_argument_are_refused(refused):
    """The page refuses what the registry refuses."""
    with refused(UnknownName, given="naiv"):
        _print("naiv")
    with refused(UnknownName, given="rat"):
        _print("naive", rat=0.5)
