"""A seeded net with its input, state and cotangents, and how each path of the engine runs it.

Shapes: T time, B batch, D input, H hidden, L layers, X what a net of one or two directions gives.
All odd, none a multiple of the four words of a call of the generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from ablate.cells import LSTM, Cell
from ablate.edges import Edge
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.layers.stack import StackOutput, State, run_stack
from ablate.engine.masks.net import drop_sequence
from ablate.engine.plan import Mode, Path
from ablate.engine.window import Window
from ablate.placement import Placement

#: One placement, or those of two directions.
Placements = Placement | tuple[Placement, Placement]

T, B, D, H = 7, 3, 5, 13
MODES: Final = tuple(Mode)

VOCABULARY = 4  # fewer than T, so that words repeat within a row

_WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")


@dataclass(frozen=True, slots=True)
class Case:
    """All that a call needs; tensors are leaves that ask for gradients."""

    x_TBD: Tensor
    tokens_TB: Tensor
    state: State
    weights: tuple[LayerWeights, ...]
    cotangents: StackOutput
    cell: Cell = LSTM

    def leaves(self) -> dict[str, Tensor]:
        """What has a gradient, by name."""
        named = {"x": self.x_TBD}
        named |= {f"{name}_0": part for name, part in self.named(self.state).items()}
        for layer, weights in enumerate(self.weights):
            for name, weight in zip(_WEIGHTS, weights, strict=True):
                if weight is not None:
                    named[f"{name}_l{layer}"] = weight
        return named

    def cotangent(self, name: str) -> Tensor:
        """What the loss weighs an output by: "y", or a part of the last state ("s_T")."""
        last = {f"{part}_T": value for part, value in self.named(self.cotangents.state).items()}
        return ({"y": self.cotangents.y_TBX} | last)[name]

    def named(self, state: State) -> dict[str, Tensor]:
        """The parts of a state by name; the first is s, which may differ from the output h."""
        return dict(zip(("s", *self.cell.state[1:]), state, strict=True))


def make_case(
    layers: int = 2,
    *,
    steps: int = T,
    dtype: torch.dtype = torch.float64,
    bias: bool = True,
    seed: int = 0,
    cell: Cell = LSTM,
    directions: int = 1,
) -> Case:
    """Draw a case; weights are large enough that gates are far from their middle.

    Of two directions each layer has two weights and two states, forward first.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, size: float = 0.5) -> Tensor:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64) * size
        return drawn.to(dtype).requires_grad_()

    rows, places = len(cell.gates) * H, layers * directions
    weights = tuple(
        LayerWeights(
            normal(rows, directions * H if place >= directions else D),
            normal(rows, H),
            *((normal(rows), normal(rows)) if bias else (None, None)),
        )
        for place in range(places)
    )
    return Case(
        normal(steps, B, D, size=1.0),
        torch.randint(VOCABULARY, (steps, B), generator=generator),
        tuple(normal(places, B, H) for _ in cell.state),
        weights,
        StackOutput(
            normal(steps, B, directions * H, size=1.0).detach(),
            tuple(normal(places, B, H, size=1.0).detach() for _ in cell.state),
        ),
        cell,
    )


def window_of(case: Case, **given: Any) -> Window:
    """The window of a case: seed 1409, update 3, training, unless said otherwise."""
    steps, batch, _ = case.x_TBD.shape
    stated = {"seed": 1409, "update": 3, "time": steps, "batch": batch, "dtype": case.x_TBD.dtype}
    return Window(**(stated | given))


def forward(
    x_TBD: Tensor,
    state: State,
    weights: Sequence[LayerWeights],
    placement: Placements,
    window: Window,
    path: Path = Path.LOOPED,
    *,
    tokens_TB: Tensor | None = None,
    cell: Cell = LSTM,
    lengths_B: Tensor | None = None,
) -> StackOutput:
    """A whole stack with EMBEDDING applied to its input, as the embedding's owner does."""
    first = placement[0] if isinstance(placement, tuple) else placement
    x_TBD = drop_sequence(x_TBD, Edge.EMBEDDING, 0, first, window, tokens_TB=tokens_TB)
    return run_stack(x_TBD, state, weights, placement, window, path, cell=cell, lengths_B=lengths_B)


def outputs(
    case: Case,
    placement: Placements,
    window: Window,
    path: Path,
    lengths_B: Tensor | None = None,
) -> dict[str, Tensor]:
    """Output and the parts of the final state, by name."""
    made = forward(
        case.x_TBD,
        case.state,
        case.weights,
        placement,
        window,
        path,
        tokens_TB=case.tokens_TB,
        cell=case.cell,
        lengths_B=lengths_B,
    )
    return {"y": made.y_TBX} | {f"{name}_T": part for name, part in case.named(made.state).items()}


def everything(
    case: Case,
    placement: Placements,
    window: Window,
    path: Path,
    lengths_B: Tensor | None = None,
) -> dict[str, Tensor]:
    """Output, final states and the gradient of every leaf, by name.

    Each output has a cotangent of its own, so that no part of a backward pass can hide.
    """
    made, leaves = outputs(case, placement, window, path, lengths_B), case.leaves()
    cotangents = [case.cotangent(name) for name in made]
    gradients = torch.autograd.grad(list(made.values()), list(leaves.values()), cotangents)
    named = {f"d {name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    return {name: value.detach() for name, value in made.items()} | named
