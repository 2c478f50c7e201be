"""Whose scale is whose where WEIGHT and RECURRENT both drop: a gate reads their product alone.

From outside nobody can tell how the product was divided. It is divided by the scales that explain
it best at the rates of the two; whether it is the right product is then WEIGHT's scale.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ablate.auditing.drafts import Draft
from ablate.auditing.findings import EXACT
from ablate.auditing.layer_edges import Expected, LayerEdge
from ablate.drops import Scale
from ablate.edges import Edge

_Scales = tuple[Scale, Scale]

_SCALES = (Scale.TRAIN, Scale.TEST)


def divided(
    drafts: Sequence[Draft], stated: Mapping[LayerEdge, Expected]
) -> tuple[tuple[Draft, ...], dict[LayerEdge, float]]:
    """The drafts with both scales, and by place the relative error of a scale so divided.

    Rates are the placement's where it has both drops, and else those that were counted.
    """
    states = {draft.place.layer: draft for draft in drafts if _multiplies(draft, Edge.RECURRENT)}
    changed: dict[LayerEdge, Draft] = {}
    errors: dict[LayerEdge, float] = {}
    for weight in drafts:
        state = states.get(weight.place.layer)
        if state is None or not _multiplies(weight, Edge.WEIGHT):
            continue
        kept = (weight.kept or 0.0) * (state.kept or 0.0)
        wants = [want for one in (weight, state) if (want := stated.get(one.place)) is not None]
        if len(wants) == 2:
            rates, error = (wants[0].rate, wants[1].rate), 0.0
            meant = tuple(want.drop.scale or Scale.TRAIN for want in wants)
        else:
            rates, error, meant = (weight.rate, state.rate), state.error, ()
        scales = _likeliest(kept, rates, meant)
        if scales[1] is not Scale.TRAIN:
            own = 1.0
        elif scales[0] is not Scale.TRAIN:
            own = kept
        else:
            own = 1.0 / (1.0 - rates[1])
            errors[weight.place] = error * own
        changed[state.place] = replace(state, kept=own)
        changed[weight.place] = replace(weight, kept=kept / own)
    return tuple(changed.get(draft.place, draft) for draft in drafts), errors


def _multiplies(draft: Draft, edge: Edge) -> bool:
    """Whether it is a mask at `edge` that multiplies by one number what it keeps."""
    return draft.place.edge is edge and not (draft.place.hold or draft.written) and bool(draft.kept)


def _likeliest(kept: float, rates: tuple[float, float], meant: tuple[Scale, ...]) -> _Scales:
    """The scales of two masks of these rates whose product is nearest to `kept`.

    Those that are `meant` where no others are nearer.
    """
    off: dict[_Scales, float] = {}
    for scales in itertools.product(_SCALES, _SCALES):
        pairs = zip(rates, scales, strict=True)
        passing = math.prod(1.0 - rate for rate, scale in pairs if scale is Scale.TRAIN)
        off[scales] = abs(kept * passing - 1.0)
    return min(off, key=lambda scales: (off[scales] > min(off.values()) + EXACT, scales != meant))
