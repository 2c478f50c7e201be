"""Derive the backward pass of a pure function of tensors from autograd.

The function and autograd's pass over it are traced into one graph. The graph is cut into a forward
and a backward half. The backward half reads the function's inputs and the results of its
nonlinearities. It recomputes products and sums, which costs less than to store them. A backward
pass written by hand would keep the same tensors.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

Function = Callable[..., tuple[Tensor, ...]]

Made = TypeVar("Made")

# An exponential costs ten times what reading its result costs. The result of relu is already
# stored where it is a step's h, and recomputing it would need all of z.
_KEPT: Final = frozenset(
    {torch.ops.aten.sigmoid.default, torch.ops.aten.tanh.default, torch.ops.aten.relu.default}
)

# Operations that return their input's values.
_NAMES: Final = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)

# These derivatives are written as products. The library's kernels may round the tail of a vector
# differently, and a trial's bits would then depend on the other trials of its cohort.
_PLAIN: Final = {
    torch.ops.aten.sigmoid_backward.default: lambda grad, out: grad * (out * (1.0 - out)),
    torch.ops.aten.tanh_backward.default: lambda grad, out: grad * (1.0 - out * out),
}


class Derived(NamedTuple):
    """A function as two graphs.

    `forward` takes the function's inputs. It returns the `distinct` outputs and then the kept
    tensors; output k of the function has index `places[k]`. `backward` takes a gradient for each
    output, the inputs with the indices `reads`, and the kept tensors. It returns the gradients.
    """

    forward: Function
    backward: Function
    places: tuple[int, ...]
    distinct: int
    reads: tuple[int, ...]


def derive(
    function: Function, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, wrt: Sequence[int]
) -> Derived:
    """Derive the gradients of `function` with respect to its inputs of the indices `wrt`.

    `inputs` and `outputs` are examples on the CPU, of the true dtypes. Different axes must have
    different sizes, none of them 1.
    """
    count = len(inputs)

    def joint(*given: Tensor) -> tuple[Tensor, ...]:
        own = [x.detach().requires_grad_(k in wrt) for k, x in enumerate(given[:count])]
        with torch.enable_grad():
            made = function(*own)
        leaves = [own[k] for k in wrt]
        return *made, *torch.autograd.grad(made, leaves, given[count:])

    graph = make_fx(joint, _PLAIN)(*inputs, *outputs).graph
    # The graph serves every device: drop the example's from each conversion.
    for node in graph.find_nodes(op="call_function", target=torch.ops.aten._to_copy.default):
        node.kwargs = {"dtype": node.kwargs["dtype"]}
    for target in _NAMES:
        for node in graph.find_nodes(op="call_function", target=target):
            node.replace_all_uses_with(node.all_input_nodes[0])
            graph.erase_node(node)
    places = graph.find_nodes(op="placeholder")
    results = list(graph.output_node().args[0])  # pyright: ignore[reportArgumentType]
    made, gradients = results[: len(outputs)], results[len(outputs) :]
    needed = _ancestors(gradients, stop=lambda node: node.target in _KEPT)
    reads = [node for node in places[:count] if node in needed]
    kept = [node for node in graph.nodes if node in needed and node.target in _KEPT]
    # Return a tensor once where two outputs are the same one.
    distinct = list(dict.fromkeys(made))
    return Derived(
        _graph(graph, places[:count], [*distinct, *kept]),
        _graph(graph, [*places[count:], *reads, *kept], gradients),
        tuple(distinct.index(node) for node in made),
        len(distinct),
        tuple(places.index(node) for node in reads),
    )


def in_clean_thread(make: Callable[[], Made]) -> Made:
    """Call `make` in a new thread, outside the caller's modes of PyTorch.

    Inference mode, hooks on saved tensors (a checkpoint's), transforms and fake tensors belong to a
    thread. The first caller may be inside any of them, and all callers share the result.
    """
    # Anomaly detection belongs to the process. It would read the values of traced tensors.
    with torch.autograd.set_detect_anomaly(False), ThreadPoolExecutor(1) as thread:
        return thread.submit(make).result()


def _ancestors(
    nodes: Sequence[fx.Node], stop: Callable[[fx.Node], bool] = lambda node: False
) -> set[fx.Node]:
    """`nodes` and all nodes that they depend on; the search ends at nodes where `stop` is true."""
    found: set[fx.Node] = set()
    open_ = list(nodes)
    while open_:
        node = open_.pop()
        if node not in found:
            found.add(node)
            open_ += [] if stop(node) else node.all_input_nodes
    return found


def _graph(
    whole: fx.Graph, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> fx.GraphModule:
    """The part of a graph from `inputs` to `outputs`, as a function."""
    own, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for number, node in enumerate(inputs):
        copies[node] = own.placeholder(f"x{number}")
    needed = _ancestors(outputs, stop=copies.__contains__)
    for node in whole.nodes:
        if node in needed and node not in copies:
            copies[node] = own.node_copy(node, copies.__getitem__)
    own.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule(torch.nn.Module(), own)
