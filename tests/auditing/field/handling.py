"""What the tests of the field modules share: modules without rates, seeded weights, one call."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def without_rates(factory: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """The same factory with every rate zero; a rate is a keyword that is a float."""
    assert isinstance(factory, partial)
    zero = {name: 0.0 for name, value in factory.keywords.items() if isinstance(value, float)}
    return partial(factory, **zero)


def built(factory: Callable[..., nn.Module], *sizes: int) -> nn.Module:
    """A module in float64 with parameters drawn in the order of layers and kinds."""
    module = factory(*sizes).double()
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, parameter in sorted(parameters(module).items()):
            value = torch.empty(parameter.shape, dtype=torch.float64)
            parameter.copy_(value.normal_(generator=draws))
    return module


def parameters(module: nn.Module) -> dict[tuple[int, str], nn.Parameter]:
    """An LSTM's parameters by (layer, kind), for one `nn.LSTM` a layer too."""
    found = {}
    for name, parameter in module.named_parameters():
        *path, last = name.split(".")
        kind, _, layer = last.removesuffix("_raw").partition("_l")
        numbers = [int(part) for part in path if part.isdigit()]
        found[numbers[0] if numbers else int(layer), kind] = parameter
    return found


def called(
    module: nn.Module, x: Tensor, h: Tensor, c: Tensor, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, h, c) of a call with torch seeded; x and y are [T, B, ...] whatever the module takes."""
    batch_first = getattr(module, "batch_first", False)
    torch.manual_seed(seed)
    y, (h, c) = module(x.transpose(0, 1) if batch_first else x, (h, c))
    return y.transpose(0, 1) if batch_first else y, h, c


def window(
    time: int, batch: int, inputs: int, hidden: int, layers: int
) -> tuple[Tensor, Tensor, Tensor]:
    """x [T, B, D], h_0 and c_0 [L, B, H], drawn and asking for gradients."""
    draws = torch.Generator().manual_seed(2)
    shapes = ((time, batch, inputs), (layers, batch, hidden), (layers, batch, hidden))
    x, h, c = (torch.randn(s, generator=draws, dtype=torch.float64) for s in shapes)
    return x.requires_grad_(), h.requires_grad_(), c.requires_grad_()


def gradient_error(module: nn.Module, signals: tuple[Tensor, Tensor, Tensor]) -> float:
    """How far the gradient along one direction is from the central difference, in training."""
    leaves = [*module.parameters(), *signals]
    draws = torch.Generator().manual_seed(3)
    ways = [torch.randn(leaf.shape, generator=draws, dtype=torch.float64) for leaf in leaves]

    def total(step: float) -> Tensor:
        with torch.no_grad():
            for leaf, way in zip(leaves, ways, strict=True):
                leaf.add_(way, alpha=step)
        return sum(part.square().sum() for part in called(module, *signals))

    slopes = torch.autograd.grad(total(0.0), leaves)
    by_gradient = sum((slope * way).sum() for slope, way in zip(slopes, ways, strict=True))
    by_difference = (total(1e-6) - total(-2e-6)) / 2e-6
    total(1e-6)
    return abs((by_gradient - by_difference) / by_gradient).item()
