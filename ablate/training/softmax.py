"""The softmax layer and its cross-entropy, with their gradients, in one pass over the scores.

The loss is the last thing of an update, so that its gradient is taken where the scores are made:
three products, and between them one compiled kernel. It leaves exp(score - highest) behind and the
sum of each row beside it; what divides by the sum are the products' small factors, so that the
scores, the largest tensor of an update, are exponentiated once.

The vocabulary is taken in blocks, whose scores stay in a core's cache. Each has a highest score of
its own, and what is made of a block is weighed by exp(its highest - the row's) once all are known.
README.md beside this file has what this was measured against.

Products are taken in the dtype of the weight; sums and the loss in float32 at least.

Shapes: N targets, H hidden, V vocabulary, P > H: the bias is column H of the weight, the rest zero;
J blocks.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.compiling import lowered

# Products in bfloat16 are faster where rows begin at multiples of this.
_ALIGNED: Final = 16

# Bytes of a block's scores for each thread: about what a core keeps to itself.
_BLOCK: Final = 2 * 2**20


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
    like, rows = weights_VP[0], len(targets_N)
    parts = _parts(like, rows)
    scores = like.new_empty(rows * parts[0])
    raised = [like.new_empty(rows, part) for part in parts]
    return [
        _loss(y_NH, weight_VP, targets_N, scale, scores, raised)
        for y_NH, weight_VP in zip(y_KNH, weights_VP, strict=True)
    ]


def _loss(
    y_NH: Tensor,
    weight_VP: Tensor,
    targets_N: Tensor,
    scale: float,
    scores: Tensor,
    raised: Sequence[Tensor],
) -> Loss:
    hidden = y_NH.shape[1]
    read_NP = _read(y_NH, weight_VP)
    parts = weight_VP.split([part.shape[1] for part in raised])
    softmax, blocks, pulls = _kernel(_softmax, scores.dtype), [], []
    for weight_JP, raised_NJ in zip(parts, raised, strict=True):
        scores_NJ = scores[: raised_NJ.numel()].view_as(raised_NJ)
        torch.mm(read_NP, weight_JP.t(), out=scores_NJ)
        blocks.append(softmax(scores_NJ, raised_NJ))
        pulls.append(torch.mm(raised_NJ, weight_JP)[:, :hidden])
    nll_N, weigh_NJ = _joined(blocks, read_NP, weight_VP, targets_N)
    # The target's own part of each gradient is -scale times what the softmax read, or its row.
    dy_NH = -weight_VP[targets_N, :hidden].to(y_NH.dtype)
    for pull_NH, weigh_N in zip(pulls, weigh_NJ.unbind(1), strict=True):
        dy_NH += pull_NH * weigh_N.unsqueeze(1)
    dweight_VP = torch.empty_like(weight_VP)
    for into_JP, raised_NJ, weigh_N in zip(
        dweight_VP.split([part.shape[1] for part in raised]),
        raised,
        weigh_NJ.unbind(1),
        strict=True,
    ):
        weighed_NP = (read_NP * (scale * weigh_N).unsqueeze(1)).to(read_NP.dtype)
        torch.mm(raised_NJ.t(), weighed_NP, out=into_JP)
    at_R, row_N = torch.unique(targets_N, return_inverse=True)
    own_RP = torch.zeros(len(at_R), read_NP.shape[1], dtype=y_NH.dtype, device=y_NH.device)
    own_RP.index_add_(0, row_N, read_NP.to(y_NH.dtype), alpha=-scale)
    dweight_VP[at_R] = (dweight_VP[at_R] + own_RP).to(dweight_VP.dtype)
    return Loss(nll_N, dy_NH * scale, dweight_VP[:, :hidden], dweight_VP[:, hidden].contiguous())


def losses(y_NH: Tensor, weight_VP: Tensor, targets_N: Tensor) -> Tensor:
    """The nll of each target alone, in nats."""
    read_NP, rows = _read(y_NH, weight_VP), len(targets_N)
    parts = _parts(weight_VP, rows)
    scores = weight_VP.new_empty(rows * parts[0])
    sums, blocks = _kernel(_sums, scores.dtype), []
    for weight_JP, part in zip(weight_VP.split(parts), parts, strict=True):
        scores_NJ = scores[: rows * part].view(rows, part)
        blocks.append(sums(torch.mm(read_NP, weight_JP.t(), out=scores_NJ)))
    return _joined(blocks, read_NP, weight_VP, targets_N)[0]


def _parts(weight_VP: Tensor, rows: int) -> list[int]:
    """The sizes of the vocabulary's blocks: equal, but for the last, and aligned."""
    vocabulary = weight_VP.shape[0]
    share = _BLOCK * torch.get_num_threads()
    count = max(1, round(vocabulary * rows * weight_VP.element_size() / share))
    part = min(vocabulary, -(-vocabulary // count // _ALIGNED) * _ALIGNED)
    return [min(part, vocabulary - start) for start in range(0, vocabulary, part)]


def _joined(
    blocks: Sequence[tuple[Tensor, Tensor]], read_NP: Tensor, weight_VP: Tensor, targets_N: Tensor
) -> tuple[Tensor, Tensor]:
    """The nll of each target, and what weighs a block's exp(score - its highest), [N, J]."""
    highest_NJ = torch.stack([highest for highest, _ in blocks], dim=1)
    sums_NJ = torch.stack([total for _, total in blocks], dim=1)
    highest_N1 = highest_NJ.amax(1, keepdim=True)
    lifted_NJ = (highest_NJ - highest_N1).exp()
    norm_N1 = (lifted_NJ * sums_NJ).sum(1, keepdim=True)
    own_NP = weight_VP[targets_N].to(norm_N1.dtype) * read_NP.to(norm_N1.dtype)
    nll_N = (highest_N1 + norm_N1.log()).squeeze(1) - own_NP.sum(1)
    return nll_N, lifted_NJ / norm_N1


def _read(y_NH: Tensor, weight_VP: Tensor) -> Tensor:
    """What the softmax reads, with a one for the bias: [N, P]."""
    hidden, width = y_NH.shape[1], weight_VP.shape[1]
    read_NP = functional.pad(y_NH.to(weight_VP.dtype), (0, width - hidden))
    read_NP[:, hidden] = 1.0
    return read_NP


@functools.cache
def _kernel(function: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    def examples() -> tuple[Tensor, ...]:
        both = [torch.zeros(400, 2_480, dtype=dtype) for _ in range(2)]
        return tuple(both if function is _softmax else both[:1])

    return lowered(function, examples)


def _softmax(scores_NJ: Tensor, raised_NJ: Tensor) -> tuple[Tensor, Tensor]:
    """The highest score of each row, and the sum of exp(score - highest), put in `raised_NJ`."""
    scores = scores_NJ.to(torch.promote_types(scores_NJ.dtype, torch.float32))
    highest = scores.amax(1, keepdim=True)
    raised = (scores - highest).exp()
    raised_NJ.copy_(raised)
    return highest.squeeze(1), raised.sum(1)


def _sums(scores_NJ: Tensor) -> tuple[Tensor, Tensor]:
    scores = scores_NJ.to(torch.promote_types(scores_NJ.dtype, torch.float32))
    highest = scores.amax(1, keepdim=True)
    return highest.squeeze(1), (scores - highest).exp().sum(1)
