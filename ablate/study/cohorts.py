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

    def formed(self, entries: Sequence[Entry], slots: int) -> Iterator[tuple[Entry, ...]]:
        """The cohorts in which `entries` train on so many slots, in the order in which they train.

        The order of the trials is seed by seed, and within a seed kind by kind. The first that is
        left begins a cohort. It is joined by those that toss inside the same steps, and where
        places are left by others of its kind, each in that order: where a trial does not toss and a
        companion does, it is multiplied by ones.
        """
        by_key = {entry.cell.key: entry for entry in entries}
        kinds = {key: self.kind(entry.cell) for key, entry in by_key.items()}
        ordered = in_order(entries, kinds)
        places = {
            kind: self.places(kind, count, slots) for kind, count in Counter(kinds.values()).items()
        }
        # Each trial stands in two lines and is passed over in the second: a search among all that
        # wait would take a time that grows with its square.
        lines: defaultdict[Hashable, deque[Entry]] = defaultdict(deque)
        of = {key: ((kinds[key], inside(entry.cell)), kinds[key]) for key, entry in by_key.items()}
        for entry in ordered:
            for line in of[entry.cell.key]:
                lines[line].append(entry)
        taken: set[str] = set()
        for first in ordered:
            if first.cell.key in taken:
                continue
            # Of all that are left it is the first in both of its lines, and joins itself.
            cohort: list[Entry] = []
            for line in of[first.cell.key]:
                while lines[line] and len(cohort) < places[kinds[first.cell.key]]:
                    entry = lines[line].popleft()
                    if entry.cell.key not in taken:
                        taken.add(entry.cell.key)
                        cohort.append(entry)
            yield tuple(cohort)


def inside(cell: Cell) -> frozenset[tuple[Edge, Fill]]:
    """The edges that the cell's training tosses between two steps, with what they fill in."""
    reaches = plan(cell.placement, cell.net.layers, cell=cell.net.of_cell).reaches
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
