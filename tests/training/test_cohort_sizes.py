"""Sizes of cohorts: bytes by hand, what memory holds, what a probe measures and what it picks."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from types import SimpleNamespace

import pytest
import torch
from training import toys

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.training import cohort_sizes as probing
from ablate.training import timing
from ablate.training.recipe import PRESETS
from ablate.training.trial import Trial
from ablate.training.update import Update

SMALL = PRESETS["zaremba-small"]


@pytest.mark.parametrize(
    ("precision", "copies", "softmax"), [("fp32", 16, 4 * 10_000 * 201), ("bf16", 20, 0)]
)
def test_bytes_of_a_trial(precision: str, copies: int, softmax: int) -> None:
    """Weights, the best epoch's, a copy and gradients; what products read; the tape."""
    weights = 2 * 10_000 * 200 + 10_000 + 2 * (2 * 800 * 200 + 2 * 800)
    tape = 4 * 20 * 20 * 20 * 200 * 2
    found = probing.trial_bytes(SMALL.net, 10_000, SMALL.recipe, precision)
    assert found == weights * copies + softmax + tape


def test_memory_is_shared_among_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 GiB 0.7 are taken; each slot has its part, less a process and a window's scores."""
    monkeypatch.setattr(probing, "free_bytes", lambda device: 16 * 2**30)
    own = probing.trial_bytes(SMALL.net, 10_000, SMALL.recipe, "fp32")
    scores = 2 * 4 * 400 * 10_000
    for slots in (1, 2, 8):
        left = 0.7 * 16 * 2**30 / slots - 600 * 2**20 - scores
        held = probing.fitting(SMALL.net, 10_000, SMALL.recipe, "fp32", device="cpu", slots=slots)
        assert held == math.floor(left / own)
    held = probing.fitting(SMALL.net, 10_000, SMALL.recipe, "fp32", device="cpu", slots=999)
    assert held == 1


def test_this_machine_has_memory() -> None:
    """Between a page and what the kernel says the machine has in all."""
    assert 2**20 < probing.free_bytes("cpu") < 2**50


@pytest.mark.parametrize(
    ("most", "limit", "sizes"),
    [
        pytest.param(16, 1, [1], id="nothing-to-ask"),
        pytest.param(16, 14, [1, 2, 4, 8, 16], id="beyond-the-limit"),
        pytest.param(16, 4, [1, 2, 4], id="at-the-limit"),
        pytest.param(5, 99, [1, 2, 4], id="memory"),
        pytest.param(1, 99, [1], id="no-memory"),
    ],
)
def test_sizes_that_are_tried(most: int, limit: int, sizes: list[int]) -> None:
    """Powers of two, up to the first that holds them all, none more than memory does."""
    assert probing.sizes_to(most, limit) == sizes


@pytest.mark.parametrize(
    ("milliseconds", "size"),
    [
        pytest.param({1: 20.0, 2: 14.0, 4: 11.0, 8: 12.0}, 4, id="least"),
        pytest.param({1: 20.0, 2: 11.8, 4: 11.0, 8: 10.97}, 2, id="a-tie-of-8-percent"),
        pytest.param({1: 20.0, 2: 12.0, 4: 11.0}, 4, id="no-tie"),
        pytest.param({1: 20.0, 2: 21.0}, 1, id="alone"),
    ],
)
def test_the_best_size_takes_the_least_time_a_trial(
    milliseconds: dict[int, float], size: int
) -> None:
    """Within 8 % of the least the smaller cohort is taken."""
    assert probing.best(milliseconds) == size


def _trials(count: int) -> list[Trial]:
    rates = [0.1 * (1 + number) for number in range(count)]
    return [toys.trial(placement=Placement({Edge.INPUT: Drop(rate)})) for rate in rates]


