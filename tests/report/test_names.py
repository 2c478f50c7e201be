"""Long names made short: never longer than allowed, never equal."""

from hypothesis import given
from hypothesis import strategies as st

from ablate.report.names import short, shortened

NAMES = st.lists(
    st.text(st.sampled_from("ab .=1"), min_size=1, max_size=80),
    min_size=1,
    max_size=12,
    unique=True,
)


@given(NAMES, st.integers(20, 40))
def test_short_names_are_short_and_distinct(names: list[str], most: int):
    """Whatever the names have in common, each is at most so long and no two are equal."""
    found = shortened(names, most)
    assert list(found) == names
    assert max(map(len, found.values())) <= most
    assert len(set(found.values())) == len(names)


def test_what_fits_stays():
    """A short name is itself; a long one keeps beginning and end."""
    assert short("gal2016 .5", 30) == "gal2016 .5"
    assert short("abcdefghij", 6) == "abc…ij"


def test_what_tells_two_names_apart_stays():
    """Names that differ in the middle alone show that place."""
    names = [f"gal2016 window .5 recurrent=.{n} embedding=.25 and so on to sixty" for n in (1, 2)]
    first, second = shortened(names, 28).values()
    assert "=.1" in first
    assert "=.2" in second
