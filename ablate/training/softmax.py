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
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.compiling import lowered

# Products in bfloat16 are faster where rows begin at multiples of this.
_ALIGNED = 16


class Loss(NamedTuple):
    """The nll of each target, in nats, and the gradients of `scale` times their sum."""

    nll_N: Tensor
    y_NH: Tensor
    weight_VH: Tensor
    bias_V: Tensor


def biased(weight_VH: Tensor, bias_V: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight with the bias as a column of its own, [V, P], in the dtype of products."""
    rows, hidden = weight_VH.shape
    width = -(-(hidden + 1) // _ALIGNED) * _ALIGNED
    wide_VP = weight_VH.new_empty(rows, width, dtype=dtype)
    wide_VP[:, :hidden] = weight_VH
    wide_VP[:, hidden] = bias_V
    wide_VP[:, hidden + 1 :] = 0.0
    return wide_VP


def losses_and_gradients(
    y_KNH: Tensor, weights_VP: Sequence[Tensor], targets_N: Tensor, scale: float
) -> list[Loss]:
    """Score each trial's `y_NH` by its softmax layer `biased`; its gradients come in its dtype.

    Trial by trial: these products fill the machine alone, and all scores pass through one memory.
    """
    shape = (len(targets_N), len(weights_VP[0]))
    scores_NV, raised_NV = (weights_VP[0].new_empty(shape) for _ in range(2))
    return [
        _loss(y_NH, weight_VP, targets_N, scale, scores_NV, raised_NV)
        for y_NH, weight_VP in zip(y_KNH, weights_VP, strict=True)
    ]


def _loss(
    y_NH: Tensor,
    weight_VP: Tensor,
    targets_N: Tensor,
    scale: float,
    scores_NV: Tensor,
    raised_NV: Tensor,
) -> Loss:
    hidden = y_NH.shape[1]
    read_NP = _read(y_NH, weight_VP)
    torch.mm(read_NP, weight_VP.t(), out=scores_NV)
    nll_N, norm_N = _kernel(_softmax, scores_NV.dtype)(scores_NV, targets_N, raised_NV)
    rows_N = torch.arange(len(targets_N), device=y_NH.device)
    raised_NV[rows_N, targets_N] -= norm_N.to(raised_NV.dtype)
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
    def examples() -> tuple[Tensor, ...]:
        scores = [torch.zeros(400, 10_000, dtype=dtype) for _ in range(2)]
        targets = torch.zeros(400, dtype=torch.int64)
        return (scores[0], targets, scores[1]) if function is _softmax else (scores[0], targets)

    return lowered(function, examples)


def _softmax(scores_NV: Tensor, targets_N: Tensor, raised_NV: Tensor) -> tuple[Tensor, Tensor]:
    """The nll of each target, and the sum over each row of exp(score - highest) in `raised_NV`."""
    scores = scores_NV.to(torch.promote_types(scores_NV.dtype, torch.float32))
    highest = scores.amax(1, keepdim=True)
    raised = (scores - highest).exp()
    norm = raised.sum(1, keepdim=True)
    nll = highest + norm.log() - scores.gather(1, targets_N.unsqueeze(1))
    raised_NV.copy_(raised)
    return nll.squeeze(1), norm.squeeze(1)


def _nll(scores_NV: Tensor, targets_N: Tensor) -> tuple[Tensor]:
    scores = scores_NV.to(torch.promote_types(scores_NV.dtype, torch.float32))
    highest = scores.amax(1, keepdim=True)
    norm = (scores - highest).exp().sum(1, keepdim=True)
    return ((highest + norm.log() - scores.gather(1, targets_N.unsqueeze(1))).squeeze(1),)
