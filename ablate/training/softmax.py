"""The softmax layer and its cross-entropy, with their gradients, in one pass over the scores.

The loss ends the forward pass: its gradient is computed with the scores. It takes three products
and one compiled kernel between them, which writes exp(score - highest) and the sum of each row. The
products' small factors are divided by the sum: the scores, the largest tensor of an update, are
exponentiated once.

On the CPU the vocabulary is split into blocks, whose scores stay in a core's cache. This is the
online softmax. For a row with scores s_i, block j and target t:

    m_j = max of s_i in block j,  l_j = sum of exp(s_i - m_j) in block j
    m   = max of all m_j
    L   = sum_j exp(m_j - m) l_j                    the softmax denominator
    nll = m + log L - s_t
    p_i = exp(s_i - m_j) w_j,  w_j = exp(m_j - m) / L   the softmax, by the weight w_j of its block

docs/evidence/speed.md has the measurements.

Products are taken in the dtype of the weight; sums and the loss in float32 at least.

Shapes: N targets, H hidden, V vocabulary, W >= V: the rest are words that no text has; P > H: the
bias is column H of the weight, the rest zero; J blocks of I words, the last one's may be fewer.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.compiling import lowered

# Products in bfloat16 are faster where rows begin at multiples of this.
_ALIGNED: Final = 32

# Bytes of a block's scores for each thread: about a core's private cache.
_BLOCK: Final = 2 * 2**20

# The most blocks: each keeps a gradient [N, P], and their number would grow with N.
_MOST: Final = 8

# The score of a word that no text has, in any dtype: its exp is 0.
_NEVER: Final = -1e30

# The least weight of a block: a target's gradient is divided by it before the product.
_LEAST: Final = 1e-30


class Loss(NamedTuple):
    """The nll of each target, in nats, and the gradients of `scale` times their sum."""

    nll_N: Tensor
    y_NH: Tensor
    weight_VH: Tensor
    bias_V: Tensor


def biased(weight_VH: Tensor, bias_V: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight with the bias as a further column, [W, P], in the dtype of products."""
    words, hidden = weight_VH.shape
    wide_WP = weight_VH.new_zeros(_aligned(words), _aligned(hidden + 1), dtype=dtype)
    wide_WP[:words, :hidden] = weight_VH
    wide_WP[:words, hidden] = bias_V
    wide_WP[words:, hidden] = _NEVER
    return wide_WP


def losses_and_gradients(
    y_KNH: Tensor, weights_WP: Sequence[Tensor], targets_N: Tensor, scale: float, words: int
) -> list[Loss]:
    """Score each trial's `y_NH` by its softmax layer `biased`; its gradients come in its dtype.

    `words` is V. Trials run one after another: one trial's products use the whole machine, and all
    trials share the memory of the scores.
    """
    blocks = _Blocks.of(weights_WP[0], targets_N)
    return [
        _loss(y_NH, weight_WP, targets_N, scale, blocks, words)
        for y_NH, weight_WP in zip(y_KNH, weights_WP, strict=True)
    ]


class _Blocks(NamedTuple):
    """The memory through which every trial's scores pass, block behind block.

    `at_N` is where the target of each row stands in `exps`, `block_1N` its block.
    """

    sizes: list[int]
    scores: Tensor
    exps: Tensor
    products_JNP: Tensor
    at_N: Tensor
    block_1N: Tensor

    @classmethod
    def of(cls, weight_WP: Tensor, targets_N: Tensor) -> "_Blocks":
        rows, (words, width) = len(targets_N), weight_WP.shape
        sizes = _sizes(weight_WP, rows)
        block_N = targets_N // sizes[0]
        begins_N = block_N * sizes[0]
        # Every block but the last has the size of the first.
        size_N = (words - begins_N).clamp(max=sizes[0])
        row_N = torch.arange(rows, device=targets_N.device)
        return cls(
            sizes,
            weight_WP.new_empty(rows * sizes[0]),
            weight_WP.new_empty(rows * words),
            weight_WP.new_empty(len(sizes), rows, width),
            begins_N * rows + row_N * size_N + targets_N - begins_N,
            block_N.unsqueeze(0),
        )

    def each_exp(self) -> list[Tensor]:
        """The blocks of `exps`, [N, I] each."""
        rows = self.products_JNP.shape[1]
        parts = self.exps.split([rows * size for size in self.sizes])
        return [part.view(rows, -1) for part in parts]


