"""What stands in a cell of a bench's table; "-" where there is nothing."""

from bench.intervals import Timing, interval, number, ratio
from bench.retimed import Tables


def compared(above: Tables | None, below: Tables | None) -> str:
    """The ratio of two cases; that of a case to itself is 1."""
    if not above or not below:
        return "-"
    if next(iter(above.values())) is next(iter(below.values())):
        return "1"
    return number(ratio(above, below), null=1.0)


def fraction(bound: float, tables: Tables | None) -> str:
    """The fraction of a case's milliseconds that `bound` is, by every table that timed the case."""
    found = [interval(lambda ms: bound / ms, timing) for timing in (tables or {}).values()]
    first, *others = [each for each in found if each is not None] or [None]
    return number(first and first.spanning(*filter(None, others)))


def share(value: float | None) -> str:
    """As in `12%`."""
    return "-" if value is None else f"{value:.0%}"


def spread(timing: Timing) -> str:
    """The width of the middle half of a timing's calls; one call has none."""
    return share(timing["spread"] if timing["repeat"] > 1 else None)


def milliseconds(value: float | None) -> str:
    """As in `43.2` or `6.27`."""
    return "-" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def megabytes(value: int | None) -> str:
    """Bytes as 10^6 of them."""
    return "-" if value is None else f"{value / 1e6:.0f}"


def size(count: int) -> str:
    """Bytes as in `24 GiB` or `960 MiB`."""
    return f"{count / 2**30:.0f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
