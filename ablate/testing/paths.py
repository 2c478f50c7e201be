"""The contract of what runs: every path of the engine equals the specification."""

import pytest
import torch

from ablate.engine.plan import Mode, Path, Reach, plan
from ablate.engine.window import Window
from ablate.placement import Placement
from ablate.testing.case import MODES, Case, T, everything, make_case, outputs, window_of
from ablate.testing.close import assert_close, assert_same
from ablate.testing.points import OfAStrategy, in_force

SIZES = [
    pytest.param(T, torch.float64, id=f"T{T}-float64"),
    pytest.param(1, torch.float64, id="T1-float64"),
    pytest.param(T, torch.float32, id=f"T{T}-float32"),
    pytest.param(1, torch.float32, id="T1-float32"),
]
MODE = [pytest.param(mode, id=mode.value) for mode in MODES]


def assert_paths_equal(case: Case, placement: Placement, window: Window) -> None:
    """Compare looped, and library where nothing is inside the loop, with the reference."""
    expected = everything(case, placement, window, Path.REFERENCE)
    reaches = plan(placement, len(case.weights), mode=window.mode, cell=case.cell).reaches
    inside = any(reached.reach is Reach.INSIDE for reached in reaches)
    for path in (Path.LOOPED,) if inside else (Path.LOOPED, Path.LIBRARY):
        found = everything(case, placement, window, path)
        assert_close(found, expected, f"{path.value}, {window.mode.value}: {placement.text}")


class PathsContract(OfAStrategy):
    """Outputs, final states and gradients of the default placement and of a few others."""

    @pytest.mark.parametrize("mode", MODE)
    @pytest.mark.parametrize(("steps", "dtype"), SIZES)
    def test_every_path_equals_the_specification(
        self, steps: int, dtype: torch.dtype, mode: Mode
    ) -> None:
        """Outputs, final states and every gradient by name, at odd sizes and every depth."""
        placement = in_force(self.place({}))
        for layers in self.layers:
            case = make_case(layers, steps=steps, dtype=dtype, cell=self.of_cell)
            assert_paths_equal(case, placement, window_of(case, mode=mode))

    @pytest.mark.parametrize("mode", MODE)
    def test_every_path_equals_the_specification_at_other_points(self, mode: Mode) -> None:
        """Each choice and a few drawn points, in the middle of a sequence and of a batch."""
        case = make_case(max(self.layers), cell=self.of_cell)
        window = window_of(case, mode=mode, start=5, batch_offset=2)
        for placement in map(in_force, self.few_placements()):
            assert_paths_equal(case, placement, window)

    def test_evaluation_samples_nothing(self) -> None:
        """Another seed, update, row or stack changes no bit of the deterministic evaluation."""
        case = make_case(max(self.layers), cell=self.of_cell)
        for placement in map(in_force, self.few_placements()):
            one, two = (
                outputs(case, placement, window_of(case, mode=Mode.MEAN, **given), Path.LOOPED)
                for given in ({}, {"seed": 8, "update": 9, "batch_offset": 10, "stack": 2})
            )
            assert_same(two, one, f"two evaluations of {placement.text}")

    def test_the_same_update_samples_the_same(self) -> None:
        """Training twice at one seed and update gives the same bits."""
        case = make_case(max(self.layers), cell=self.of_cell)
        placement = in_force(self.place({}))
        one, two = (everything(case, placement, window_of(case), Path.LOOPED) for _ in range(2))
        assert_same(two, one, f"one update, run twice, of {placement.text}")

    @pytest.mark.parametrize("path", [Path.REFERENCE, Path.LOOPED], ids=lambda path: path.value)
    def test_all_rates_at_zero_are_no_placement(self, path: Path) -> None:
        """With every rate 0 outputs, states and gradients are a plain net's, bit for bit."""
        parameters = self.subject.parameters
        rates = [name for name, given in parameters.items() if given.kind == "rate"]
        if not rates:
            pytest.skip(f"strategy '{self.strategy}' has no rates")
        case = make_case(max(self.layers), cell=self.of_cell)
        window = window_of(case)
        zero = everything(case, self.place(dict.fromkeys(rates, 0.0)), window, path)
        assert_same(zero, everything(case, Placement(), window, path), "all rates at 0")
