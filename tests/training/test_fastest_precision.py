"""The faster precision: measured, with a threshold, in turns."""

from pathlib import Path

import pytest
import torch

from ablate import machine
from ablate.training import fastest_precision


def _clock(monkeypatch: pytest.MonkeyPatch, milliseconds: dict[torch.dtype, list[float]]) -> None:
    left = {dtype: iter(values) for dtype, values in milliseconds.items()}
    monkeypatch.setattr(fastest_precision, "_seconds", lambda a, b: next(left[a.dtype]) / 1e3)


@pytest.mark.parametrize(
    ("fast", "precision", "ratio"),
    [
        pytest.param(2.0, "bf16", 6.0, id="units"),
        pytest.param(8.0, "bf16", 1.5, id="just"),
        pytest.param(8.1, "fp32", 12 / 8.1, id="not-quite"),
        pytest.param(40.0, "fp32", 0.3, id="emulated"),
    ],
)
def test_bfloat16_must_be_half_as_fast_again(
    monkeypatch: pytest.MonkeyPatch, fast: float, precision: str, ratio: float
) -> None:
    """Taken from 1.5 times on, by medians: the first call and one busy moment count for nothing."""
    _clock(
        monkeypatch,
        {
            torch.float32: [500.0, 12.0, 11.0, 12.0, 900.0, 13.0],
            torch.bfloat16: [0.1, fast, fast, 0.5 * fast, 2 * fast, fast],
        },
    )
    assert fastest_precision.fastest_precision() == (precision, pytest.approx(ratio), False)


#: Milliseconds while another program comes and goes.
SPREAD = [9.0, 12.0, 2470.0, 12.0, 900.0, 1300.0]
QUIET = {torch.float32: [500.0, *[12.0] * 5], torch.bfloat16: [80.0, *[2.0] * 5]}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept, without sleeping."""
    slept: list[float] = []
    monkeypatch.setattr(fastest_precision.time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("disturbed", [torch.float32, torch.bfloat16])
def test_a_busy_machine_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float], disturbed: torch.dtype
) -> None:
    """Repeats that lie far apart are not believed; a quiet second try is."""
    first = QUIET | {disturbed: SPREAD}
    _clock(monkeypatch, {dtype: first[dtype] + QUIET[dtype] for dtype in QUIET})
    assert fastest_precision.fastest_precision() == ("bf16", pytest.approx(6.0), False)
    assert len(pauses) == 1


@pytest.mark.parametrize(
    ("cpuinfo", "precision"),
    [
        pytest.param("flags\t\t: fpu avx512f amx_bf16 amx_tile\n", "bf16", id="x86-units"),
        pytest.param("flags\t\t: fpu avx512f avx512_bf16\n", "fp32", id="x86-dot-products"),
        pytest.param("flags\t\t: fpu avx2\n", "fp32", id="x86"),
        pytest.param("Features\t: fp asimd bf16\n", "bf16", id="arm-units"),
        pytest.param("Features\t: fp asimd\n", "fp32", id="arm"),
        pytest.param("", "fp32", id="nothing-known"),
        pytest.param(None, "fp32", id="no-such-file"),
    ],
)
def test_a_machine_that_stays_busy_is_known_by_its_instructions(
    monkeypatch: pytest.MonkeyPatch, pauses: list[float], cpuinfo: str | None, precision: str
) -> None:
    """Never by what was measured, which could be any ratio; the answer says that it was busy."""

    def read_text(path: Path, *rest: object) -> str:
        if cpuinfo is None:
            raise FileNotFoundError(path)
        return cpuinfo

    monkeypatch.setattr(machine.Path, "read_text", read_text)
    _clock(monkeypatch, {torch.float32: SPREAD * 2, torch.bfloat16: QUIET[torch.bfloat16] * 2})
    found = fastest_precision.fastest_precision()
    assert (found.precision, found.busy) == (precision, True)
    assert len(pauses) == 1


def test_it_is_measured_here_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real products in both precisions, at the threads that are named; they are put back."""
    monkeypatch.setattr(fastest_precision, "_SHAPES", {"cpu": (32, 16, 64)})
    seen = set()
    real = fastest_precision._seconds

    def watched(left: torch.Tensor, right: torch.Tensor) -> float:
        seen.add((left.dtype, tuple(left.shape), tuple(right.shape), torch.get_num_threads()))
        return real(left, right)

    monkeypatch.setattr(fastest_precision, "_seconds", watched)
    before = torch.get_num_threads()
    measured = fastest_precision.fastest_precision("cpu", threads=1)
    assert measured.busy or measured.precision == ("bf16" if measured.ratio >= 1.5 else "fp32")
    assert measured.ratio > 0
    assert seen == {(dtype, (32, 16), (16, 64), 1) for dtype in (torch.float32, torch.bfloat16)}
    assert torch.get_num_threads() == before
