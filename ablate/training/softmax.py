"""The softmax layer and its cross-entropy, with their gradients, in one pass over the scores.

The loss is the last thing of an update, so that its gradient is taken where the scores are made:
three products, and between them one compiled kernel. It leaves exp(score - highest) behind and the
norm of each row beside it; what divides by the norm are the products' small factors, so that the
scores, the largest tensor of an update, are exponentiated once. README.md beside this file has what
this was measured against.

Products are taken in the dtype of the weight; the norm and the loss in float32 at least.

Shapes: N targets, H hidden, V vocabulary, P > H: the bias is column H of the weight, the rest zero.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.compiling import lowered

# Rows that begin at multiples of 16 numbers: half again as fast in bfloat16 at 650 units.
_ALIGNED = 16


class Loss(NamedTuple):
    """The nll of each target, in nats, and the gradients of `scale` times their sum."""

    nll_N: Tensor
    y_NH: Tensor
    weight_VH: Tensor
    bias_V: Tensor


def biased(weight_VH: Tensor, bias_V: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight with the bias as a column of its own, [..., V, P], in the dtype of products."""
    *lead, hidden = weight_VH.shape
    wide = weight_VH.new_zeros((*lead, -(-(hidden + 1) // _ALIGNED) * _ALIGNED), dtype=dtype)
    wide[..., :hidden] = weight_VH
    wide[..., hidden] = bias_V
    return wide


def loss_and_gradients(y_NH: Tensor, weight_VP: Tensor, targets_N: Tensor, scale: float) -> Loss:
    """Score `y_NH` by the softmax layer `biased`; its gradients come in its dtype."""
    hidden = y_NH.shape[1]
    read_NP = _read(y_NH, weight_VP)
    scores_NV = torch.mm(read_NP, weight_VP.t())
    nll_N, raised_NV, norm_N = _kernel(_softmax, scores_NV.dtype)(scores_NV, targets_N)
    raised_NV[torch.arange(len(targets_N), device=y_NH.device), targets_N] -= norm_N.to(
        raised_NV.dtype
    )
    weigh_N1 = (scale / norm_N).unsqueeze(1)
    dy_NH = torch.mm(raised_NV, weight_VP)[:, :hidden].to(y_NH.dtype) * weigh_N1
    dweight_VP = torch.mm(raised_NV.t(), (read_NP * weigh_N1).to(read_NP.dtype))
    return Loss(nll_N, dy_NH, dweight_VP[:, :hidden], dweight_VP[:, hidden].contiguous())


def losses(y_NH: Tensor, weight_VP: Tensor, targets_N: Tensor) -> Tensor:
    """The nll of each target alone, in nats."""
    scores_NV = torch.mm(_read(y_NH, weight_VP), weight_VP.t())
    return _kernel(_nll, scores_NV.dtype)(scores_NV, targets_N)[0]


def _read(y_NH: Tensor, weight_VP: Tensor) -> Tensor:
    """What the softmax reads, with a one for the bias: [N, P]."""
    hidden, width = y_NH.shape[1], weight_VP.shape[1]
    read_NP = functional.pad(y_NH.to(weight_VP.dtype), (0, width - hidden))
    read_NP[:, hidden] = 1.0
    return read_NP


@functools.cache
def _kernel(function: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    def examples() -> tuple[Tensor, Tensor]:
        return torch.zeros(400, 10_000, dtype=dtype), torch.zeros(400, dtype=torch.int64)

    return lowered(function, examples)


def _softmax(scores_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nll of each target, exp(score - the row's highest), and the sum of each row of it."""
    scores = scores_NV.to(torch.promote_types(scores_NV.dtype, torch.float32))
    highest = scores.amax(1, keepdim=True)
    raised = (scores - highest).exp()
    norm = raised.sum(1, keepdim=True)
    nll = highest + norm.log() - scores.gather(1, targets_N.unsqueeze(1))
    return nll.squeeze(1), raised.to(scores_NV.dtype), norm.squeeze(1)


def _nll(scores_NV: Tensor, targets_N: Tensor) -> tuple[Tensor]:
    scores = scores_NV.to(torch.promote_types(scores_NV.dtype, torch.float32))
    highest = scores.amax(1, keepdim=True)
    norm = (scores - highest).exp().sum(1, keepdim=True)
    return ((highest + norm.log() - scores.gather(1, targets_N.unsqueeze(1))).squeeze(1),)
