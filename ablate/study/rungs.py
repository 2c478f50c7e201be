"""Where trials of a search wait for each other, and which of them go on."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from ablate.search.pruning import Pruner, rungs_of, stopped
from ablate.stages import SEARCH
from ablate.store import Row
from ablate.study.entries import Entry
from ablate.training.trial import Trial


@dataclass(frozen=True, slots=True)
class Rungs:
    """The rungs of a run whose searches stop trials early by `pruner`."""

    pruner: Pruner = "none"

    def until(self, entry: Entry, passed: int) -> int | None:
        """The epoch of the next rung of a trial that has passed so many; None after the last."""
        if self.pruner == "none" or entry.stage != SEARCH:
            return None
        ahead = self._of(entry.trial)[passed:]
        return ahead[0] if ahead else None

    def stopped(
        self,
        paused: Mapping[str, int],
        entries: Iterable[Entry],
        curves: Mapping[str, Mapping[int, float]],
    ) -> frozenset[str]:
        """The keys of the `paused` trials, each with its rung's epoch, that go no further.

        Each search's trials are compared with all of that search that ever came to the rung.
        """
        groups: defaultdict[Hashable, dict[int, Entry]] = defaultdict(dict)
        for entry in entries:
            if entry.stage == SEARCH and entry.number is not None:
                groups[entry.search, entry.trial.net][entry.number] = entry
        out: set[str] = set()
        for group in groups.values():
            known = {n: curves[e.trial.key] for n, e in group.items() if e.trial.key in curves}
            at = {paused[e.trial.key] for e in group.values() if e.trial.key in paused}
            for rung in at:
                epochs = next(iter(group.values())).trial.recipe.epochs
                ends = {group[n].trial.key for n in stopped(self.pruner, known, rung, epochs)}
                out |= {key for key in ends if paused.get(key) == rung}
        return frozenset(out)

    def _of(self, trial: Trial) -> tuple[int, ...]:
        return rungs_of(trial.recipe.epochs)


def curve_of(rows: Iterable[Row]) -> dict[int, float]:
    """The validation loss after each epoch (nats per target), where it is known."""
    return {row["epoch"]: row["valid_nll"] for row in rows if row["valid_nll"] is not None}
