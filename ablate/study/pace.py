"""How long an epoch takes: learnt for each kind of trial, from this run and from the store."""

import functools
import json
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean, median_low
from typing import Final, NamedTuple, Self

from ablate.engine.plan import plan
from ablate.facts import facts_text
from ablate.machine import device_name, gpus
from ablate.study.events import Row, Slot
from ablate.training.trial import Trial

# Of so many last epochs the median: the first one of a worker may have compiled kernels.
_LATEST: Final = 25


class Kind(NamedTuple):
    """What decides how long a trial's epoch takes, as far as the store's columns tell it."""

    path: str
    net: str
    corpus_digest: str
    precision: str
    unroll: int
    batch: int
    device: str
    threads: int

    @classmethod
    def of(cls, trial: Trial, slot: Slot) -> Self:
        """The kind of a trial on this slot."""
        net, recipe, precision = trial.net, trial.recipe, trial.precision
        planned = plan(
            trial.placement,
            net.layers,
            device=slot.device,
            precision=precision,
            cell=net.of_cell,
        )
        return cls(
            planned.path.value,
            facts_text(net),
            trial.corpus_digest,
            precision,
            recipe.unroll,
            recipe.batch,
            _device(slot.device),
            slot.threads,
        )

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """The kind of a trial that has ended, from its row of `trials`."""
        recipe = json.loads(row["recipe"])
        return cls(
            row["path"],
            row["net"],
            row["corpus_digest"],
            row["precision"],
            recipe["unroll"],
            recipe["batch"],
            row["device"],
            row["threads"],
        )


@dataclass(slots=True)
class Pace:
    """Seconds an epoch by kind; `before` is what the store says of trials that ended earlier.

    Each trial counts with its share of its cohort's time.
    """

    before: Mapping[Hashable, float] = field(default_factory=dict)
    _here: dict[Hashable, deque[float]] = field(default_factory=dict)
    _whole: dict[Hashable, deque[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """What rows of `trials` say, the median for each kind; those without a time say nothing."""
        found: dict[Hashable, list[float]] = {}
        for row in rows:
            if row.get("path") and (seconds := _by_epoch(row)):
                found.setdefault(Kind.of_row(row), []).append(seconds)
        return cls({kind: median_low(seconds) for kind, seconds in found.items()})

    def take(self, kind: Hashable, seconds: float) -> None:
        """Learn from an epoch that ended in this run."""
        self._here.setdefault(kind, deque(maxlen=_LATEST)).append(seconds)

    def end(self, kind: Hashable, row: Row) -> None:
        """Learn from a trial that ended in this run, its final evaluation included."""
        if seconds := _by_epoch(row):
            self._whole.setdefault(kind, deque(maxlen=_LATEST)).append(seconds)

    def known(self) -> dict[Hashable, float]:
        """Seconds an epoch of the kinds that are known; this run goes before the store."""
        return {**self.before, **_medians(self._here)}

    def whole(self) -> dict[Hashable, float]:
        """The same of trials that ended alone: an epoch's part of the final evaluation is in it."""
        return {**self.before, **_medians(self._whole)}


def _by_epoch(row: Row) -> float | None:
    """A trial's seconds by its epochs; None where its row has no time."""
    seconds, epochs = row.get("seconds"), row.get("epochs")
    return seconds / epochs if seconds and epochs else None


def _medians(found: Mapping[Hashable, deque[float]]) -> dict[Hashable, float]:
    # A copy: a terminal asks from another thread while events come in.
    return {kind: median_low(seconds) for kind, seconds in dict(found).items()}


def expected(kind: Hashable, known: Mapping[Hashable, float]) -> float | None:
    """Seconds an epoch of this kind, or the mean of the other kinds; None where none is known."""
    if kind in known:
        return known[kind]
    return fmean(known.values()) if known else None


@functools.cache
def _device(device: str) -> str:
    """The device as the store names it; as it was asked for where torch finds no GPU here."""
    return device_name(device) if device == "cpu" or gpus() else device
