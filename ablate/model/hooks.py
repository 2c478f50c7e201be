"""Hooks: user functions at an edge of a step, on the reference path.

A hook is called with the value at the edge, after the placement's drop, and returns its replacement:
`fn(value, *, layer, update) -> value`. It may also take `time` (the step's number in the sequence,
`start` included; the first step's number for a hook called once a window), `batch_offset` (the first
row's number in the whole batch) and `direction` (1 where a layer reads backward; its first step is a
row's last). It receives the keywords that it names. If rows have `lengths`, the values after a row's
end are meaningless.

| edge | called | value |
|---|---|---|
| EMBEDDING | once a window | the word vectors, [T, B, D] |
| INPUT, INTERLAYER | at each step, INTERLAYER at each layer but the lowest | what each gate reads, [B, G, D] |
| OUTPUT | once a window, `direction` 0 | the sequence that is returned, [T, B, H] ([T, B, 2H]) |
| WEIGHT | once a window and layer | W_hh, [G, H, H] (gate, unit, source) |
| RECURRENT | at each step and layer | what each gate reads of s_{t-1}, [B, G, H] |
| HIDDEN | at each step and layer | h_t, [B, H]: the next step and the layer above see it |
| UPDATE | at each step and layer | g_t, [B, H]; n_t of a GRU |
| CELL | at each step and layer | c~, [B, H]: every reader sees it |
| CARRY | at each step and layer | c_t, [B, H]: only the next step sees it |

G is 4 (i, f, g, o) of an LSTM, 3 (r, z, n) of a GRU and 1 of a plain RNN. An edge that a cell lacks
takes no hook.

A hook does not receive the old value that HOLD would restore, so it can drop or add noise but not
hold.
"""  # noqa: E501

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from torch import Tensor, nn

from ablate.edges import Edge
from ablate.engine.layers.stack import Hooks
from ablate.engine.window import Window
from ablate.errors import AblateError, did_you_mean

GIVEN: Final = ("layer", "update", "time", "batch_offset", "direction")


@dataclass(frozen=True, slots=True)
class Hook:
    """A function at one or more edges, and the keywords that it takes."""

    edges: Edge
    function: Callable[..., Tensor]
    takes: tuple[str, ...]

    @classmethod
    def of(cls, edges: Edge, function: Callable[..., Tensor]) -> "Hook":
        """Raises AblateError for a function with a keyword that hooks do not receive."""
        return cls(edges, function, _keywords(function))

    def __call__(self, value: Tensor, **where: int) -> Tensor:
        made = self.function(value, **{name: where[name] for name in self.takes})
        if not isinstance(made, Tensor) or made.shape != value.shape:
            got = tuple(made.shape) if isinstance(made, Tensor) else repr(made)
            raise AblateError(
                f"a hook returns the value that stands at {self.edges.label} from then on, a "
                f"tensor of the shape {tuple(value.shape)} that it was given; got {got}",
                given=got,
            )
        return made.to(value.dtype)


def in_window(hooks: Iterable[Hook], window: Window) -> Hooks:
    """The hooks of one call for the engine, by edge, each edge's in order of creation."""
    by_edge: dict[Edge, tuple[Hook, ...]] = {}
    for hook in hooks:
        for edge in hook.edges:
            by_edge[edge] = (*by_edge.get(edge, ()), hook)
    return {edge: partial(_through, chain, window) for edge, chain in by_edge.items()}


def _through(
    chain: tuple[Hook, ...],
    window: Window,
    value: Tensor,
    *,
    layer: int,
    step: int,
    direction: int = 0,
) -> Tensor:
    for hook in chain:
        value = hook(
            value,
            layer=layer,
            update=window.update,
            time=window.start + step,
            batch_offset=window.batch_offset,
            direction=direction,
        )
    return value


def _keywords(function: Callable[..., Tensor]) -> tuple[str, ...]:
    """The keywords of GIVEN that `function` names; all of them if it takes any keyword."""
    if not callable(function):
        raise AblateError(f"a hook is a function of a value, got {function!r}", given=function)
    try:
        signed = function.forward if isinstance(function, nn.Module) else function
        parameters = list(inspect.signature(signed).parameters.values())
    except ValueError:  # functions written in C have no signature; pass the value alone
        return ()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return GIVEN
    for parameter in parameters[1:]:
        free = parameter.default is parameter.empty and parameter.kind is parameter.KEYWORD_ONLY
        if free and parameter.name not in GIVEN:
            raise AblateError(
                f"a hook is given {', '.join(GIVEN)} by name, and '{parameter.name}' is none of "
                f"them{did_you_mean(parameter.name, GIVEN)}; give it a default"
            )
    named = {parameter.name for parameter in parameters[1:]}
    return tuple(name for name in GIVEN if name in named)
