"""A captured update replays with what was copied in; the CUDA calls themselves are stood in for."""

import contextlib

import pytest
import torch

from ablate.engine.capturing import refuse_capture
from ablate.engine.masks.table import Clock
from ablate.errors import AblateError
from ablate.training import graph
from ablate.training.graph import WARM_UPS, Captured


class _Stream:
    def __init__(self, device=None):
        pass

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
def _capture(graph, stream):
    _Graph.capturing = graph
    yield
    _Graph.capturing = None


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
    graph._side.cache_clear()
    yield
    graph._side.cache_clear()


def _make(weight, clock, out):
    """An update that may be captured: it adds the schedule's factor of x, and goes on."""

    def work(x):
        weight.add_(clock.factors_K() * x)
        clock.advance()
        out.copy_(weight * clock.updates_K)

    def update(x):
        if _Graph.capturing is not None:
            _Graph.capturing.calls.append(lambda: work(x))
        else:
            work(x)
        return out

    return update


def test_every_call_does_its_work_once(cuda):
    """The first ones as they are, then replays: number, factor and inputs are each call's."""
    factors = [[update / 8 for update in range(9)], [0.5]]
    weight, clock, out = torch.zeros(2), Clock.at([1, 7], factors=factors), torch.zeros(2)
    update = Captured(_make(weight, clock, out))
    expected = torch.zeros(2)
    for number in range(WARM_UPS + 3):
        expected += torch.tensor([(number + 1) / 8, 0.5]) * (number + 1)
        told = update(torch.full((2,), number + 1.0))
        assert weight.tolist() == expected.tolist()
        assert clock.updates_K.tolist() == [2 + number, 8 + number]
        assert told.tolist() == (expected * clock.updates_K).tolist()
    assert told is out


def test_a_replay_refuses_other_shapes(cuda):
    """A copy would broadcast or cast in silence."""
    clock = Clock.at([0, 0], factors=[[1.0], [1.0]])
    update = Captured(_make(torch.zeros(2), clock, torch.zeros(2)))
    update(torch.ones(2))
    with pytest.raises(AblateError, match=r"inputs \['float32\[2\]'\], got \['float32\[1\]'\]"):
        update(torch.ones(1))
    with pytest.raises(AblateError, match="capture it anew"):
        update(torch.ones(2, dtype=torch.int64))
    with pytest.raises(AblateError, match=r"got \[\]"):
        update()


def test_masks_of_a_python_number_are_not_captured(monkeypatch):
    """Outside a capture nothing is said; inside, why and what to do instead."""
    refuse_capture()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    refuse_capture()
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match=r"would repeat the same masks; call it outside"):
        refuse_capture()
