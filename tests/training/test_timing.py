"""Whether timings can be believed: repeats that lie apart, and threads that want a core."""

from pathlib import Path

import pytest

from ablate.training import timing


@pytest.mark.parametrize(
    ("milliseconds", "disturbed"),
    [
        pytest.param([12, 12.5, 13, 12, 12], False, id="quiet"),
        pytest.param([12, 12, 13, 12, 900], False, id="one-moment-of-five"),
        pytest.param([1, 12, 13, 12, 900], False, id="one-at-either-end"),
        pytest.param([12, 12, 13, 900, 900], True, id="two-of-five"),
        pytest.param([2470, 2400], False, id="two-that-agree"),
        pytest.param([2470, 12], True, id="two-that-do-not"),
        pytest.param([12, 12, 40], True, id="one-of-three"),
        pytest.param([5], False, id="one"),
    ],
)
def test_repeats_lie_apart(milliseconds: list[float], disturbed: bool) -> None:
    """Beyond half as much again, of many repeats without the fastest and the slowest."""
    assert timing.apart([value / 1e3 for value in milliseconds]) is disturbed


@pytest.mark.parametrize(
    ("wanted", "disturbed"),
    [
        ([2, 2, 2], False),
        ([3, 2, 9, 2, 1], False),
        ([3, 4, 3], True),
        ([9.5], True),
        ([0.0], False),
    ],
)
def test_a_machine_is_crowded_at_most_moments(
    monkeypatch: pytest.MonkeyPatch, wanted: list[float], disturbed: bool
) -> None:
    """More threads than cores, in the middle of what was seen."""
    monkeypatch.setattr(timing.os, "cpu_count", lambda: 2)
    assert timing.crowded(wanted) is disturbed


@pytest.mark.parametrize(
    ("text", "mean", "threads"),
    [
        pytest.param("0.52 0.61 0.60 3/512 4711\n", 9.0, 3.0, id="now"),
        pytest.param("garbage", 9.5, 9.5, id="unreadable"),
        pytest.param(None, 9.5, 9.5, id="no-such-file"),
        pytest.param(None, None, 0.0, id="nothing-known"),
    ],
)
def test_threads_that_want_a_core(
    monkeypatch: pytest.MonkeyPatch, text: str | None, mean: float | None, threads: float
) -> None:
    """Those of this moment, else the last minute's mean, else none."""

    def read_text(path: Path) -> str:
        if text is None:
            raise FileNotFoundError(path)
        return text

    def getloadavg() -> tuple[float, float, float]:
        if mean is None:
            raise OSError
        return (mean, 1.0, 1.0)

    monkeypatch.setattr(timing.Path, "read_text", read_text)
    monkeypatch.setattr(timing.os, "getloadavg", getloadavg)
    assert timing.wanted() == threads


@pytest.mark.parametrize(
    ("milliseconds", "wanted", "device", "doubt"),
    [
        ([12, 12], [2, 2], "cpu", False),
        ([12, 12], [5, 5], "cpu", True),
        ([12, 12], [5, 5], "cuda:1", False),
        ([12, 40], [1, 1], "cuda:1", True),
        ([12, 40], [1, 1], "cpu", True),
    ],
)
def test_threads_that_want_a_core_say_nothing_of_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
    milliseconds: list[float],
    wanted: list[float],
    device: str,
    doubt: bool,
) -> None:
    """On a CPU either is a reason to doubt, on a GPU the repeats alone."""
    monkeypatch.setattr(timing.os, "cpu_count", lambda: 2)
    assert timing.disturbed(milliseconds, wanted, device=device) is doubt
