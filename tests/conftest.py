"""Shared by all tests: NaN-filled memory, and every single-edge placement."""

import os

os.environ.setdefault("ABLATE_COMPILE", "0")
# A run heeds it and says so: a shell that sets it would change what the tests of runs read.
os.environ.pop("OMP_NUM_THREADS", None)

import itertools

import pytest
import torch

from ablate.cells import LSTM, Cell
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.strategies import STRATEGIES
from ablate.testing import assert_close  # noqa: F401

pytest_plugins = ["wording"]

# A package of its own, whose tests run where it is installed: testing/test_example_plugin.py.
collect_ignore = ["example_plugin"]

# The tests' products are tiny: a second thread costs more than it brings.
torch.set_num_threads(1)

# It guards against a power cut, which no test stages; a test of the order of writes sets its own.
os.fsync = lambda descriptor: None


@pytest.fixture(autouse=True)
def nan_filled_memory():
    """Fill `torch.empty` with NaN, so that memory nobody wrote cannot pass a test."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def own_strategies():
    """What a test registers or loads is gone after it."""
    with STRATEGIES.isolated():
        yield


def single_edge_placements(rate: float = 0.3, cell: Cell = LSTM) -> list[Placement]:
    """Every edge alone, with every fill, scale and noise, per step, per window and in bursts."""
    placements = []
    for edge in cell.has:
        rule = cell.rule(edge)
        axes = [axis for axis in ("time", "batch", "gate", "unit") if axis in rule.axes]
        choices = {
            "time": (1, 3, ALL),
            "batch": (1, ALL),
            "gate": (1, ALL),
            "unit": (1, 2),
        }
        for extents in itertools.product(*(choices[axis] for axis in axes)):
            sharing = Sharing(**dict(zip(axes, extents, strict=True)))
            if sharing.unit == 2 and sharing.time == 3:
                continue
            drops = [Drop(rate, sharing, scale=scale) for scale in rule.scales]
            if rule.noise:
                drops.append(Drop(rate, sharing, noise=GAUSSIAN))
            if Fill.HOLD in rule.fills and not (edge is Edge.RECURRENT and sharing.gate == 1):
                drops.append(Drop(rate, sharing, fill=Fill.HOLD))
            placements += [Placement({edge: drop}) for drop in drops]
    return placements