def _loss(
    y_NH: Tensor,
    weight_WP: Tensor,
    targets_N: Tensor,
    scale: float,
    blocks: _Blocks,
    words: int,
) -> Loss:
    (rows, hidden), dtype, count = y_NH.shape, weight_WP.dtype, len(blocks.sizes)
    read_NP, target_NP = _read(y_NH, weight_WP), weight_WP[targets_N]
    parts, exps = weight_WP.split(blocks.sizes), blocks.each_exp()
    softmax, sums = _of_scores(_softmax, dtype, 2), []
    for weight_IP, exp_NI, product_NP in zip(parts, exps, blocks.products_JNP, strict=True):
        scores_NI = blocks.scores[: exp_NI.numel()].view_as(exp_NI)
        torch.mm(read_NP, weight_IP.t(), out=scores_NI)
        sums.append(softmax(scores_NI, exp_NI))
        torch.mm(exp_NI, weight_IP, out=product_NP)
    by = y_NH.new_full((), scale)
    nll_N, w_JN, scaled_JNP = _of_blocks(dtype, count)(read_NP, target_NP, by, *_turned(sums))
    dy_NH = y_NH.new_empty(rows, hidden)
    _of_input_gradient(dtype)(dy_NH, target_NP, blocks.products_JNP, w_JN, by)
    # p - 1 in the place of the target's p; its block's product multiplies by w_j.
    target_N = nll_N.neg().expm1() / w_JN.gather(0, blocks.block_1N)[0]
    blocks.exps[blocks.at_N] = target_N.to(dtype)
    dweight_WP = torch.empty_like(weight_WP)
    for into_IP, exp_NI, scaled_NP in zip(
        dweight_WP.split(blocks.sizes), exps, scaled_JNP, strict=True
    ):
        torch.mm(exp_NI.t(), scaled_NP, out=into_IP)
    dweight_VP = dweight_WP[:words]
    return Loss(nll_N, dy_NH, dweight_VP[:, :hidden], dweight_VP[:, hidden].contiguous())


def losses(y_NH: Tensor, weight_WP: Tensor, targets_N: Tensor) -> Tensor:
    """The nll of each target alone, in nats."""
    read_NP, rows, dtype = _read(y_NH, weight_WP), len(targets_N), weight_WP.dtype
    sizes = _sizes(weight_WP, rows)
    scores = weight_WP.new_empty(rows * sizes[0])
    kernel, sums = _of_scores(_sums, dtype, 1), []
    for weight_IP in weight_WP.split(sizes):
        scores_NI = scores[: rows * len(weight_IP)].view(rows, -1)
        sums.append(kernel(torch.mm(read_NP, weight_IP.t(), out=scores_NI)))
    # Not lowered: windows of any length are evaluated, and each number of blocks is another kernel.
    return _joined(read_NP, weight_WP[targets_N], *_turned(sums))[0]


