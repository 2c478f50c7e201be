"""What an update has to compute and to move, counted from the shapes.

Shapes: T time, B batch, D input, H hidden, V vocabulary.

Floating point operations are those of matrix products, two for each multiplication and addition;
everything else is less than a hundredth of them. Forward, a product is taken once, backward twice:
for the gradient of its input and for that of its weight.

Bytes are what an update moves where nothing stays in a cache between two uses, except the weights
of a step product. Scores that are made in blocks of rows stay in the cache, and move less.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ablate.model.parameters import shapes
from bench.shapes import Shape


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one update: operations in large products, in step products, and bytes by use."""

    large: int
    step: int
    bytes: Mapping[str, int]

    @property
    def operations(self) -> int:
        return self.large + self.step


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the machine was measured to do at best: operations a second, bytes a second."""

    large: float
    step: float
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Roofline:
    """Milliseconds that the work takes at the ceilings."""

    large_ms: float
    step_ms: float
    memory_ms: float

    @property
    def products_ms(self) -> float:
        """All products: what no implementation of the same products can beat."""
        return self.large_ms + self.step_ms

    @property
    def in_turn_ms(self) -> float:
        """Products and memory one after the other, as an eager update does."""
        return self.products_ms + self.memory_ms


def operations(shape: Shape) -> tuple[int, int]:
    """Operations of an update in large products and in step products."""
    large = step = 0
    for layer in range(shape.layers):
        inputs = shape.hidden if layer else shape.net.inputs
        of_input = 2 * shape.tokens * inputs * 4 * shape.hidden
        of_state = 2 * shape.tokens * shape.hidden * 4 * shape.hidden
        # The gradient of W_hh is one product over all steps.
        large += 3 * of_input + of_state
        step += 2 * of_state
    return large + 3 * 2 * shape.tokens * shape.hidden * shape.vocabulary, step


def traffic(shape: Shape, precision: str) -> dict[str, int]:
    """Bytes that an update moves, by use."""
    sizes = {name: math.prod(size) for name, size in shapes(shape.net, shape.vocabulary).items()}
    table = sizes.pop("embedding.weight")
    matrices = sum(size for name, size in sizes.items() if "weight" in name)
    # Only the rows of words that the window has can have a gradient.
    rows = min(shape.tokens * shape.net.inputs, table)
    trained = sum(sizes.values()) + rows
    each = 4 if precision == "fp32" else 2
    gates = shape.layers * shape.tokens * 4 * shape.hidden
    sequences = (shape.layers + 1) * shape.tokens * shape.hidden
    return {
        # Read by the forward and by the backward product; cast before where they are bfloat16.
        "weights": 2 * each * matrices + (0 if each == 4 else (4 + each) * matrices),
        # A gradient is written, read for the norm and for SGD; the parameter is read and written.
        "gradients and SGD": (3 * each + 2 * 4) * trained,
        # Scores are written and read, their gradient is written and read by two products.
        "scores": 5 * each * shape.tokens * shape.vocabulary,
        # Projections, gates and their gradients; what goes from layer to layer, and its gradient.
        "activations": 8 * 4 * gates + 6 * 4 * sequences,
    }


def work(shape: Shape, precision: str) -> Work:
    """The work of one update of `shape`."""
    return Work(*operations(shape), traffic(shape, precision))


def roofline(needed: Work, ceilings: Ceilings) -> Roofline:
    """How long the work takes at the ceilings."""
    return Roofline(
        1e3 * needed.large / ceilings.large,
        1e3 * needed.step / ceilings.step,
        1e3 * sum(needed.bytes.values()) / ceilings.bandwidth,
    )
