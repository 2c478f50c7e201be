"""`ablate.LSTM`: `torch.nn.LSTM` with dropout at any edge.

Shapes: T time, B batch, D input, H hidden, G gates, U units, S source units, L layers.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ablate.edges import LSTM_EDGES, Edge, layers_of
from ablate.engine.factors import mask
from ablate.engine.plan import Path, Reach, plan
from ablate.engine.precision import in_dtype, product_dtype, without_autocast
from ablate.engine.reference import LayerWeights
from ablate.engine.slots import Window
from ablate.engine.stack import State, run_stack
from ablate.errors import AblateError
from ablate.model.arguments import Shape, check_input, check_options, check_state
from ablate.model.hooks import in_window
from ablate.model.masked import Masked, advance, claim, coordinate, recomputing
from ablate.model.meeting import Call, watch
from ablate.model.placing import idle, warn_idle
from ablate.model.transforms import (
    NOT_IN_A_GRAPH,
    by_functions,
    refuse_places,
    refuse_trace,
)
from ablate.placement import Placement


class LSTM(Masked, nn.LSTM):
    """`torch.nn.LSTM` with dropout wherever a placement puts it.

    The constructor's arguments, the call, its outputs, the state, `state_dict` and the initial
    weights under `torch.manual_seed` are those of `torch.nn.LSTM`, so that a model changes one line
    and checkpoints load both ways.

        placement = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
        lstm = ablate.LSTM(10, 20, num_layers=2, placement=placement)
        y, (h, c) = lstm(x)

    In training mode each call is an update of its own, counted in `next_update`, and tosses its own
    masks, a function of `seed`, `stack` and the update; a call with `update` named uses that one
    and counts nothing. In evaluation mode nothing is tossed: each toss is replaced by its mean
    under the placement. `mask_state()` is what a checkpoint needs besides `state_dict`.

    `seed=None` draws one from torch's default generator, after the weights. Two LSTMs of one seed
    take different `stack`s (0 to 255), and a warning says where two of one model have not. A deep
    copy draws a stack of its own; what is pickled, saved or loaded keeps the one it had. OUTPUT
    drops the sequence that is returned, not the state.

    Below `torch.autocast` matrix products are taken in its dtype, everything else in that of the
    parameters. That is also the dtype of what is returned, where `torch.nn.LSTM` returns
    autocast's: the next operation casts it if it wants to, and a state that is carried from call to
    call keeps its precision.

    Raises AblateError for what is not here: `bidirectional`, `proj_size`, `dropout=` (the edge
    INTERLAYER is that), PackedSequence, and EMBEDDING, which `ablate.Embedding` owns. Warns of a
    drop that acts nowhere. `ablate.model.transforms` has the table of what torch's tools (export,
    trace, vmap, ...) do with it.
    """

    owns = LSTM_EDGES & ~Edge.EMBEDDING
    named_call = "lstm(x, update=n)[0]"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        *,
        placement: Placement | None = None,
        seed: int | None = None,
        stack: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **unsupported: Any,
    ) -> None:
        shape = Shape(input_size, hidden_size, num_layers, bias, batch_first)
        check_options(unsupported, shape)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, device=device, dtype=dtype
        )
        self._place(placement, seed, stack)

    def _check_edges(self, edges: Edge) -> None:
        if Edge.EMBEDDING in edges:
            raise AblateError(
                "EMBEDDING drops words, which an LSTM does not see; split the placement p: "
                "`p - ablate.Edge.EMBEDDING` is the LSTM's and `p & ablate.Edge.EMBEDDING` that of "
                "an ablate.Embedding, or take ablate.LanguageModel, which owns both"
            )

    def _check_placement(self, placement: Placement) -> None:
        placement.check(self.num_layers)
        # Once, although a schedule sets the placement at each update.
        before = getattr(self, "_placement", Placement())
        nowhere = idle(placement, self.num_layers) & ~idle(before, self.num_layers)
        warn_idle(nowhere, self.num_layers, f": `placement - ablate.Edge.{nowhere.label}`")

    def hook(self, edge: Edge, fn: Callable[..., Tensor]) -> RemovableHandle:
        handle = super().hook(edge, fn)
        if not any(layers_of(each, self.num_layers) for each in edge):
            warn_idle(edge, self.num_layers, "")
        return handle

    # A loop over time unrolled into a caller's graph would compile for minutes, once an update.
    @torch.compiler.disable(reason=NOT_IN_A_GRAPH)
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        x: Tensor,
        state: State | None = None,
        *by_place: Any,
        update: int | None = None,
        start: int = 0,
        batch_offset: int = 0,
        hx: State | None = None,
    ) -> tuple[Tensor, State]:
        """Run over a sequence: `y, (h_n, c_n)`, as `torch.nn.LSTM`; `hx` is its name for `state`.

        x is [T, B, D], [B, T, D] with `batch_first`, or [T, D]; the state (h, c) is [L, B, H] each,
        [L, H] where x has no batch, zeros by default. `start` is the first step's number within the
        sequence: a loop of one-step calls with one `update` has the masks of one long call.
        `batch_offset` is the first row's number in the whole batch.
        """
        refuse_places("ablate.LSTM", by_place, "lstm(x, state, update=0)")
        number = claim(self, update, start=start)
        # torch.nn.LSTM's own attribute, which some code sets after construction.
        check_options({"dropout": self.dropout}, self._shape)
        weights = self._weights()
        like = weights[0].w_ih
        batched = isinstance(x, Tensor) and x.dim() == 3
        x_TBD = self._time_first(check_input(x, like, self._shape))
        time, rows, _ = x_TBD.shape
        if not time:
            raise AblateError("a sequence has at least one step, got none")
        given = check_state(
            hx if state is None else state, self.num_layers, self.hidden_size, x_TBD, batched
        )
        window = self._window(time, rows, number, start, batch_offset, x_TBD)
        # A batch without rows has no masks.
        placement = self.placement if rows else Placement()
        path = self._path(placement, window)
        hooks = in_window(self._edge_hooks.values(), window)
        weights = [in_dtype(layer, product_dtype(like)) for layer in weights]
        with without_autocast(x.device):
            out = run_stack(x_TBD, given, weights, placement, window, path, hooks)
        advance(self, update)
        y, (h, c) = out.y_TBX, out.state
        y, h, c = (self._time_first(y), h, c) if batched else (y[:, 0], h[:, 0], c[:, 0])
        if self._acts and not (recomputing() or by_functions()):
            watch(self, Call(number, update is not None), (y, h, c))
        return y, (h, c)

    @property
    def _shape(self) -> Shape:
        return Shape(
            self.input_size, self.hidden_size, self.num_layers, self.bias, self.batch_first
        )

    def _path(self, placement: Placement, window: Window) -> Path:
        """The path of a call; raises AblateError where a tool would freeze it."""
        made = plan(
            placement, self.num_layers, device=torch.device(window.device).type, mode=window.mode
        )
        inside = Edge(0)
        for reached in made.reaches:
            inside |= reached.edge if reached.reach is Reach.INSIDE else Edge(0)
        refuse_trace("ablate.LSTM", inside)
        return Path.REFERENCE if by_functions() else made.path

    def masks(
        self,
        edge: Edge,
        *,
        time: int | None = None,
        batch: int | None = None,
        layer: int | None = None,
        update: int | None = None,
        start: int = 0,
        batch_offset: int = 0,
    ) -> Tensor:
        """The multipliers with which a training call drops `edge` at `layer`.

        [T, B, G, U] for a window of `time` steps and `batch` rows, WEIGHT's [G, U, S]; an axis that
        shares one decision has length 1. Under HOLD 1 takes the new value and 0 keeps the old one.
        Unless they are named, the layer is the lowest at which the edge acts and the update that of
        the next call. Raises AblateError for an edge that the placement does not drop.
        """
        if not isinstance(edge, Edge) or len(edge) != 1:
            given = edge.label if isinstance(edge, Edge) else repr(edge)
            raise AblateError(f"masks are those of one Edge such as Edge.RECURRENT, got {given}")
        self._check_edges(edge)
        if edge not in self.placement:
            dropped = ", ".join(each.label for each in self.placement) or "nothing"
            raise AblateError(
                f"the placement drops {dropped}, and not {edge.label}: there are no masks to show"
            )
        layers = layers_of(edge, self.num_layers)
        if not layers:
            raise AblateError(
                f"{edge.label} lies between two layers, and this LSTM has one: there are no masks "
                "to show"
            )
        layer = layers.start if layer is None else layer
        if layer not in layers:
            raise AblateError(
                f"{edge.label} acts at the layers {list(layers)} of {self.num_layers}, "
                f"counted from 0, got {layer}"
            )
        number = self.next_update if update is None else coordinate("update", update)
        if edge is not Edge.WEIGHT and (time is None or batch is None):
            raise AblateError(
                f"the masks of {edge.label} differ by step and row: give `time` and `batch`, the "
                "window's lengths"
            )
        like = self._weights()[0].w_ih
        window = self._window(time or 1, batch or 1, number, start, batch_offset, like)
        units = self.input_size if edge is Edge.INPUT else self.hidden_size
        return mask(self.placement[edge], edge, layer, units, window)

    def extra_repr(self) -> str:
        return super().extra_repr() + self._masks_repr()

    def _time_first(self, value: Tensor) -> Tensor:
        """[T, B, X] of what a caller gives, and back; no batch becomes a batch of one."""
        if value.dim() == 2:
            return value[:, None]
        return value.transpose(0, 1) if self.batch_first else value

    def _weights(self) -> list[LayerWeights]:
        """Each layer's parameters, or what stands in their place (a parametrization's)."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if self.bias else 2]
        return [
            LayerWeights(*(getattr(self, f"{kind}_l{layer}") for kind in kinds))
            for layer in range(self.num_layers)
        ]
