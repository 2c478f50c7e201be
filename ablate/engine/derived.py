"""The backward pass of a pure function of tensors, derived: nothing is differentiated by hand.

Autograd's own pass over the function is traced together with the function into one graph, which is
cut in two. What the backward half reads of the forward half are the function's inputs and the
results of its nonlinearities; products and sums are computed again, which costs less than to store
them: these are the tensors that a backward pass written by hand would keep.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

Function = Callable[..., tuple[Tensor, ...]]

Made = TypeVar("Made")

# Exponentials inside: an order of magnitude dearer than to read their result again. Of relu the
# result is at hand anyway, where it is a step's h, and to compute it again would need all of z.
_KEPT: Final = frozenset(
    {torch.ops.aten.sigmoid.default, torch.ops.aten.tanh.default, torch.ops.aten.relu.default}
)

# Other names for the same values.
_NAMES: Final = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)

# Into products: a library's own pointwise derivative may round the last numbers of a vector
# otherwise than the others, so that a trial's bits would hang on its companions where it runs
# eagerly.
_PLAIN: Final = {
    torch.ops.aten.sigmoid_backward.default: lambda grad, out: grad * (out * (1.0 - out)),
    torch.ops.aten.tanh_backward.default: lambda grad, out: grad * (1.0 - out * out),
}


class Derived(NamedTuple):
    """A function as two graphs.

    `forward` takes the function's inputs and returns its `distinct` outputs and then what is kept:
    output k of the function stands at `places[k]`. `backward` takes a gradient for each output of
    the function, those inputs whose places `reads` names, and what was kept, and returns the
    gradients that were asked for.
    """

    forward: Function
    backward: Function
    places: tuple[int, ...]
    distinct: int
    reads: tuple[int, ...]


def derive(
    function: Function, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, wrt: Sequence[int]
) -> Derived:
    """Derive the gradients of `function` with respect to its inputs at the places `wrt`.

    `inputs` and `outputs` are examples on the CPU. Their dtypes count. Of their sizes it counts
    that unlike axes have unlike ones, and that none is 1.
    """
    count = len(inputs)

    def joint(*given: Tensor) -> tuple[Tensor, ...]:
        own = [x.detach().requires_grad_(k in wrt) for k, x in enumerate(given[:count])]
        with torch.enable_grad():
            made = function(*own)
        leaves = [own[k] for k in wrt]
        return *made, *torch.autograd.grad(made, leaves, given[count:])

    graph = make_fx(joint, _PLAIN)(*inputs, *outputs).graph
    # It is derived for every device.
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
    # Two outputs that are one tensor are handed over once.
    distinct = list(dict.fromkeys(made))
    return Derived(
        _graph(graph, places[:count], [*distinct, *kept]),
        _graph(graph, [*places[count:], *reads, *kept], gradients),
        tuple(distinct.index(node) for node in made),
        len(distinct),
        tuple(places.index(node) for node in reads),
    )


def in_clean_thread(make: Callable[[], Made]) -> Made:
    """Call `make` where nothing is differentiated, traced or transformed but what it does itself.

    Of a thread are inference mode, hooks on what is saved (a checkpoint's), transforms and fake
    tensors: whoever asks first may stand below any of them, and what is derived is kept for all.
    """
    # Of the process, and it would look into tensors that are traced.
    with torch.autograd.set_detect_anomaly(False), ThreadPoolExecutor(1) as thread:
        return thread.submit(make).result()


def _ancestors(
    nodes: Sequence[fx.Node], stop: Callable[[fx.Node], bool] = lambda node: False
) -> set[fx.Node]:
    """All that `nodes` are made of, themselves included, back to those at which to `stop`."""
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
    """The part of a graph between these nodes, as a function of its own."""
    own, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for number, node in enumerate(inputs):
        copies[node] = own.placeholder(f"x{number}")
    needed = _ancestors(outputs, stop=copies.__contains__)
    for node in whole.nodes:
        if node in needed and node not in copies:
            copies[node] = own.node_copy(node, copies.__getitem__)
    own.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule(torch.nn.Module(), own)
