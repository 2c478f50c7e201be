"""The softmax by blocks of the vocabulary equals PyTorch's cross-entropy, values and gradients."""

import pytest
import torch
from torch.nn import functional

from ablate.testing.close import assert_close
from ablate.training import softmax
from ablate.training.softmax import biased, losses, losses_and_gradients

N, H, V, SCALE = 7, 13, 53, 0.25


def _case(dtype, size=1.0):
    generator = torch.Generator().manual_seed(11)
    y, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64).mul(size).to(dtype)
        for shape in ((N, H), (V, H), (V,))
    )
    # The first and the last word, and one several times.
    targets = torch.tensor([0, V - 1, 5, 5, 5, 17, 40])
    return y, weight, bias, targets


def _expected(y, weight, bias, targets):
    leaves = [value.clone().requires_grad_() for value in (y, weight, bias)]
    nll = functional.cross_entropy(
        functional.linear(leaves[0], *leaves[1:]), targets, reduction="none"
    )
    return nll.detach(), *torch.autograd.grad(SCALE * nll.sum(), leaves)


@pytest.mark.parametrize("block", [1, 40 * N * 8, 2**20], ids=["many", "some", "one"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [1.0, 20.0], ids=["moderate", "peaked"])
def test_losses_and_gradients(monkeypatch, block, dtype, size):
    """At any number of blocks, where scores lie near and where they lie hundreds apart."""
    monkeypatch.setattr(softmax, "_BLOCK", block)
    case = _case(dtype, size)
    y, weight, bias, targets = case
    wide = biased(weight, bias, dtype)
    found = losses_and_gradients(y.unsqueeze(0), [wide], targets, SCALE, V)[0]
    expected = dict(zip(("nll", "y", "weight", "bias"), _expected(*case), strict=True))
    assert_close(dict(zip(expected, found, strict=True)), expected)
    assert_close({"nll": losses(y, wide, targets)}, {"nll": expected["nll"]})


def test_bfloat16_is_near():
    """Products round to 2**-8 of their size; the loss itself is taken in float32."""
    y, weight, bias, targets = _case(torch.float32)
    wide = biased(weight, bias, torch.bfloat16)
    found = losses_and_gradients(y.unsqueeze(0), [wide], targets, SCALE, V)[0]
    assert found.nll_N.dtype == found.y_NH.dtype == torch.float32
    assert found.weight_VH.dtype == torch.bfloat16
    for value, wanted in zip(found, _expected(y, weight, bias, targets), strict=True):
        assert (value.float() - wanted).abs().max() <= 2**-6 * wanted.abs().max()


def test_long_windows_have_no_more_blocks():
    """What is kept for each block grows with the window alone, not with its square."""
    weight = torch.zeros(10_016, 32)
    counts = [len(softmax._sizes(weight, rows)) for rows in (100, 3_200, 25_600)]
    assert counts[0] < counts[1] == counts[2] == softmax._MOST
    assert sum(softmax._sizes(weight, 25_600)) == 10_016
