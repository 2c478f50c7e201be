"""Long names made short: the middle goes, what tells two of them apart stays."""

from collections.abc import Iterable, Sequence

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

# So much of a name's beginning stays where only what follows tells it from others.
_BEGINNING = 8
# Of names that part at several places, each try tells fewer apart.
_TRIES = 4


def short(text: str, most: int) -> str:
    """The text in at most `most` characters, without its middle where it has more."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}{ELLIPSIS}{text[len(text) - (most - 1 - head) :]}"


def shortened(names: Iterable[str], most: int) -> dict[str, str]:
    """For each name one of at most `most` characters; no two of them are equal."""
    found = {name: short(name, most) for name in names}
    for _ in range(_TRIES):
        for group in _alike(found).values():
            # Begin shortly before the place at which the first two of them part.
            parting = max(_BEGINNING, _parting(group) - 2)
            for name in group:
                rest = short(name[parting:], most - _BEGINNING - 1)
                found[name] = f"{name[:_BEGINNING]}{ELLIPSIS}{rest}"
    for alike, group in _alike(found).items():
        for number, name in enumerate(group, start=1):
            mark = f" ({number})"
            found[name] = short(alike, most - len(mark)) + mark
    return found


def _parting(names: Sequence[str]) -> int:
    """How many characters distinct names have in common at their beginning."""
    columns = zip(*names, strict=False)
    return next((at for at, signs in enumerate(columns) if len(set(signs)) > 1), len(min(names)))


def _alike(found: dict[str, str]) -> dict[str, list[str]]:
    """Each short name that stands for several, and what it stands for."""
    groups: dict[str, list[str]] = {}
    for name, taken in found.items():
        groups.setdefault(taken, []).append(name)
    return {taken: group for taken, group in groups.items() if len(group) > 1}


def names_of(labels: Iterable[object], most: int | None = 5) -> str:
    """`a, b, c, d, e and 3 more`: labels in words, of which more than `most` are counted."""
    listed = [str(label) for label in labels]
    more = len(listed) - len(listed[:most])
    text = ", ".join(listed[:most])
    return f"{text} and {more} more" if more else text
