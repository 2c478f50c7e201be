"""`python -m ablate.training.compare_paths`: milliseconds an update by path, for engine/README.md.

Medians of 15 updates after 3 that warm up, interleaved so that a busy moment meets all paths alike.
"""

import statistics
import time

import torch

from ablate.engine.plan import Path
from ablate.model import language_model
from ablate.model.parameters import initial_parameters
from ablate.strategies import get
from ablate.training.recipe import PRESETS
from ablate.training.update import Task, train_update

_VOCABULARY = 10_000
_CASES = (
    ("none", Path.LOOPED),
    ("none", Path.FUSED),
    ("zaremba2014", Path.LOOPED),
    ("zaremba2014", Path.FUSED),
    ("naive", Path.LOOPED),
    ("zoneout", Path.LOOPED),
    ("gal2016", Path.LOOPED),
)


def milliseconds(preset: str, *, warm: int = 3, timed: int = 15) -> dict[tuple[str, Path], float]:
    """Median milliseconds of one update of each case at the preset's shapes."""
    net, recipe = PRESETS[preset].net, PRESETS[preset].recipe
    words = torch.Generator().manual_seed(0)
    x_TB, y_TB = torch.randint(
        _VOCABULARY, (2, recipe.unroll, recipe.batch), generator=words
    ).unbind()
    parameters = initial_parameters(net, _VOCABULARY, seed=1, radius=recipe.init)
    values = {name: value.requires_grad_() for name, value in parameters.items()}
    state = language_model.zero_state(net, recipe.batch, values["decoder.weight"])
    seconds: dict[tuple[str, Path], list[float]] = {case: [] for case in _CASES}
    for update in range(warm + timed):
        for strategy, path in _CASES:
            task = Task(net, get(strategy).place(), 1, train_path=path)
            began = time.perf_counter()
            train_update(
                values, x_TB, y_TB, state, task, update=update, learning_rate=1e-3, clip=5.0
            )
            seconds[strategy, path].append(time.perf_counter() - began)
    return {case: 1e3 * statistics.median(taken[warm:]) for case, taken in seconds.items()}


def main() -> None:
    """Print one line a case, ratios to `none` on its fastest path."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32")
    for preset in ("zaremba-small", "zaremba-medium"):
        taken = milliseconds(preset)
        fastest = min(taken["none", path] for path in (Path.LOOPED, Path.FUSED))
        for (strategy, path), value in taken.items():
            ratio = value / fastest
            print(f"{preset:15} {strategy:12} {path.value:7} {value:7.1f} ms {ratio:5.2f}")


if __name__ == "__main__":
    main()
