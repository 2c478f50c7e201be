"""Every mask of a cohort's update by address, made once: an update draws them and tells no number.

What `cohort_factors` draws from numbers that Python holds comes here from tables on the device,
whose updates' numbers are a tensor. So a window may be captured in a CUDA graph and replayed with
the numbers that follow. Masks inside the loop are the kernels' own to toss; those outside it, and
those that are folded into a weight, are written out window by window.

Shapes: K trials, T time, B batch, G gates, U units, S source units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ablate.edges import Edge
from ablate.engine.cohort import Tosses, Trial
from ablate.engine.factors import Factors, Slot
from ablate.engine.plan import Mode, folds
from ablate.engine.triton_toss import Toss, edge_toss, layer_tosses
from ablate.errors import AblateError
from ablate.masks import check_types
from ablate.noise import BERNOULLI
from ablate.placement import Placement


class LayerTosses(NamedTuple):
    """One layer's: inside the loop by slot, on its input, on W_hh, and on both weights' columns.

    None where no trial drops. The last two are masks that `layer_factors` folds into a weight.
    """

    inside: Tosses
    input: Toss | None
    weight: Toss | None
    input_columns: Toss | None
    recurrent_columns: Toss | None


@dataclass(frozen=True, slots=True)
class CohortTosses:
    """All tosses of K trials; they share the tensor of their updates' numbers."""

    embedding: Toss | None
    layers: tuple[LayerTosses, ...]
    output: Toss | None

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        *,
        inputs: int,
        hidden: int,
        layers: int,
        words: int,
        updates_K: Tensor,
    ) -> "CohortTosses":
        """The tosses of trials on a net of `layers` layers that read `inputs` and have `hidden`.

        `words` is the size of the vocabulary; the windows say how long a window is, and
        `updates_K` (int64) gives its number in each trial. Raises AblateError for a noise other
        than BERNOULLI, and for a coordinate that has no address.
        """
        if not tossed_whole([placement for placement, _ in trials]):
            raise AblateError(
                "masks are tossed by address alone where every drop's noise is BERNOULLI, got "
                f"{', '.join(str(placement) for placement, _ in trials)}; "
                "take cohort_factors, which draws the others"
            )
        placements = [placement for placement, _ in trials]
        windows = [window for _, window in trials]

        def toss(edge: Edge, layer: int, units: int, *, folded: bool | None = None) -> Toss | None:
            """Of all that `edge` tosses, or what of it is folded, or what is not."""
            return edge_toss(
                edge,
                placements if not folded else [_folded(own, edge) for own in placements],
                windows,
                layer,
                units=units,
                updates_K=updates_K,
                fold=folded is False,
            )

        def of_layer(layer: int) -> LayerTosses:
            vertical, width = (Edge.INTERLAYER, hidden) if layer else (Edge.INPUT, inputs)
            return LayerTosses(
                layer_tosses(placements, windows, layer, hidden=hidden, updates_K=updates_K),
                toss(vertical, layer, width, folded=False),
                toss(Edge.WEIGHT, layer, hidden),
                toss(vertical, layer, width, folded=True),
                toss(Edge.RECURRENT, layer, hidden, folded=True),
            )

        embedding = toss(Edge.EMBEDDING, 0, inputs)
        for placement in placements:
            if drop := placement.get(Edge.EMBEDDING):
                check_types(drop.shared, words)
        return cls(
            embedding,
            tuple(of_layer(layer) for layer in range(layers)),
            toss(Edge.OUTPUT, layers - 1, hidden),
        )

    def masks(self, layer: int, read_KTBU: Tensor, hidden: int) -> tuple[Factors, Tosses]:
        """The factors of a layer that reads such a sequence, and its tosses inside the loop."""
        own, factors = self.layers[layer], {}
        time, batch, units = read_KTBU.shape[1:]
        if own.input is not None:
            factors[Slot.INPUT] = _drawn(own.input, time=time, batch=batch, units=units)
        if own.input_columns is not None:
            factors[Slot.INPUT_WEIGHT] = _columns(own.input_columns, units)
        if own.weight is not None:
            # A weight's mask is one step of S rows, [K, 1, S, G, U].
            rows = _drawn(own.weight, time=1, batch=hidden, units=hidden)
            factors[Slot.WEIGHT] = rows[:, 0].permute(0, 2, 3, 1)
        if own.recurrent_columns is not None:
            columns = _columns(own.recurrent_columns, hidden)
            weight = factors.get(Slot.WEIGHT)
            factors[Slot.WEIGHT] = columns if weight is None else weight * columns
        return factors, own.inside

    def drop_words(self, x_KTBD: Tensor, tokens_TB: Tensor) -> Tensor:
        """Apply EMBEDDING to the vectors of the words `tokens_TB`."""
        return _dropped(self.embedding, x_KTBD, tokens_TB)

    def drop_output(self, y_KTBH: Tensor) -> Tensor:
        """Apply OUTPUT."""
        return _dropped(self.output, y_KTBH)


def tossed_whole(placements: Sequence[Placement]) -> bool:
    """Whether every mask of these placements is a toss: other noises make numbers of words."""
    return all(drop.noise == BERNOULLI for own in placements for drop in own.values())


def _folded(placement: Placement, edge: Edge) -> Placement:
    """What of a placement `layer_factors` moves from this edge into a weight."""
    drop = placement.get(edge)
    return placement & edge if drop and folds(edge, drop, Mode.TRAIN) else Placement()


def _drawn(
    toss: Toss, *, time: int, batch: int, units: int, tokens_TB: Tensor | None = None
) -> Tensor:
    """The multipliers [K, T, B, G, U] of a toss."""
    # Triton chooses its interpreter when it is first imported, and is not everywhere.
    from ablate.engine.triton_steps import window_masks

    gates = 4 if toss.apart else 1
    return window_masks(toss, time=time, batch=batch, units=units, gates=gates, tokens_TB=tokens_TB)


def _columns(toss: Toss, units: int) -> Tensor:
    """What a mask that is constant over window and batch multiplies a weight by, [K, G, 1, U]."""
    return _drawn(toss, time=1, batch=1, units=units)[:, 0, 0].unsqueeze(2)


def _dropped(toss: Toss | None, x_KTBU: Tensor, tokens_TB: Tensor | None = None) -> Tensor:
    if toss is None:
        return x_KTBU
    time, batch, units = x_KTBU.shape[1:]
    made = _drawn(toss, time=time, batch=batch, units=units, tokens_TB=tokens_TB)
    return x_KTBU * made[:, :, :, 0]
