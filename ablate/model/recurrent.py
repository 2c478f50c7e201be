"""The base of `ablate.LSTM`, `ablate.GRU`, `ablate.RNN`: torch's module with dropout at any edge.

Shapes: T time, B batch, D input, H hidden, G gates, U units, S source units, L layers times
directions.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.jit._trace import is_tracing
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from ablate import cells
from ablate.addresses import check_units
from ablate.cells import Cell
from ablate.edges import Edge, layers_of
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.layers.stack import StackOutput, run_stack
from ablate.engine.masks.net import mask
from ablate.engine.plan import Path, Reach, plan
from ablate.engine.precision import in_dtype, product_dtype, without_autocast
from ablate.engine.window import Window
from ablate.errors import AblateError
from ablate.model.arguments import (
    Called,
    CallersState,
    check_input,
    check_options,
    check_state,
    one_of,
)
from ablate.model.hooks import in_window
from ablate.model.masked import Masked, advance, claim, coordinate, recomputing
from ablate.model.meeting import Call, watch
from ablate.model.placing import Placed, by_direction, idle, warn_idle
from ablate.model.ragged import Lengths, check_lengths, packed_as, padded
from ablate.model.showing import layer_of, one_edge, placement_of
from ablate.model.transforms import (
    NOT_IN_A_GRAPH,
    by_functions,
    kind_of,
    refuse_places,
    refuse_ragged_trace,
    refuse_trace,
)
from ablate.placement import Placement


class Recurrent(Masked, nn.RNNBase):
    """A recurrent module of torch with dropout at the edges of a placement; abstract.

    A subclass also inherits from its torch module, whose constructor makes the weights.
    """

    # Options of the class beyond those of all recurrent modules.
    adds: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        placement: Placed | None = None,
        seed: int | None = None,
        stack: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **others: Any,
    ) -> None:
        width = 2 * hidden_size if bidirectional else hidden_size
        given = {"dropout": dropout} | others
        check_options(given, self.adds, kind_of(self), layers=num_layers, width=width)
        # The next constructor is that of torch's module, which sets its mode.
        super().__init__(
            input_size,  # pyright: ignore[reportArgumentType]
            hidden_size,
            num_layers,
            bias=bias,
            batch_first=batch_first,
            bidirectional=bidirectional,
            device=device,
            dtype=dtype,
            **others,
        )
        self._place(placement, seed, stack)

    @property
    def cell(self) -> Cell:
        """The equations that the module runs."""
        return cells.get(self.mode.lower().removesuffix("_tanh"))

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def owns(self) -> Edge:
        return self.cell.has & ~Edge.EMBEDDING

    @property
    def named_call(self) -> str:
        return f"{self._called.name}(x, update=n)[0]"

    def _check_edges(self, edges: Edge) -> None:
        if Edge.EMBEDDING in edges:
            raise AblateError(
                f"EMBEDDING drops words, which {kind_of(self)} does not see; split the placement "
                "p: `p - ablate.Edge.EMBEDDING` is its own and `p & ablate.Edge.EMBEDDING` that of "
                "an ablate.Embedding, or take ablate.LanguageModel, which owns both"
            )

    def _check_placed(self, placed: Placed) -> None:
        nowhere, before = Edge(0), Edge(0)
        for placement in by_direction(placed, self.directions):
            placement.check(self.num_layers, self.cell)
            placement.check_noises(self.num_layers)
            for edge, drop in placement.items():
                check_units(drop.shared, self._units(edge))
            nowhere |= idle(placement, self.num_layers)
        # Warn only about newly idle edges: a schedule sets the placement at each update.
        for placement in by_direction(getattr(self, "_placement", Placement()), self.directions):
            before |= idle(placement, self.num_layers)
        nowhere &= ~before
        mend = f"placement - ablate.Edge.{nowhere.label}"
        if isinstance(placed, tuple):
            mend = f"[each - ablate.Edge.{nowhere.label} for each in placement]"
        warn_idle(nowhere, self.num_layers, f": `{mend}`")

    def hook(self, edge: Edge, fn: Callable[..., Tensor]) -> RemovableHandle:
        if isinstance(edge, Edge) and (lacks := edge & ~self.owns & ~Edge.EMBEDDING):
            raise AblateError(
                f"{kind_of(self)} has no {lacks.label}, where a hook was to stand; its edges are "
                f"{', '.join(each.label for each in self.owns)}"
            )
        handle = super().hook(edge, fn)
        if not any(layers_of(each, self.num_layers) for each in edge):
            warn_idle(edge, self.num_layers, "")
        return handle

    # Unrolling a loop over time into the caller's graph would compile for minutes at each update.
    @torch.compiler.disable(reason=NOT_IN_A_GRAPH)
    def forward(
        self,
        x: Tensor | PackedSequence | None = None,
        state: CallersState | None = None,
        *by_place: Any,
        update: int | None = None,
        start: int = 0,
        batch_offset: int = 0,
        lengths: Lengths | None = None,
        input: Tensor | PackedSequence | None = None,
        hx: CallersState | None = None,
    ) -> tuple[Tensor | PackedSequence, CallersState]:
        """Run over a sequence: returns `y, state` as torch's module.

        `input` and `hx` are torch's names for x and the state.
        x is [T, B, D], [B, T, D] with `batch_first`, [T, D], or a PackedSequence; y has the same
        form. The state is (h, c) for an LSTM and h for the others, [L, B, H] each, [L, H] if x has
        no batch, zeros by default. `lengths`, [B] from 0 to T, are the row lengths of a padded x:
        later steps are not read, y is 0 there, and the state is that at the end of each row.

        `start` is the first step's number within the sequence: a loop of one-step calls with one
        `update` has the masks of one long call. `batch_offset` is the first row's number in the
        whole batch.
        """
        called = self._called
        refuse_places(called.kind, by_place, f"{called.name}(x, state, update=0)", "lengths")
        if start and self.directions == 2:
            raise AblateError(
                f"{called.kind} of two directions reads a sequence from both ends, so that no call "
                f"goes on with one, got start={start}; give the whole sequence in one call"
            )
        number = claim(self, update, start=start)
        # Some code sets torch's attribute after construction.
        self._check_dropout()
        weights = self._weights()
        like = weights[0].w_ih
        x = check_input(one_of(called.kind, x=x, input=input), like, called)
        if lengths is not None or isinstance(x, PackedSequence):
            refuse_ragged_trace(called.kind)
        x_TBD, lengths_B = self._read(x, lengths)
        time, rows, _ = x_TBD.shape
        if not time:
            raise AblateError("a sequence has at least one step, got none")
        batched = isinstance(x, PackedSequence) or x.dim() == 3
        state = one_of(called.kind, state=state, hx=hx)
        parts = check_state(state, self.cell.state, called, x_TBD, batch=batched)
        window = self._window(time, rows, number, start, batch_offset, x_TBD)
        y_TBH, after = self._run(x_TBD, parts, weights, window, lengths_B)
        advance(self, update)
        y = self._given_back(x, y_TBH)
        after = after if batched else tuple(part[:, 0] for part in after)
        if self._acts and not (recomputing() or by_functions()):
            watch(self, Call(number, update is not None), (y_TBH, *after))
        return y, after[0] if len(after) == 1 else after

    def _run(
        self,
        x_TBD: Tensor,
        state: tuple[Tensor, ...],
        weights: list[LayerWeights],
        window: Window,
        lengths_B: Tensor | None,
    ) -> StackOutput:
        """Run all layers over a window on the engine's path for the placement."""
        placements = self.placements
        # An empty batch has neither masks nor lengths.
        if not window.batch:
            placements, lengths_B = (Placement(),) * self.directions, None
        path = self._path(placements, window)
        hooks = in_window(self._edge_hooks.values(), window)
        dtype = product_dtype(weights[0].w_ih)
        with without_autocast(x_TBD.device):
            return run_stack(
                x_TBD,
                state,
                [in_dtype(layer, dtype) for layer in weights],
                placements[0] if self.directions == 1 else (placements[0], placements[1]),
                window,
                path,
                hooks,
                cell=self.cell,
                lengths_B=lengths_B,
            )

    def _check_dropout(self) -> None:
        width = self.directions * self.hidden_size
        own = {"dropout": self.dropout}
        check_options(own, self.adds, kind_of(self), layers=self.num_layers, width=width)

    def _read(
        self, x: Tensor | PackedSequence, lengths: Lengths | None
    ) -> tuple[Tensor, Tensor | None]:
        """x as [T, B, D], and its row lengths if they may differ."""
        if isinstance(x, PackedSequence):
            x_TBD, lengths_B = padded(x)
            return x_TBD, lengths_B if lengths is None else check_lengths(lengths, x, x_TBD)
        x_TBD = self._time_first(x)
        return x_TBD, None if lengths is None else check_lengths(lengths, x, x_TBD)

    def _given_back(self, x: Tensor | PackedSequence, y_TBH: Tensor) -> Tensor | PackedSequence:
        """The outputs in the same form as x."""
        if isinstance(x, PackedSequence):
            return packed_as(x, y_TBH)
        return self._time_first(y_TBH) if x.dim() == 3 else y_TBH[:, 0]

    def _time_first(self, value: Tensor) -> Tensor:
        """Convert to [T, B, X] or back; without a batch axis B is 1."""
        if value.dim() == 2:
            return value[:, None]
        return value.transpose(0, 1) if self.batch_first else value

    @property
    def _called(self) -> Called:
        return Called(
            kind_of(self),
            self.cell.name.partition("_")[0],
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self.directions,
        )

    def _path(self, placements: tuple[Placement, ...], window: Window) -> Path:
        """The path of a call; raises AblateError if a tool would freeze it."""
        device = torch.device(window.device).type
        # Plan a placement that both directions share only once.
        planned = placements[:1] if placements[0] is placements[-1] else placements
        plans = [
            plan(each, self.num_layers, device=device, mode=window.mode, cell=self.cell)
            for each in planned
        ]
        inside = Edge(0)
        for reached in (each for made in plans for each in made.reaches):
            if reached.reach is Reach.INSIDE:
                inside |= reached.edge
        for hook in self._edge_hooks.values():
            inside |= hook.edges
        refuse_trace(kind_of(self), inside)
        if by_functions():
            return Path.REFERENCE
        # A trace would unroll our loop, and our loop takes no empty batch.
        if not inside and self.cell.library and (is_tracing() or not window.batch):
            return Path.LIBRARY
        # Both directions take one path: the library's loop supports no drop inside.
        return next((made.path for made in plans if made.path is Path.LOOPED), plans[0].path)

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
        direction: int = 0,
    ) -> Tensor:
        """The multipliers that a training call applies to `edge` at `layer`.

        [T, B, G, U] for a window of `time` steps and `batch` rows, [G, U, S] for WEIGHT; an axis
        that shares one decision has length 1. Under HOLD 1 takes the new value and 0 keeps the old.
        Masks of backward, `direction` 1, are in reading order, a row's last step first. At OUTPUT,
        and at an INPUT or INTERLAYER that both directions share, they are in sequence order. The
        defaults are the lowest layer at which the edge acts, and the update of the next call.
        Raises AblateError for an edge that the placement does not drop.
        """
        self._check_edges(one_edge(edge))
        placement = placement_of(self.placements, direction, edge)
        layer = layer_of(edge, layer, self.num_layers, kind_of(self))
        number = self.next_update if update is None else coordinate("update", update)
        steps, rows = (1, 1) if edge is Edge.WEIGHT else (time, batch)
        if not (isinstance(steps, int) and isinstance(rows, int) and min(steps, rows) > 0):
            raise AblateError(
                f"the masks of {edge.label} differ by step and row: give `time` and `batch`, the "
                f"window's lengths, as whole numbers from 1, got time={time!r} and batch={batch!r}"
            )
        like = self._weights()[0].w_ih
        window = self._window(steps, rows, number, start, batch_offset, like)
        window = replace(window, direction=direction)
        drop = placement.within(self.num_layers)[edge]
        return mask(drop, edge, layer, self._units(edge), window, cell=self.cell)

    def _units(self, edge: Edge) -> int:
        """The number of units that `edge` drops; INTERLAYER reads both directions."""
        if edge is Edge.INPUT:
            return self.input_size
        return self.hidden_size * (self.directions if edge is Edge.INTERLAYER else 1)

    def extra_repr(self) -> str:
        return super().extra_repr() + self._masks_repr()

    def _weights(self) -> list[LayerWeights]:
        """Each layer's parameters, or the values of a parametrization.

        In torch's order: backward of a layer follows forward of that layer.
        """
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if self.bias else 2]
        return [
            LayerWeights(*(getattr(self, f"{kind}_l{layer}{direction}") for kind in kinds))
            for layer in range(self.num_layers)
            for direction in ("", "_reverse")[: self.directions]
        ]
