"""How many placements the laws draw, and that they are not one placement many times."""

from pathlib import Path

from drawing import PLACEMENTS, TORTURE, Drawn, seeded, stacks
from hypothesis import given

TESTS = Path(__file__).parent


def test_the_laws_draw_at_least_five_hundred_placements():
    """In CI; `make torture-laws` draws twenty times as many, at least ten thousand."""
    assert sum(PLACEMENTS.values()) >= 500
    assert sum(PLACEMENTS.values()) * 20 >= 10_000


def test_every_law_that_draws_is_there():
    """Each name of the table is a test that takes its number from there."""
    laws = "".join(path.read_text() for path in sorted((TESTS / "engine").glob("test_*.py")))
    assert laws.count("\n@law\n") == len(PLACEMENTS)
    assert all(f"\n@law\ndef {name}(" in laws for name in PLACEMENTS)
    assert all("drawn" in name for name in PLACEMENTS)


def test_drawn_placements_differ():
    """As many examples run as are asked for, and four in five have a placement of their own."""
    seen = []

    @given(stacks())
    @seeded(250)
    def see(drawn: Drawn):
        seen.append((drawn.layers, drawn.placement))

    see()
    assert len(seen) == 250 * TORTURE
    assert len(set(seen)) >= 0.8 * len(seen)
