"""When two tensors count as equal: the tolerances of all tests, in one place with their reason."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

# Two paths of the engine do the same arithmetic and differ in the order of their additions: a few
# ulp, times the length of a sum (T * B rows in a gradient). Relative to a tensor's largest entry.
TOLERANCE: Final = {torch.float64: 1e-9, torch.float32: 1e-5}


def assert_close(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: object = ""
) -> None:
    """Assert that tensors are equal by name to `TOLERANCE`; `what` stands in the message."""
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        value = found[name]
        assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype), f"{name} of {what}"
        assert value.isfinite().all(), f"{name} of {what} is not finite"
        error, size = (value - wanted).abs().max().item(), wanted.abs().max().item()
        allowed = TOLERANCE[wanted.dtype] * size
        assert error <= allowed, f"{name} of {what}: off by {error:.1e}, allowed {allowed:.1e}"


def assert_same(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: object = ""
) -> None:
    """Assert that tensors are equal by name, bit for bit."""
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        assert torch.equal(found[name], wanted), f"{name} of {what} differs"
