"""Every strategy on a device against the specification on the CPU in float64.

Alone, a window with all its gradients; then side by side, updates as training makes them.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from ablate.cells import CELLS, LSTM, Cell
from ablate.compiling import can_compile
from ablate.edges import Edge
from ablate.engine.plan import Path
from ablate.placement import Placement
from ablate.strategies import get, names
from ablate.testing.case import Case, StackOutput, everything, make_case, window_of
from gpu import cases
from gpu.cases import NEAR, Row, is_gpu, on

_OTHERS: Final = ("none", "naive", "gal2016", "everywhere")


def _alone(alone: bool) -> list[str]:
    """The strategies named after an edge, which drop there and nowhere else; or all others."""
    edges = {edge.label.lower() for edge in Edge}
    return [name for name in names() if (name in edges) is alone]


def edges_fp32(device: str) -> Iterator[Row]:
    """Every edge alone, compiled, a window and through the captured update, in float32."""
    yield from placements(device, "fp32", _alone(True))


def edges_bf16(device: str) -> Iterator[Row]:
    """As `edges_fp32`, in bfloat16."""
    yield from placements(device, "bf16", _alone(True))


def schemes_fp32(device: str) -> Iterator[Row]:
    """Every other strategy, compiled, a window and through the captured update, in float32."""
    yield from placements(device, "fp32", _alone(False))


def schemes_bf16(device: str) -> Iterator[Row]:
    """As `schemes_fp32`, in bfloat16."""
    yield from placements(device, "bf16", _alone(False))


def eager(device: str) -> Iterator[Row]:
    """Every strategy, nothing compiled, in both precisions. Runs below ABLATE_COMPILE=0."""
    assert not can_compile(torch.device(device).type), "this was to run eagerly"
    for precision in NEAR:
        yield from placements(device, precision)


def other_cells(device: str) -> Iterator[Row]:
    """Some strategies on every other cell than the LSTM, a window alone, in float32.

    In bfloat16, with weights as large as a case's, a plain RNN doubles a rounding at each step.
    """
    worst = 0.0
    for cell, name in itertools.product(CELLS.values(), _OTHERS):
        if cell is not LSTM:
            placement, told = get(name).place(cell), f"{name} on {cell.name}"
            window = furthest_window(placement, device, "fp32", told, cell)
            worst = max(worst, window)
            yield {"cell": cell.name, "strategy": name, "window": window}
    yield {"told": f"windows of other cells are off by {worst:.1e} at most"}


def placements(
    device: str, precision: str, strategies: Sequence[str] | None = None
) -> Iterator[Row]:
    """A window with all its gradients, then some updates of two trials, against float64."""
    near, windows, worst = NEAR[precision], 0.0, 0.0
    for name in strategies or names():
        placement = get(name).place()
        told = f"{name}, {precision}"
        window = furthest_window(placement, device, precision, told)
        plans = [cases.planned(placement, seed, precision=precision) for seed in (1, 2)]
        found, expected = cases.ran(plans, device), cases.by_the_book(plans)
        assert found.captured == is_gpu(device), f"{told}: its updates were not captured"
        updates = cases.furthest_of(found, expected, near, told)
        windows, worst = max(windows, window), max(worst, updates)
        yield {"strategy": name, "precision": precision, "window": window, "updates": updates}
    yield {
        "told": f"{precision}: windows are off by {windows:.1e} at most, allowed {2 * near:.1e}; "
        f"updates by {worst:.1e}, allowed {near:.1e}"
    }


def furthest_window(
    placement: Placement,
    device: str,
    precision: str,
    told: str,
    cell: Cell = LSTM,
) -> float:
    """Outputs, states and every gradient of a window on `device` against float64 on the CPU."""
    placement = placement.at(cases.BEGUN, cases.WHOLE)
    exact, given = _rounded(make_case(2, dtype=torch.float32, cell=cell), precision, device)
    with on("cpu"):
        expected = everything(exact, placement, window_of(exact), Path.REFERENCE)
    with on(device):
        window = window_of(given, device=device)
        found = everything(given, placement, window, Path.LOOPED)
    # Gradients pass through a product, and a rounding, at each step.
    return cases.furthest(found, expected, 2.0 * NEAR[precision], told)


def _rounded(case: Case, precision: str, device: str) -> tuple[Case, Case]:
    """One case in float64 on the CPU, and on the device with weights in the dtype of products."""

    def leaf(value: Tensor, dtype: torch.dtype, where: str) -> Tensor:
        return value.detach().to(where, dtype).requires_grad_()

    products = torch.bfloat16 if precision == "bf16" else torch.float32

    def made(dtype: torch.dtype, where: str) -> Case:
        weights = []
        for layer in case.weights:
            # The exact ones are what the others were rounded to.
            matrices = (getattr(layer, name).detach().to(products) for name in ("w_ih", "w_hh"))
            own = products if dtype is torch.float32 else dtype
            biases = (
                leaf(bias, dtype, where) for bias in (layer.b_ih, layer.b_hh) if bias is not None
            )
            weights.append(type(layer)(*(leaf(each, own, where) for each in matrices), *biases))
        y_TBX, state = case.cotangents
        return Case(
            leaf(case.x_TBD, dtype, where),
            case.tokens_TB.to(where),
            tuple(leaf(part, dtype, where) for part in case.state),
            tuple(weights),
            StackOutput(y_TBX.to(where, dtype), tuple(part.to(where, dtype) for part in state)),
            case.cell,
        )

    return made(torch.float64, "cpu"), made(torch.float32, device)
