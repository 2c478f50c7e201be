"""How a module is called, found out by trying: layouts, forms of the state, and taps.

A tap is a hook on a submodule of a copy, for what a call neither takes nor returns: the state of an
inner `torch.nn.LSTM`, the vectors of an embedding, the units that a decoder reads.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from ablate.errors import AblateError

# Forms of a state (h, c), most usual first: how it is given, from h and c [L, B, H] each.
_GIVEN: Final[Mapping[str, Callable[[Tensor, Tensor], tuple[Any, ...]]]] = {
    "(h, c) [L, B, H]": lambda h, c: ((h, c),),
    "(h, c) [B, H]": lambda h, c: ((h[0], c[0]),),
    "h, c [L, B, H]": lambda h, c: (h, c),
    "h, c [B, H]": lambda h, c: (h[0], c[0]),
    "[(h, c) [B, H], ...]": lambda h, c: (list(zip(h, c, strict=True)),),
    "([h, ...], [c, ...])": lambda h, c: ((list(h), list(c)),),
    "(h, c) [B, L, H]": lambda h, c: ((h.transpose(0, 1), c.transpose(0, 1)),),
}
_ONE_LAYER: Final = ("(h, c) [B, H]", "h, c [B, H]")
_PER_LAYER: Final = "[(h, c) [B, H], ...]"


class CallResult(NamedTuple):
    """What a call made: y [T, B, H], s and c [L, B, H]."""

    y_TBH: Tensor
    s_LBH: Tensor
    c_LBH: Tensor


@dataclass(frozen=True, slots=True)
class CallForm:
    """One way to call a module.

    batch_first: of x, and y_batch_first of what comes out; state: how it is given, None where the
    inner `lstms` are tapped for it; vectors: the embedding whose output x stands in for; reader:
    the decoder whose input y is; sequence: whether a y [T, B, H] comes out at all.
    """

    batch_first: bool
    state: str | None
    y_batch_first: bool = False
    lstms: tuple[str, ...] = ()
    vectors: str | None = None
    reader: str | None = None
    sequence: bool = True

    def call(self, module: nn.Module, x_TBD: Tensor, h0: Tensor, c0: Tensor) -> CallResult:
        """Call the module; raises whatever it raises, ValueError for another result."""
        returned, heard = self.returned(module, x_TBD, h0, c0)
        y, states = parts(returned, per_layer=self.state == _PER_LAYER)
        if self.reader is not None:
            y = heard.read
        time, batch = x_TBD.shape[:2]
        if self.sequence:
            y_TBH = _sequence(y, time, batch, h0.shape[-1], batch_first=self.y_batch_first)
        else:
            y_TBH = h0.new_zeros(time, batch, h0.shape[-1])
        if self.state is None:
            states = heard.states()
        if states is None:
            raise ValueError("it returned no state (h, c)")
        h, c = (_layers(part, *h0.shape) for part in states)
        return CallResult(y_TBH, h, c)

    def returned(
        self, module: nn.Module, x_TBD: Tensor, h0: Tensor, c0: Tensor
    ) -> tuple[Any, "_Taps"]:
        """What the module returns as it is, and what the taps heard."""
        # Copies, which the module may write into.
        given, h0, c0 = x_TBD.clone(), h0.clone(), c0.clone()
        given = given.transpose(0, 1) if self.batch_first else given
        with _tapped(self, module, given, h0, c0) as heard:
            if self.vectors is not None:
                given = torch.zeros(given.shape[:2], dtype=torch.int64)
            state = () if self.state is None else _GIVEN[self.state](h0, c0)
            return module(given, *state), heard


def call_forms(
    module: nn.Module, owners: Sequence[str], layers: int, *, batch_first: bool | None
) -> Iterator[CallForm]:
    """The ways to call a module, most usual first.

    owners: the submodules that have the parameters of the layers, from the lowest up.
    """
    said = batch_first if batch_first is not None else _said(module, owners)
    layouts = (False, True) if said is None else (said,)
    lstms = [name for name in owners if isinstance(module.get_submodule(name), nn.LSTM)]
    tapped = bool(lstms) and len(lstms) == len(owners) and "" not in lstms
    embeddings: list[str | None] = [None]
    embeddings += [n for n, each in module.named_modules() if n and isinstance(each, nn.Embedding)]
    for vectors in embeddings if len(embeddings) < 3 else embeddings[:1]:
        for state in _GIVEN:
            if layers > 1 and state in _ONE_LAYER:
                continue
            for layout in layouts:
                yield CallForm(layout, state, vectors=vectors)
        if tapped:
            for layout in layouts:
                yield CallForm(layout, None, lstms=tuple(lstms), vectors=vectors)


def readers(module: nn.Module, hidden: int, taken: Sequence[str]) -> Iterator[str]:
    """Linear submodules that read `hidden` units and have none of the layers' parameters."""
    for name, each in module.named_modules():
        if name and isinstance(each, nn.Linear) and each.in_features == hidden:
            if f"{name}.weight" not in taken:
                yield name