def _sizes(weight_WP: Tensor, rows: int) -> list[int]:
    """The words of each of the vocabulary's blocks: equal, but for the last, and aligned."""
    words = weight_WP.shape[0]
    if weight_WP.device.type != "cpu":
        return [words]
    share = _BLOCK * torch.get_num_threads()
    count = max(1, round(words * rows * weight_WP.element_size() / share))
    count = min(count, _MOST)
    size = _aligned(-(-words // count))
    return [min(size, words - start) for start in range(0, words, size)]


def _aligned(count: int) -> int:
    return -(-count // _ALIGNED) * _ALIGNED


def _read(y_NH: Tensor, weight_WP: Tensor) -> Tensor:
    """What the softmax reads, with a one for the bias: [N, P]."""
    hidden, width = y_NH.shape[1], weight_WP.shape[1]
    read_NP = functional.pad(y_NH.to(weight_WP.dtype), (0, width - hidden))
    read_NP[:, hidden].fill_(1.0)
    return read_NP


def _turned(sums: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """What each block gave: all the highest scores, then all the sums."""
    return [*(highest_N for highest_N, _ in sums), *(total_N for _, total_N in sums)]


def _softmax(scores_NI: Tensor, exp_NI: Tensor) -> tuple[Tensor, Tensor]:
    """The highest score of each row, and the sum of exp(score - highest), put in `exp_NI`."""
    scores = _wide(scores_NI)
    highest = scores.amax(1, keepdim=True)
    exps = (scores - highest).exp()
    exp_NI.copy_(exps)
    return highest.squeeze(1), exps.sum(1)


def _sums(scores_NI: Tensor) -> tuple[Tensor, Tensor]:
    scores = _wide(scores_NI)
    highest = scores.amax(1, keepdim=True)
    return highest.squeeze(1), (scores - highest).exp().sum(1)


def _joined(read_NP: Tensor, target_NP: Tensor, *blocks: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The nll of each target, and by what each block's exp(score - its highest) is a probability.

    `target_NP` are the targets' rows of the weight, `blocks` the highest scores and then the sums.
    """
    count = len(blocks) // 2
    highest, sums = blocks[:count], blocks[count:]
    top = functools.reduce(torch.maximum, highest)
    corrections = [(own - top).exp().clamp(min=_LEAST) for own in highest]
    denominator = sum(own * total for own, total in zip(corrections, sums, strict=True))
    nll = top + torch.as_tensor(denominator).log() - (_wide(target_NP) * _wide(read_NP)).sum(1)
    return nll, [own / denominator for own in corrections]


def _joined_and_scaled(
    read_NP: Tensor, target_NP: Tensor, scale: Tensor, *blocks: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_joined`, and for each block what the softmax read, scaled: the factor of its dW."""
    nll, w_blocks = _joined(read_NP, target_NP, *blocks)
    scaled = [_wide(read_NP) * (scale * w).unsqueeze(1) for w in w_blocks]
    return nll, torch.stack(w_blocks), torch.stack(scaled).to(read_NP.dtype)


def _input_gradient(
    dy_NH: Tensor, target_NP: Tensor, products_JNP: Tensor, w_JN: Tensor, scale: Tensor
) -> tuple[()]:
    """Put in `dy_NH` the gradient of what the softmax read: the mean row less the target's own."""
    hidden = dy_NH.shape[1]
    mean = (_wide(products_JNP[:, :, :hidden]) * w_JN.unsqueeze(2)).sum(0)
    dy_NH.copy_(scale * (mean - _wide(target_NP[:, :hidden])))
    return ()


def _wide(value: Tensor) -> Tensor:
    return value.to(torch.promote_types(value.dtype, torch.float32))


@functools.cache
def _of_scores(function: Callable[..., Any], dtype: torch.dtype, count: int) -> Callable[..., Any]:
    """A function of `count` blocks of scores, lowered."""

    def examples(device: torch.device) -> tuple[Tensor, ...]:
        return tuple(torch.zeros(400, 2_480, dtype=dtype, device=device) for _ in range(count))

    return lowered(function, examples, "the softmax")


@functools.cache
def _of_blocks(dtype: torch.dtype, count: int) -> Callable[..., Any]:
    """`_joined_and_scaled` lowered for `count` blocks."""

    def examples(device: torch.device) -> tuple[Tensor, ...]:
        wide = torch.promote_types(dtype, torch.float32)
        rows = [torch.zeros(400, 208, dtype=dtype, device=device) for _ in range(2)]
        blocks = (torch.zeros(400, dtype=wide, device=device) for _ in range(2 * count))
        return *rows, torch.zeros((), dtype=wide, device=device), *blocks

    return lowered(_joined_and_scaled, examples, "the softmax")


@functools.cache
def _of_input_gradient(dtype: torch.dtype) -> Callable[..., Any]:
    """`_input_gradient`, lowered."""

    def examples(device: torch.device) -> tuple[Tensor, ...]:
        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        wide = torch.promote_types(dtype, torch.float32)
        given = zeros(400, 208, dtype=dtype), zeros(5, 400, 208, dtype=dtype)
        w_JN, scale = zeros(5, 400, dtype=wide), zeros(dtype=wide)
        return zeros(400, 200, dtype=wide), *given, w_JN, scale

    return lowered(_input_gradient, examples, "the gradient of the softmax")
