"""The faster precision: measured, with a threshold, in turns."""

import pytest
import torch

from ablate.training import capability


def _clock(monkeypatch: pytest.MonkeyPatch, milliseconds: dict[torch.dtype, list[float]]) -> None:
    left = {dtype: iter(values) for dtype, values in milliseconds.items()}
    monkeypatch.setattr(capability, "_seconds", lambda a, b: next(left[a.dtype]) / 1e3)


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
    assert capability.measure() == (precision, pytest.approx(ratio))


def test_it_is_measured_here_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real products in both precisions, at the threads that are named; they are put back."""
    monkeypatch.setattr(capability, "_SHAPES", {"cpu": (32, 16, 64)})
    seen = set()
    real = capability._seconds

    def watched(left: torch.Tensor, right: torch.Tensor) -> float:
        seen.add((left.dtype, tuple(left.shape), tuple(right.shape), torch.get_num_threads()))
        return real(left, right)

    monkeypatch.setattr(capability, "_seconds", watched)
    before = torch.get_num_threads()
    measured = capability.measure("cpu", threads=1)
    assert measured.precision == ("bf16" if measured.ratio >= 1.5 else "fp32")
    assert measured.ratio > 0
    assert seen == {(dtype, (32, 16), (16, 64), 1) for dtype in (torch.float32, torch.bfloat16)}
    assert torch.get_num_threads() == before
