"""Shared by all tests: eager kernels, one thread, NaN-filled memory, no waiting for the disk."""

import os

os.environ.setdefault("ABLATE_COMPILE", "0")
# A run heeds it and says so: a shell that sets it would change what the tests of runs read.
os.environ.pop("OMP_NUM_THREADS", None)

import pytest
import torch

from ablate.strategies import STRATEGIES

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
