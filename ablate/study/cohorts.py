"""Which trials train together, and how many: cells of one kind, balanced over the slots."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine.plan import Reach, alike, plan
from ablate.study.cells import Cell, Entry
from ablate.training.update import Task


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
        net, precision = cell.net, cell.precision
        task = Task.planned(net, cell.placement, cell.seed, self.device, precision=precision)
        return (
            net,
            cell.recipe,
            cell.corpus_digest,
            precision,
            # A schedule may evaluate on another path than its placement at the full rates.
            task.evaluate_path,
            alike(cell.placement, net.layers, device=self.device, precision=precision),
        )


def inside(cell: Cell) -> frozenset[tuple[Edge, Fill]]:
    """The edges that the cell's training tosses between two steps, with what they fill in."""
    reaches = plan(cell.placement, cell.net.layers).reaches
    edges = [reached.edge for reached in reaches if reached.reach is Reach.INSIDE]
    return frozenset((edge, cell.placement[edge].fill) for edge in edges)


def groups(cell: Cell, kind: Hashable) -> tuple[Hashable, Hashable]:
    """What a cell of this kind is asked for by, as a companion: who suits best, and who may join.

    Those that toss inside the same steps go first: where a trial does not toss and a companion
    does, it is multiplied by ones.
    """
    return (kind, inside(cell)), kind


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