def parts(returned: Any, *, per_layer: bool = False) -> tuple[Any, tuple[Any, Any] | None]:
    """y and (h, c) of what a module returned; None where there is no c."""
    if isinstance(returned, Mapping):
        returned = tuple(returned.values())
    if not isinstance(returned, tuple | list) or not returned:
        return returned, None
    y, *rest = returned
    if len(rest) == 1 and isinstance(rest[0], tuple | list):
        rest = list(rest[0])
    pairs = [part for part in rest if isinstance(part, tuple | list) and len(part) == 2]
    if per_layer and pairs and len(pairs) == len(rest):
        return y, ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return y, (rest[0], rest[1]) if len(rest) == 2 else None


def y_layout(y: Any, time: int, batch: int, hidden: int) -> bool | None:
    """Whether a y of unequal `time` and `batch` has the batch first; None where it is no y."""
    if isinstance(y, tuple | list) and y and all(isinstance(step, Tensor) for step in y):
        y = torch.stack(list(y))
    shape = tuple(y.shape) if isinstance(y, Tensor) else ()
    if shape == (time, batch, hidden):
        return False
    return True if shape == (batch, time, hidden) else None


def _sequence(y: Any, time: int, batch: int, hidden: int, *, batch_first: bool) -> Tensor:
    """y [T, B, H] of a tensor in either layout, or of a list of steps."""
    if isinstance(y, tuple | list):
        y = torch.stack(list(y))
    wanted = (batch, time, hidden) if batch_first else (time, batch, hidden)
    if not isinstance(y, Tensor) or tuple(y.shape) != wanted:
        shape = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"it returned {shape} where y {wanted} was due")
    return y.transpose(0, 1) if batch_first else y


def _layers(part: Any, layers: int, batch: int, hidden: int) -> Tensor:
    """h or c [L, B, H], whichever way it was returned."""
    if isinstance(part, tuple | list):
        part = torch.stack(list(part))
    if not isinstance(part, Tensor):
        raise ValueError(f"its state holds a {type(part).__name__}")
    shape = tuple(part.shape)
    if shape == (batch, hidden) and layers == 1:
        return part[None]
    if shape == (batch, layers, hidden) and shape != (layers, batch, hidden):
        return part.transpose(0, 1)
    if shape != (layers, batch, hidden):
        raise ValueError(f"it returned a state {shape} where {(layers, batch, hidden)} was due")
    return part


def _said(module: nn.Module, owners: Sequence[str]) -> bool | None:
    """What the module says itself about its layout, or its one inner LSTM does."""
    said = getattr(module, "batch_first", None)
    return said if isinstance(said, bool) and "" in owners else None


class _Taps:
    """What the taps of one call heard."""

    def __init__(self, count: int) -> None:
        self.read: Tensor | None = None
        self.of: list[Any] = [None] * count
        self.began = [False] * count

    def states(self) -> tuple[Tensor, Tensor] | None:
        """h and c of all tapped LSTMs, lowest layer first; None where one was not called."""
        if any(part is None for part in self.of):
            return None
        h, c = (torch.cat([part[number] for part in self.of]) for number in (0, 1))
        return h, c


@contextlib.contextmanager
def _tapped(
    form: CallForm, module: nn.Module, x: Tensor, h0: Tensor, c0: Tensor
) -> Iterator[_Taps]:
    heard = _Taps(len(form.lstms))
    handles = []
    first = 0
    for number, name in enumerate(form.lstms):
        inner = module.get_submodule(name)
        assert isinstance(inner, nn.LSTM)
        own = (h0[first : first + inner.num_layers], c0[first : first + inner.num_layers])
        first += inner.num_layers
        begin, end = _state_taps(heard, number, own)
        handles.append(inner.register_forward_pre_hook(begin, with_kwargs=True))
        handles.append(inner.register_forward_hook(end))
    if form.vectors is not None:
        embedding = module.get_submodule(form.vectors)
        handles.append(embedding.register_forward_hook(lambda *_: x.clone()))
    if form.reader is not None:
        reader = module.get_submodule(form.reader)
        handles.append(reader.register_forward_pre_hook(_reader_tap(heard, x)))
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _state_taps(
    heard: _Taps, number: int, state: tuple[Tensor, Tensor]
) -> tuple[Callable[..., Any], Callable[..., None]]:
    def begin(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if heard.began[number]:
            return None
        heard.began[number] = True
        kept = {name: value for name, value in kwargs.items() if name not in ("hx", "state")}
        return (*args[:1], state), kept

    def end(_: nn.Module, __: Any, returned: Any) -> None:
        heard.of[number] = tuple(part.clone() for part in returned[1])

    return begin, end


def _reader_tap(heard: _Taps, x: Tensor) -> Callable[..., None]:
    def hear(_: nn.Module, args: tuple[Any, ...]) -> None:
        value = args[0]
        # Decoders often read all positions as one axis.
        heard.read = (value.view(*x.shape[:2], -1) if value.dim() == 2 else value).clone()

    return hear


def reason_of(error: Exception) -> str:
    """A module's own words of why it took no call."""
    return str(error) if isinstance(error, AblateError) else f"{type(error).__name__}: {error}"
