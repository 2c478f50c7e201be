"""The deterministic evaluation: each drawn multiplier's mean under the placement.

Shapes: K trials, T time.
"""

from collections.abc import Sequence

import torch

from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.masks.acting import Acting, Form, Mask, mean_factor
from ablate.engine.masks.table import Means, on_device
from ablate.engine.plan import Mode, folds
from ablate.engine.sites import Site, site_of
from ablate.engine.window import MaskSpec, Window


def mean_masks(
    edge: Edge, acting: Sequence[Acting | None], trials: Sequence[MaskSpec], *, fold: bool
) -> list[Mask]:
    """What the deterministic evaluation puts in place of drawn multipliers."""
    found: dict[tuple[Site, Form], list[float]] = {}
    begins: dict[int, float] = {}

    def put(site: Site, form: Form, k: int, mean: float) -> None:
        found.setdefault((site, form), [1.0] * len(acting))[k] = mean

    for k, own in enumerate(acting):
        if own is None:
            continue
        mean = 1.0 - own.rate if own.drop.fill is Fill.HOLD else mean_factor(*own)
        if own.drop.fill is Fill.HOLD:
            put(site_of(edge, Fill.HOLD), Form.ACTIVATION, k, mean)
        elif mean == 1.0:
            continue
        elif edge is Edge.CELL and own.drop.shared.divisor("time") != 1:
            # Within a decision m * m = m, so that the cell accumulates unscaled and each read is
            # scaled once; a new decision multiplies what the one before it left.
            put(sites.READ, Form.ACTIVATION, k, mean)
            begins[k] = mean
        elif edge is Edge.WEIGHT or (fold and folds(edge, own.drop, Mode.MEAN)):
            put(sites.WEIGHT, Form.COLUMN, k, mean)
        else:
            put(site_of(edge), Form.ACTIVATION, k, mean)
    masks = [Mask(*place, means_of(means, trials[0].window)) for place, means in found.items()]
    divisors = {k: acting[k].drop.shared.divisor("time") for k in begins}  # pyright: ignore[reportOptionalMemberAccess]
    if any(divisors.values()):
        masks.append(Mask(sites.BEGIN, Form.ACTIVATION, _begins(begins, divisors, trials)))
    return masks


def means_of(means: Sequence[float], window: Window) -> Means:
    return Means(on_device(means, window.dtype, window.device).view(-1, 1, 1, 1, 1))


def _begins(
    means: dict[int, float], divisors: dict[int, int | None], trials: Sequence[MaskSpec]
) -> Means:
    """CELL's mean at those steps at which a new decision begins, made from its divisor."""
    rows = []
    for k, (_, window) in enumerate(trials):
        ones_T = torch.ones(window.time, dtype=window.dtype, device=window.device)
        if divisor := divisors.get(k):
            steps_T = torch.arange(window.start, window.start + window.time, device=window.device)
            begins_T = (steps_T % divisor == 0) & (steps_T > 0)
            ones_T = torch.where(begins_T, means[k] * ones_T, ones_T)
        rows.append(ones_T)
    return Means(torch.stack(rows).view(len(trials), -1, 1, 1, 1))
