"""`ablate.LanguageModel`: the studies' language model as a `torch.nn.Module`.

Shapes: T time, B batch, H hidden, V vocabulary.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ablate import cells
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.model.arguments import CallersState
from ablate.model.copies import duplicate, keeps_stacks
from ablate.model.embedding import Embedding
from ablate.model.gru import GRU
from ablate.model.lstm import LSTM
from ablate.model.masked import claim, drawn_seed
from ablate.model.placing import checked_placement
from ablate.model.recurrent import Recurrent
from ablate.model.rnn import RNN
from ablate.model.transforms import refuse_places, refuse_proxy, refuse_script
from ablate.placement import Placement

# The module that runs each cell.
_MODULES: Final[Mapping[str, Callable[..., Recurrent]]] = MappingProxyType(
    {
        cells.LSTM.name: LSTM,
        cells.GRU.name: GRU,
        cells.RNN.name: RNN,
        cells.RNN_RELU.name: partial(RNN, nonlinearity="relu"),
    }
)


def _module_of(cell: str) -> Callable[..., Recurrent]:
    """The module class of a cell; raises AblateError for a cell that only studies train."""
    name = cells.get(cell).name
    if name not in _MODULES:
        raise AblateError(
            f"no module of torch runs {name} cells, which only a study trains; "
            f"ablate.LanguageModel takes {', '.join(_MODULES)}"
        )
    return _MODULES[name]


class LanguageModel(nn.Module):
    """Embedding, recurrent layers and softmax under one placement: the net that a study trains.

    `cell` names the equations of the layers: lstm, gru, rnn or rnn_relu. The module that runs them
    is always called `lstm`, because checkpoints are read by that name.

    `state_dict` has the names of `ablate.model.parameters`, so a trial's parameters load. At equal
    seed, update and placement the masks are those of the trial. `embedding` is the width of the
    word vectors, `hidden` by default. Initial weights are those of the three `torch.nn` modules,
    made in this order. Embedding and layers share one seed and one count of updates; `placement`
    may be set between two calls.
    """

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        num_layers: int = 2,
        embedding: int | None = None,
        *,
        cell: str = "lstm",
        placement: Placement | None = None,
        seed: int | None = None,
        stack: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        make = _module_of(cell)
        width = hidden if embedding is None else embedding
        # Drawing a seed here would change the weights of the next module; it is drawn last.
        options: dict[str, Any] = {"seed": 0, "device": device, "dtype": dtype}
        self.embedding = Embedding(vocabulary, width, **options)
        self.lstm = make(width, hidden, num_layers, **options)
        self.decoder = nn.Linear(hidden, vocabulary, device=device, dtype=dtype)
        seed = drawn_seed() if seed is None else seed
        self.load_mask_state({"seed": seed, "update": 0, "stack": stack})
        self.placement = placement

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy that samples different masks, with one new stack for both parts."""
        # Copy the parts first: otherwise each would get a separate stack.
        for part in (self.embedding, self.lstm):
            if id(part) not in memo:
                duplicate(part, memo)
        made = duplicate(self, memo)
        if not keeps_stacks():
            seed, stack = self.lstm.lineage.next(self.lstm.seed)
            for part in (made.embedding, made.lstm):
                part.seed, part._stack = seed, stack
        return made

    @property
    def stack(self) -> int:
        """The number of this model among those of one seed; both parts have it."""
        return self.lstm.stack

    @stack.setter
    def stack(self, stack: int) -> None:
        self.load_mask_state(self.mask_state() | {"stack": stack})

    @property
    def owns(self) -> Edge:
        """The edges that the model has."""
        return self.embedding.owns | self.lstm.owns

    @property
    def placement(self) -> Placement:
        """Where, how often and how the model drops, EMBEDDING included."""
        return self.embedding.placement | self.lstm.placement

    @placement.setter
    def placement(self, placement: Placement | None) -> None:
        placement = checked_placement(placement, self.owns, self.lstm.cell, "ablate.LanguageModel")
        placement.check(self.lstm.num_layers, self.lstm.cell)
        self.embedding.placement = placement & Edge.EMBEDDING
        self.lstm.placement = placement - Edge.EMBEDDING

    def forward(
        self,
        tokens_TB: Tensor,
        state: CallersState | None = None,
        *by_place: Any,
        update: int | None = None,
        start: int = 0,
        batch_offset: int = 0,
    ) -> tuple[Tensor, CallersState]:
        """Logits [T, B, V] of tokens [T, B], and the state; arguments as in `ablate.LSTM`.

        The state is (h, c) for LSTM cells and h for others. Tokens [T] give logits [T, V].
        Embedding and layers sample under the same update.
        """
        refuse_places("ablate.LanguageModel", by_place, "model(tokens, state, update=0)")
        refuse_proxy("ablate.LanguageModel", tokens_TB)
        own = {"start": start, "call": "model(x, update=n)[0]"}
        number = max(claim(each, update, **own) for each in (self.embedding, self.lstm))
        if update is None:
            # A part that was in evaluation mode is behind.
            self.embedding.next_update = self.lstm.next_update = number
        where = {"update": update, "start": start, "batch_offset": batch_offset}
        y, after = self.lstm(self.embedding(tokens_TB, **where), state, **where)
        return self.decoder(y), after

    def __prepare_scriptable__(self) -> nn.Module:
        """Called by `torch.jit.script`; raises AblateError."""
        refuse_script("ablate.LanguageModel")
        return self

    def hook(self, edge: Edge, fn: Callable[..., Tensor]) -> RemovableHandle:
        """Add a hook to the module that owns `edge`."""
        if isinstance(edge, Edge) and Edge.EMBEDDING in edge and edge != Edge.EMBEDDING:
            raise AblateError(
                "EMBEDDING belongs to the model's embedding and the other edges to its layers: add "
                f"one hook at Edge.EMBEDDING and one at Edge.{(edge & ~Edge.EMBEDDING).label}"
            )
        owner = self.embedding if edge is Edge.EMBEDDING else self.lstm
        return owner.hook(edge, fn)

    def mask_state(self) -> dict[str, int]:
        """What a checkpoint needs besides `state_dict` to continue with the same masks."""
        # A part in evaluation mode counts no update.
        update = max(self.embedding.next_update, self.lstm.next_update)
        return self.lstm.mask_state() | {"update": update}

    def load_mask_state(self, state: Mapping[str, int]) -> None:
        """Continue from a `mask_state`; raises AblateError for any other mapping."""
        for part in (self.embedding, self.lstm):
            part.load_mask_state(state)
        # Copies of a part and copies of the whole share one count.
        self.embedding.lineage = self.lstm.lineage
