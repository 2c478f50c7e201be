"""What is next: the cells that wait, in their order, as a whole and by group."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable

from ablate.study.cells import Entry


class Waiting:
    """Cells in the order in which they came; the first of any group is at hand, however many wait.

    A cell is in as many groups as it was put with, and in the group of all.
    """

    def __init__(self) -> None:
        self._all: OrderedDict[str, Entry] = OrderedDict()
        # Ordered: the front of a plain dictionary is searched for among all that was deleted.
        self._groups: dict[Hashable, OrderedDict[str, None]] = {}
        self._of: dict[str, tuple[Hashable, ...]] = {}

    def put(self, entry: Entry, groups: Iterable[Hashable] = ()) -> None:
        """Set a cell behind those that wait."""
        key = entry.cell.key
        self._all[key] = entry
        self._of[key] = tuple(dict.fromkeys(groups))
        for group in self._of[key]:
            self._groups.setdefault(group, OrderedDict())[key] = None

    def pop(self, *groups: Hashable) -> Entry | None:
        """The first cell of the first of `groups` in which one waits, or of all; None for none."""
        waiting = [found for group in groups if (found := self._groups.get(group))]
        first = next(iter(waiting[0] if groups and waiting else () if groups else self._all), None)
        if first is None:
            return None
        for group in self._of.pop(first):
            del self._groups[group][first]
        return self._all.pop(first)

    def keys(self) -> tuple[str, ...]:
        """The keys of the cells that wait, in their order."""
        return tuple(self._all)
