"""Parts of an update by themselves, each in several ways: what the engine's choices were made by.

* softmax: the loss of a window and its gradients with respect to `y`, weight and bias
* embedding: the gradient of the table, its share of the norm, and its step of SGD
* step: the norm of all other gradients, the clip, and the step of SGD

Shapes: N = T * B targets, H hidden, V vocabulary, D embedding.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ablate.training import sgd, softmax
from bench.ceilings import DTYPES
from bench.options import Options
from bench.shapes import Shape
from bench.timing import Step, Timing
from bench.trainers import random_parameters, window_of

_ALPHA: Final = -1e-6
_BLOCK: Final = 64


def softmax_whole(
    y_NH: Tensor, weight_VH: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> object:
    """Autograd over `cross_entropy` of the whole window's scores."""
    leaves = [value.detach().requires_grad_() for value in (y_NH, weight_VH, bias_V)]
    y, weight, bias = leaves
    scores_NV = functional.linear(y.to(dtype), weight.to(dtype), bias.to(dtype))
    nll = functional.cross_entropy(scores_NV.float(), targets_N, reduction="sum")
    return torch.autograd.grad(nll, leaves)


def softmax_blocks(
    y_NH: Tensor, weight_VH: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> object:
    """Blocks of 64 rows, whose scores stay in the cache; gradients by hand."""
    read_NH, weight_VH = y_NH.to(dtype), weight_VH.to(dtype)
    dy_NH, dweight_VH = torch.empty_like(read_NH), torch.zeros_like(weight_VH)
    dbias_V, nll = torch.zeros_like(bias_V), 0.0
    for start in range(0, len(y_NH), _BLOCK):
        rows = slice(start, start + _BLOCK)
        target_N1 = targets_N[rows, None]
        scores_NV = functional.linear(read_NH[rows], weight_VH).float() + bias_V
        logs_NV = scores_NV.log_softmax(1)
        nll -= float(logs_NV.gather(1, target_N1).sum())
        slopes_NV = logs_NV.exp_()
        slopes_NV.scatter_add_(1, target_N1, slopes_NV.new_full(target_N1.shape, -1.0))
        dbias_V += slopes_NV.sum(0)
        slopes_NV = slopes_NV.to(dtype)
        torch.mm(slopes_NV, weight_VH, out=dy_NH[rows])
        dweight_VH.addmm_(slopes_NV.t(), read_NH[rows])
    return dy_NH.to(y_NH.dtype), dweight_VH, dbias_V


def softmax_ours(
    y_NH: Tensor, weight_VH: Tensor, bias_V: Tensor, targets_N: Tensor, dtype: torch.dtype
) -> object:
    """What an update does."""
    weight_WP = softmax.biased(weight_VH, bias_V, dtype)
    found = softmax.losses_and_gradients(
        y_NH.unsqueeze(0), [weight_WP], targets_N, 1.0, len(weight_VH)
    )
    return found[0][1:]


def embedding_dense(table_VD: Tensor, tokens_TB: Tensor, dx_TBD: Tensor) -> object:
    """A gradient as large as the table."""
    gradient_VD = torch.zeros_like(table_VD)
    gradient_VD.index_add_(0, tokens_TB.flatten(), dx_TBD.flatten(0, 1))
    norm = float(torch.linalg.vector_norm(gradient_VD))
    return norm, table_VD.add_(gradient_VD, alpha=_ALPHA)


def embedding_library(table_VD: Tensor, tokens_TB: Tensor, dx_TBD: Tensor) -> object:
    """The library's own sparse gradient, `Embedding(sparse=True)`."""
    leaf = table_VD.detach().requires_grad_()
    vectors_TBD = functional.embedding(tokens_TB, leaf, sparse=True)
    (gradient,) = torch.autograd.grad(vectors_TBD, leaf, dx_TBD)
    gradient = gradient.coalesce()
    norm = float(torch.linalg.vector_norm(gradient.values()))
    return norm, table_VD.add_(gradient, alpha=_ALPHA)


def embedding_ours(table_VD: Tensor, tokens_TB: Tensor, dx_TBD: Tensor) -> object:
    """What an update does: sums over equal words, and the rows that have one."""
    rows = sgd.Rows.of(tokens_TB, dx_TBD.unsqueeze(0))
    norm = float(torch.linalg.vector_norm(rows.values_KRD))
    return norm, table_VD.index_add_(0, rows.at_R, rows.values_KRD[0], alpha=_ALPHA)


def step_foreach(values: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> object:
    """The library's operations on lists of tensors."""
    given = list(gradients.values())
    norms = torch._foreach_norm(given, dtype=torch.float32)  # pyright: ignore[reportPrivateImportUsage]
    norm = float(torch.linalg.vector_norm(torch.stack(norms)))
    alpha = _ALPHA * min(1.0, 5.0 / norm)
    torch._foreach_add_(list(values.values()), given, alpha=alpha)  # pyright: ignore[reportPrivateImportUsage]
    return norm


def step_library(values: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> object:
    """`clip_grad_norm_` and `add_`, as the stock trainer has them, on float32 gradients."""
    leaves = [nn.Parameter(value, requires_grad=True) for value in values.values()]
    for leaf, gradient in zip(leaves, gradients.values(), strict=True):
        leaf.grad = gradient.to(leaf.dtype)
    norm = nn.utils.clip_grad_norm_(leaves, 5.0)
    for leaf in leaves:
        assert leaf.grad is not None
        leaf.data.add_(leaf.grad, alpha=_ALPHA)
    return float(norm)


def step_ours(values: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> object:
    """What an update does."""
    own = {name: gradient.unsqueeze(0) for name, gradient in gradients.items()}
    norm_K = sgd.norms(own)
    sgd.step(
        {name: value.unsqueeze(0) for name, value in values.items()},
        own,
        _ALPHA * (5.0 / norm_K).clamp(max=1.0),
        torch.ones_like(norm_K, dtype=torch.bool),
    )
    return norm_K


WAYS: Final[Mapping[str, Mapping[str, Callable[..., object]]]] = {
    "softmax": {"whole": softmax_whole, "blocks of 64": softmax_blocks, "ours": softmax_ours},
    "embedding": {
        "dense": embedding_dense,
        "sparse, the library's": embedding_library,
        "ours": embedding_ours,
    },
    "step": {"foreach": step_foreach, "clip_grad_norm_, add_": step_library, "ours": step_ours},
}


def arguments(part: str, shape: Shape, precision: str, device: str) -> tuple[Any, ...]:
    """What the ways of a part are called with; the gradients of a step in the dtype of products."""
    values, dtype = random_parameters(shape, device), DTYPES[precision]
    x_TB, y_TB = window_of(shape, device)
    if part == "softmax":
        y_NH = torch.randn(shape.tokens, shape.hidden, device=device)
        return y_NH, values["decoder.weight"], values["decoder.bias"], y_TB.flatten(), dtype
    table_VD = values.pop("embedding.weight")
    if part == "embedding":
        return table_VD, x_TB, torch.randn(*x_TB.shape, table_VD.shape[1], device=device)
    gradients = {
        name: torch.randn_like(value).to(dtype if value.dim() == 2 else value.dtype)
        for name, value in values.items()
    }
    return values, gradients


def parts(
    shape: Shape,
    options: Options,
    in_turn: Callable[[Mapping[Hashable, Step]], dict[Hashable, Timing]],
) -> list[dict[str, Any]]:
    """Every way of every part at each vocabulary, those of one part and vocabulary in turns."""
    rows: list[dict[str, Any]] = []
    for vocabulary in options.vocabularies:
        sized = replace(shape, vocabulary=vocabulary)
        for part, ways in WAYS.items():
            # Words are looked up in float32 in either precision.
            alone = part == "embedding"
            for precision in ("fp32",) if alone else options.precisions:
                given = arguments(part, sized, precision, options.device)
                steps: dict[Hashable, Step] = {
                    way: partial(_call, function, given) for way, function in ways.items()
                }
                taken = in_turn(steps)
                best = min(timing.ms for timing in taken.values())
                rows += [
                    {
                        "part": part,
                        "way": str(way),
                        "shape": shape.name,
                        "precision": precision,
                        "vocabulary": vocabulary,
                        "ratio": timing.ms / best,
                        **asdict(timing),
                    }
                    for way, timing in taken.items()
                ]
    return rows


def _call(function: Callable[..., object], given: tuple[Any, ...], number: int) -> object:
    return function(*given)
