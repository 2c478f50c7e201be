"""An evaluation may be the first to ask for a step: one whose means act where training has none."""

import torch

from ablate.cells import LSTM
from ablate.engine import sites
from ablate.engine.step import KernelSpec, kernels
from ablate.testing.close import assert_same


def test_a_step_that_an_evaluation_asked_for_first_is_the_step():
    """Forward and back it gives what it gives where gradients are allowed."""
    kind = KernelSpec(LSTM, (sites.BEGIN, sites.READ))
    with torch.inference_mode():
        kernels.cache_clear()
        first = kernels(kind)
    kernels.cache_clear()
    second = kernels(kind)
    assert (first.places, first.reads) == (second.places, second.reads)
    drawn = torch.Generator().manual_seed(1)
    shapes = [(2, 3, 4, 5)] * 2 + [(2, 3, 5)] * 2 + [(2, 4, 5)] + [(2, 3, 5)] * 2
    inputs = [torch.randn(shape, generator=drawn) for shape in shapes]
    found, expected = (dict(enumerate(each.forward(*inputs))) for each in (first, second))
    assert_same({str(k): v for k, v in found.items()}, {str(k): v for k, v in expected.items()})
