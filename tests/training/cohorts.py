"""Updates of a cohort, and what each of its trials has of them.

Shapes: K trials, U updates, T time, B batch, L layers, H hidden.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ablate.cells import get
from ablate.engine.plan import Path
from ablate.model.net import Net
from ablate.model.parameters import Parameters, initial_parameters, stacked
from ablate.placement import Placement
from ablate.training.update import TrialPlan, Update

Window = tuple[Tensor, Tensor]


def plans_of(
    net: Net, placements: Sequence[Placement], path: Path = Path.LOOPED, **given: Any
) -> list[TrialPlan]:
    """A trial of each placement, with seeds 0, 1, and so on; each has ten updates."""
    return [
        TrialPlan(net, placement, seed, path, path, updates=10, **given)
        for seed, placement in enumerate(placements)
    ]


def initial(plans: Sequence[TrialPlan], vocabulary: int, **given: Any) -> list[Parameters]:
    """What each trial starts from."""
    return [
        initial_parameters(planned.net, vocabulary, seed=planned.seed, radius=0.5, **given)
        for planned in plans
    ]


def windows_of(vocabulary: int, time: int, batch: int, count: int = 1) -> list[Window]:
    """Drawn windows, each of inputs and targets [T, B]."""
    generator = torch.Generator().manual_seed(3)
    shape = (count, 2, time, batch)
    drawn = torch.randint(vocabulary, shape, generator=generator)
    return [(x_TB, y_TB) for x_TB, y_TB in drawn]


def start(
    plans: Sequence[TrialPlan],
    each: Sequence[Parameters],
    window: tuple[int, int],
    *,
    updates: Sequence[int],
    learning_rates: Sequence[float],
    clips: Sequence[float],
    state: tuple[Tensor, ...] | None = None,
) -> Update:
    """The update of these trials from copies of their parameters and from a state [L, K, B, H]."""
    made = Update.of(
        stacked(each),
        plans,
        window,
        updates=updates,
        learning_rates=learning_rates,
        clips=clips,
    )
    for own, value in zip(made.state, state or made.state, strict=True):
        own.copy_(value)
    return made


def updated(update: Update, windows: Sequence[Window]) -> list[dict[str, Tensor]]:
    """Of each trial its parameters and state after these windows, and what was told: [U, 2]."""
    told_U2K = torch.stack([update(*window) for window in windows])
    names = ("s", *get(update.net.cell).state[1:])
    parts = {n: part.transpose(0, 1) for n, part in zip(names, update.state, strict=True)}
    values = {**update.parameters, **parts, "told": told_U2K.permute(2, 0, 1)}
    trials = told_U2K.shape[2]
    return [{name: value[k].clone() for name, value in values.items()} for k in range(trials)]


def together_and_alone(
    plans: Sequence[TrialPlan],
    each: Sequence[Parameters],
    windows: Sequence[Window],
    *,
    state: tuple[Tensor, ...] | None = None,
    **given: Sequence[Any],
) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Each trial after these windows in the cohort, and alone; what is `given` is each trial's."""
    shape = tuple(windows[0][0].shape)
    together = updated(start(plans, each, shape, state=state, **given), windows)
    alone = []
    for k, planned in enumerate(plans):
        own = {name: values[k : k + 1] for name, values in given.items()}
        before = None if state is None else tuple(part[:, k : k + 1] for part in state)
        alone += updated(start([planned], each[k : k + 1], shape, state=before, **own), windows)
    return list(zip(together, alone, strict=True))
