"""Which trials train together, and how many: cells of one kind, balanced over the slots."""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine.plan import Reach, plan
from ablate.study.cells import Cell, Entry
from ablate.training.place import CohortKind


@dataclass(frozen=True, slots=True)
class Cohorts:
    """How many trials one worker may train at once.

    `most` has the largest cohort of each kind, any other kind's trials are alone; or all cohorts
    have `pinned` places. `device` is what the cells are planned for.
    """

    most: Mapping[Hashable, int] = field(default_factory=dict)
    pinned: int | None = None
    device: str = "cpu"

    def places(self, kind: Hashable, waiting: int, slots: int) -> int:
        """The places of each cohort of a kind of which `waiting` trials are to run on `slots`.

        As few rounds as `most` allows, and these as even as they can be.
        """
        return self.pinned or balanced(waiting, slots, self.most.get(kind, 1))

    def kind(self, cell: Cell) -> Hashable:
        """Cells of equal kind may train together, and alone with the same result."""
        return cell.corpus_digest, CohortKind.of(cell, self.device)

    def formed(self, entries: Iterable[Entry], slots: int) -> Iterator[tuple[Entry, ...]]:
        """The cohorts in which `entries` train on so many slots, in the order of their first ones.

        Entries come seed by seed, and within a seed kind by kind. The first that is left takes as
        companions, each in that order, those that toss inside the same steps, and where places are
        left others of its kind: a trial is multiplied by ones where a companion tosses and it does
        not.
        """
        entries = list(entries)
        kinds = {entry.cell.key: self.kind(entry.cell) for entry in entries}
        ordered = in_order(entries, kinds)
        places = {
            kind: self.places(kind, count, slots) for kind, count in Counter(kinds.values()).items()
        }
        suited: defaultdict[Hashable, deque[Entry]] = defaultdict(deque)
        alike: defaultdict[Hashable, deque[Entry]] = defaultdict(deque)
        for entry in ordered:
            kind = kinds[entry.cell.key]
            suited[kind, inside(entry.cell)].append(entry)
            alike[kind].append(entry)
        taken: set[str] = set()
        for first in ordered:
            kind, cohort = kinds[first.cell.key], list[Entry]()
            if first.cell.key in taken:
                continue
            # The first of all that are left is the first of either line.
            for line in (suited[kind, inside(first.cell)], alike[kind]):
                while line and len(cohort) < places[kind]:
                    entry = line.popleft()
                    if entry.cell.key not in taken:
                        taken.add(entry.cell.key)
                        cohort.append(entry)
            yield tuple(cohort)


def inside(cell: Cell) -> frozenset[tuple[Edge, Fill]]:
    """The edges that the cell's training tosses between two steps, with what they fill in."""
    reaches = plan(cell.placement, cell.net.layers).reaches
    edges = [reached.edge for reached in reaches if reached.reach is Reach.INSIDE]
    return frozenset((edge, cell.placement[edge].fill) for edge in edges)


def balanced(waiting: int, slots: int, most: int) -> int:
    """How many at once on each slot, so that none of the fewest possible rounds is nearly empty."""
    waiting = max(1, waiting)
    rounds = -(-waiting // (slots * most))
    return -(-waiting // (slots * rounds))


def in_order(entries: Sequence[Entry], kinds: Mapping[str, Hashable]) -> list[Entry]:
    """Seed by seed as given, and within a seed each kind together; `kinds` are those of the keys.

    The kinds stand in the order in which the entries first name them.
    """
    seeds = _numbered(entry.cell.seed for entry in entries)
    ranks = _numbered(kinds[entry.cell.key] for entry in entries)
    return sorted(entries, key=lambda entry: (seeds[entry.cell.seed], ranks[kinds[entry.cell.key]]))


def _numbered(values: Iterable[Hashable]) -> dict[Hashable, int]:
    return {value: number for number, value in enumerate(dict.fromkeys(values))}
