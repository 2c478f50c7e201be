"""What torch's tools do with a module: which run it, on which path, and errors for the rest.

| tool | evaluation, or nothing is dropped | training |
|---|---|---|
| `torch.func` (grad, vmap, jvp, jacrev, ...), forward-mode AD | the reference path | the same; below vmap by `randomness="same"` |
| `torch.export`, `torch.onnx.export` | yes | refused: the graph would hold one call's masks |
| `torch.jit.trace` | yes, unless a drop acts between steps in evaluation too, a recurrent module has a hook, or rows have lengths | refused, as above |
| `torch.jit.script` | refused | refused |
| `torch.compile` | yes, outside the graph; not with `fullgraph=True` | the same |
| `torch.fx.symbolic_trace` | as a leaf | as a leaf |
| double backward, batched gradients | with a hook; on a CPU also of an LSTM in which nothing acts inside the loop, without autocast or lengths | the same |
"""  # noqa: E501

from typing import Any, Final

import torch
from torch import fx, nn
from torch._C._functorch import is_batchedtensor  # pyright: ignore[reportMissingModuleSource]
from torch._functorch.pyfunctorch import VmapInterpreter, retrieve_all_functorch_interpreters
from torch.autograd import forward_ad
from torch.jit._trace import is_tracing

from ablate.edges import Edge
from ablate.engine.capturing import below_functions
from ablate.errors import AblateError

# The reason in torch.compile's error when it may not leave the graph.
NOT_IN_A_GRAPH: Final = (
    "ablate draws masks by the number of the update, which a graph would freeze; compile without "
    "fullgraph=True, which leaves this module outside, or export with strict=False"
)


def by_functions() -> bool:
    """Whether `torch.func` or forward-mode AD is calling; the reference path supports both."""
    return below_functions() or forward_ad._current_level >= 0


def refuse_tools(kind: str) -> None:
    """Raise AblateError if a tool would freeze a sampling call, or share it unasked."""
    if tool := _graph_maker():
        raise AblateError(
            f"{tool} would keep the masks of one call of {kind} for every call of its graph; take "
            "the model in evaluation mode, `model.eval()`"
        )
    for level in retrieve_all_functorch_interpreters():
        if isinstance(level, VmapInterpreter) and level.randomness() != "same":
            raise AblateError(
                f"below torch.vmap all calls of {kind} sample the masks of one update: say so, "
                "`torch.vmap(f, randomness='same')`, or give it the rows as one batch, in which "
                "each has its own"
            )


def refuse_trace(kind: str, inside: Edge) -> None:
    """Raise AblateError if a trace would fix the number of steps.

    At the edges `inside` a drop acts between steps, or a hook makes the module take the reference
    path.
    """
    if inside and is_tracing():
        raise AblateError(
            f"{_graph_maker()} would keep the number of steps, since {inside.label} of {kind} acts "
            "between two of them in evaluation too, or has a hook; `torch.export.export(model, "
            "(x,))` takes it, for inputs of the shape of x"
        )


def refuse_ragged_trace(kind: str) -> None:
    """Raise AblateError if a trace would fix the number of steps, since rows have lengths."""
    if is_tracing():
        raise AblateError(
            f"{_graph_maker()} would keep the number of steps of {kind}, since rows end at steps "
            "of their own; trace a call without `lengths` or PackedSequence"
        )


def refuse_script(kind: str) -> None:
    """Raise AblateError: TorchScript cannot compile the masks."""
    raise AblateError(
        f"torch.jit.script cannot read {kind}, whose masks are Python's; trace the model that it "
        "stands in, in evaluation mode: `torch.jit.trace(model.eval(), (x,))`"
    )


def refuse_proxy(kind: str, x: object) -> None:
    """Raise AblateError for the proxy that `torch.fx` passes instead of a tensor."""
    if isinstance(x, fx.Proxy):
        raise AblateError(
            f"torch.fx cannot trace {kind}, whose masks are Python's; make it a leaf: "
            "`tracer = torch.fx.Tracer(); tracer.is_leaf_module = lambda module, name: "
            "isinstance(module, (torch.nn.RNNBase, torch.nn.Embedding, ablate.LanguageModel)); "
            "graph = tracer.trace(model)`"
        )


def refuse_places(kind: str, given: tuple[Any, ...], call: str, *more: str) -> None:
    """Raise AblateError for positional arguments that must be keywords, `more` among them.

    ONNX's older exporter passes every default by position.
    """
    if given and not torch.onnx.is_in_onnx_export():
        names = ", ".join(f"`{name}`" for name in ("update", "start", "batch_offset", *more))
        raise AblateError(f"{kind} takes {names} by name: `{call}`")


def hidden_by_vmap(x: torch.Tensor) -> bool:
    """Whether `torch.vmap` hides the values of x, those of many calls at once."""
    return is_batchedtensor(x)


def kind_of(module: nn.Module) -> str:
    """The name of a module in messages: `ablate.LSTM`."""
    own = (each for each in type(module).__mro__ if each.__module__.startswith("ablate."))
    return f"ablate.{next(own, type(module)).__name__}"


def _graph_maker() -> str | None:
    if torch.onnx.is_in_onnx_export():
        return "torch.onnx.export"
    if is_tracing():
        return "torch.jit.trace"
    return "torch.export.export" if torch.compiler.is_exporting() else None
