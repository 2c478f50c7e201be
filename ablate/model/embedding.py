"""`ablate.Embedding`: `torch.nn.Embedding` that drops words.

Shapes: T time, B batch, D embedding, G gates, U units.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from ablate.addresses import check_types
from ablate.edges import Edge
from ablate.engine.masks.net import drop_sequence, mask
from ablate.errors import AblateError, UnknownName
from ablate.model.arguments import one_of
from ablate.model.hooks import in_window
from ablate.model.masked import Masked, advance, claim, coordinate, recomputing
from ablate.model.meeting import Call, watch
from ablate.model.placing import Placed, by_direction
from ablate.model.transforms import (
    NOT_IN_A_GRAPH,
    by_functions,
    hidden_by_vmap,
    refuse_places,
    refuse_proxy,
)
from ablate.placement import Placement


class Embedding(Masked, nn.Embedding):
    """`torch.nn.Embedding` with dropout at EMBEDDING: drops a word wherever it occurs in a row.

    Arguments, call, `state_dict` and initial weights are those of `torch.nn.Embedding`; `max_norm`,
    `norm_type`, `scale_grad_by_freq` and `sparse` are keywords. `placement`, `seed`, `stack` and
    the counted updates are as in `ablate.LSTM`; with `batch_first` tokens are [B, T].

        embedding = ablate.Embedding(10_000, 200, placement=Placement({Edge.EMBEDDING: Drop(0.2)}))

    Raises AblateError for any edge but EMBEDDING; recurrent modules own the others.
    Source: arXiv:1512.05287, section 4.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        placement: Placement | None = None,
        seed: int | None = None,
        stack: int = 0,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        allowed = inspect.signature(nn.Embedding).parameters
        for name in options:
            if name not in allowed:
                own = ("placement", "seed", "stack", "batch_first")
                raise UnknownName("option of ablate.Embedding", name, [*allowed, *own])
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, device=device, dtype=dtype, **options
        )
        self.batch_first = batch_first
        self._place(placement, seed, stack)

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, embeddings: Tensor, freeze: bool = True, **options: Any
    ) -> "Embedding":
        """An embedding with these vectors [V, D]; `options` are the constructor's."""
        if embeddings.dim() != 2:
            raise AblateError(
                f"pretrained vectors are [V, D], got {tuple(embeddings.shape)}",
                given=tuple(embeddings.shape),
            )
        return cls(*embeddings.shape, _weight=embeddings, _freeze=freeze, **options)

    @property
    def owns(self) -> Edge:
        return Edge.EMBEDDING

    @property
    def named_call(self) -> str:
        return "embedding(x, update=n)"

    def _check_edges(self, edges: Edge) -> None:
        if edges & ~Edge.EMBEDDING:
            raise AblateError(
                f"an embedding has the edge EMBEDDING alone, got {edges.label}; "
                "split the placement p: `p & ablate.Edge.EMBEDDING` is the embedding's and "
                "`p - ablate.Edge.EMBEDDING` that of a recurrent module, or take "
                "ablate.LanguageModel, which owns both",
                given=edges.label,
            )

    def _check_placed(self, placed: Placed) -> None:
        for placement in by_direction(placed, self.directions):
            placement.check(1)
            if drop := placement.get(Edge.EMBEDDING):
                check_types(drop.shared, self.num_embeddings)

    # The caller's graph would hold the update's number, and each update would compile it anew.
    @torch.compiler.disable(reason=NOT_IN_A_GRAPH)
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        tokens: Tensor | None = None,
        *by_place: Any,
        update: int | None = None,
        start: int = 0,
        batch_offset: int = 0,
        input: Tensor | None = None,
    ) -> Tensor:
        """The word vectors [T, B, D] of tokens [T, B], [B, T] with `batch_first`, or [T].

        Without dropout tokens may have any shape, as in `torch.nn.Embedding`, whose name for them
        is `input`.
        """
        tokens = one_of("ablate.Embedding", tokens=tokens, input=input)
        refuse_places("ablate.Embedding", by_place, "embedding(tokens, update=0)")
        refuse_proxy("ablate.Embedding", tokens)
        if not isinstance(tokens, Tensor):
            raise AblateError(
                f"ablate.Embedding takes a tensor, got {type(tokens).__name__}",
                given=type(tokens).__name__,
            )
        number = claim(self, update, start=start)
        if self._acts and hidden_by_vmap(tokens):
            raise AblateError(
                "ablate.Embedding drops words by their numbers, which torch.vmap hides; call it "
                "outside of torch.vmap, on all tokens as one batch"
            )
        if not (self.placement or self._edge_hooks) or not tokens.numel():
            vectors = super().forward(tokens)
        else:
            tokens_TB = self._time_first(tokens)
            x_TBD = super().forward(tokens_TB)
            time, rows = tokens_TB.shape
            window = self._window(time, rows, number, start, batch_offset, x_TBD)
            x_TBD = drop_sequence(
                x_TBD, Edge.EMBEDDING, 0, self.placement, window, tokens_TB=tokens_TB
            )
            for hook in in_window(self._edge_hooks.values(), window).values():
                x_TBD = hook(x_TBD, layer=0, step=0)
            vectors = x_TBD[:, 0] if tokens.dim() == 1 else self._swapped(x_TBD)
        advance(self, update)
        if self._acts and not (recomputing() or by_functions()):
            watch(self, Call(number, update is not None), (vectors,))
        return vectors

    def masks(
        self,
        tokens: Tensor,
        *,
        update: int | None = None,
        start: int = 0,
        batch_offset: int = 0,
    ) -> Tensor:
        """The multipliers that a training call applies to these tokens, [T, B, G, U].

        An axis that shares one decision has length 1. The default update is that of the next call.
        Raises AblateError if the placement drops nothing.
        """
        if not self.placement:
            raise AblateError("the placement drops nothing: there are no masks to show")
        number = self.next_update if update is None else coordinate("update", update)
        tokens_TB = self._time_first(tokens)
        time, rows = tokens_TB.shape
        window = self._window(time, rows, number, start, batch_offset, self.weight)
        drop, units = self.placement[Edge.EMBEDDING], self.embedding_dim
        return mask(drop, Edge.EMBEDDING, 0, units, window, tokens_TB=tokens_TB)

    def extra_repr(self) -> str:
        batch_first = ", batch_first=True" if self.batch_first else ""
        return super().extra_repr() + batch_first + self._masks_repr()

    def _time_first(self, tokens: Tensor) -> Tensor:
        """Tokens as [T, B]; without a batch axis B is 1."""
        if tokens.dim() not in (1, 2):
            raise AblateError(
                "ablate.Embedding drops words of [T, B] ([B, T] with batch_first) or [T], "
                f"got {tokens.dim()} dimensions, {tuple(tokens.shape)}",
                given=tokens.dim(),
            )
        return tokens[:, None] if tokens.dim() == 1 else self._swapped(tokens)

    def _swapped(self, value: Tensor) -> Tensor:
        return value.transpose(0, 1) if self.batch_first else value
