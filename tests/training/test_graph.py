"""A captured update replays with what was copied in; the CUDA calls themselves are stood in for."""

import contextlib

import pytest
import torch

from ablate.engine.capturing import refuse_capture
from ablate.errors import AblateError
from ablate.training.graph import CapturedUpdate, Pace


class _Stream:
    def wait_stream(self, other):
        assert isinstance(other, _Stream)


class _Graph:
    """Calls that are recorded below a capture are made again at each replay."""

    capturing = None

    def __init__(self):
        self.calls = []

    def replay(self):
        for call in self.calls:
            call()


@contextlib.contextmanager
def _capture(graph):
    _Graph.capturing = graph
    yield
    _Graph.capturing = None


class _Cuda(torch.Tensor):
    """A CPU tensor that says it is on a GPU."""

    is_cuda = True


@pytest.fixture
def cuda(monkeypatch):
    """PyTorch's calls for streams and graphs, without a GPU."""
    for name, value in (
        ("Stream", _Stream),
        ("current_stream", _Stream),
        ("stream", lambda stream: contextlib.nullcontext()),
        ("device", lambda device: contextlib.nullcontext()),
        ("CUDAGraph", _Graph),
        ("graph", _capture),
    ):
        monkeypatch.setattr(torch.cuda, name, value)


def _on_gpu(*values):
    return torch.tensor(values).as_subclass(_Cuda)


def _make(weight, pace, out):
    """An update that may be captured: it adds rate * x to the weight, and goes on."""

    def work(x):
        weight.add_(pace.rates_K * x)
        pace.advance()
        out.copy_(weight * pace.updates_K)

    def update(x):
        if _Graph.capturing is not None:
            _Graph.capturing.calls.append(lambda: work(x))
        else:
            work(x)
        return out

    return update


def test_a_replay_takes_new_inputs_and_goes_on(cuda):
    """Warm-ups leave no trace; the update's number, the rate and the inputs are each replay's."""
    weight, pace, out = torch.zeros(2), Pace.at([5, 7], [1.0, 0.5]), torch.zeros(2)
    written = [weight, pace.updates_K]
    update = CapturedUpdate(_make(weight, pace, out), [_on_gpu(9.0, 9.0)], written=written)
    assert weight.tolist() == [0.0, 0.0]
    assert pace.updates_K.tolist() == [5, 7]
    assert update(_on_gpu(1.0, 2.0)).tolist() == [6.0, 8.0]
    pace.become(Pace.at([100, 200], [0.25, 0.25]))
    assert update(_on_gpu(4.0, 8.0)).tolist() == [202.0, 603.0]
    assert weight.tolist() == [2.0, 3.0]
    assert pace.updates_K.tolist() == [101, 201]


def test_a_replay_refuses_other_shapes(cuda):
    """A copy would broadcast or cast in silence."""
    weight, pace, out = torch.zeros(2), Pace.at([0, 0], [1.0, 1.0]), torch.zeros(2)
    update = CapturedUpdate(_make(weight, pace, out), [_on_gpu(1.0, 1.0)])
    with pytest.raises(AblateError, match=r"inputs \['float32\[2\]'\], got \['float32\[1\]'\]"):
        update(_on_gpu(1.0))
    with pytest.raises(AblateError, match="capture it anew"):
        update(_on_gpu(1, 1))
    with pytest.raises(AblateError, match=r"got \[\]"):
        update()


def test_a_capture_asks_for_a_gpu():
    """On the CPU one sentence says what to do."""
    with pytest.raises(AblateError, match=r"on a CUDA device, got cpu; elsewhere call the"):
        CapturedUpdate(lambda x: x, [torch.zeros(1)])


def test_masks_of_a_python_number_are_not_captured(monkeypatch):
    """Outside a capture nothing is said; inside, why and what to do instead."""
    refuse_capture()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    refuse_capture()
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match=r"would repeat the same masks; call it outside"):
        refuse_capture()