def test_a_probe_measures_real_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each size is a cohort of the trials, again from the first; times are seconds a trial."""
    called: list[list[float]] = []
    real = Update.__call__

    def counted(update, x_TB, y_TB):
        ((_, _, table),), trials = update.masks.layers[0], len(update.live_K)
        called.append(table.rates_K.tolist())
        assert x_TB.shape == y_TB.shape == (7, 3)
        assert update.state[0].shape == (2, trials, 3, 13)
        assert update.parameters["decoder.weight"].shape == (trials, 23, 13)
        assert len(update.masks.clock.updates_K.unique()) == 1
        return real(update, x_TB, y_TB)

    monkeypatch.setattr(Update, "__call__", counted)
    monkeypatch.setattr(probing, "disturbed", lambda seconds, wanted, *, device: False)
    trials, threads = _trials(3), torch.get_num_threads()
    probe = probing.time_cohorts(trials, toys.corpus(), [1, 2, 4], device="cpu", threads=1)

    assert not probe.busy
    assert list(probe.seconds) == [1, 2, 4]
    assert all(0 < seconds < 10 for seconds in probe.seconds.values())
    assert [len(rates) for rates in called] == [1] * 6 + [2] * 6 + [4] * 6
    assert called[-1] == pytest.approx([0.1, 0.2, 0.3, 0.1])
    assert torch.get_num_threads() == threads


def test_a_slow_probe_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes whose updates would take beyond a few seconds are not tried."""
    monkeypatch.setattr(probing, "seconds_an_update", lambda trials, *_: (0.3 * len(trials), False))
    probe = probing.time_cohorts(_trials(1), toys.corpus(), [1, 2, 4, 8], device="cpu", threads=1)
    assert probe == probing.Probe({1: 0.3, 2: 0.3, 4: 0.3})


@dataclass
class FakeMachine:
    """A clock that an update moves by the next of `milliseconds`, and the threads that want a core.

    The first update of a cohort compiles, and counts for nothing.
    """

    milliseconds: Iterator[float]
    threads: float
    now: float = 0.0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Stand in for updates, clock and load; return the pauses that will be made."""
        slept: list[float] = []
        clock = SimpleNamespace(perf_counter=lambda: self.now, sleep=slept.append)
        monkeypatch.setattr(probing, "time", clock)
        monkeypatch.setattr(timing, "time", clock)
        monkeypatch.setattr(probing, "wanted", lambda: self.threads)
        monkeypatch.setattr(timing.os, "cpu_count", lambda: 2)
        monkeypatch.setattr(Update, "__call__", self._update)
        return slept

    def _update(self, *window: torch.Tensor) -> None:
        self.now += next(self.milliseconds) / 1e3


def _probe(sizes: list[int]) -> probing.Probe:
    return probing.time_cohorts(_trials(1), toys.corpus(), sizes, device="cpu", threads=1)


def test_a_quiet_machine_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slow moment among five counts for nothing, nor does what compiles."""
    machine = FakeMachine(iter([900.0, 12, 13, 400, 12, 12, 80.0, 20, 21, 20, 22, 20]), threads=2)
    slept = machine.install(monkeypatch)
    probe = _probe([1, 2])
    assert not probe.busy
    assert probe.seconds == pytest.approx({1: 0.012, 2: 0.010})
    assert probing.chosen(probe, [1, 2]) == 2
    assert slept == []


def test_repeats_that_lie_apart_are_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another program disturbed is forgotten where the second try is quiet."""
    disturbed, quiet = [900.0, 2470, 12], [900.0, 12, 12, 12, 12, 12]
    slept = FakeMachine(iter(disturbed + quiet), threads=1).install(monkeypatch)
    probe = _probe([1])
    assert probe == probing.Probe({1: pytest.approx(0.012)})
    assert len(slept) == 1


@pytest.mark.parametrize(
    ("sizes", "size"), [([1, 2, 4, 8, 16], 4), ([1, 2], 2), ([1, 2, 4], 4), ([1, 2, 4, 8], 4)]
)
def test_a_machine_that_stays_busy_chooses_nothing(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], size: int
) -> None:
    """Repeats agree while more threads want a core than there are: a modest size that fits."""
    slept = FakeMachine(repeat(2470.0), threads=5).install(monkeypatch)
    probe = _probe(sizes)
    assert probe.busy
    assert probe.seconds[1] == pytest.approx(2.47)
    assert probing.chosen(probe, sizes) == size
    assert len(slept) == 1


def test_the_larger_net_takes_more() -> None:
    """Bytes grow with the net, so that fewer trials are held."""
    large = Net(layers=2, hidden=1500)
    assert probing.trial_bytes(large, 10_000, SMALL.recipe, "fp32") > 10 * probing.trial_bytes(
        SMALL.net, 10_000, SMALL.recipe, "fp32"
    )
