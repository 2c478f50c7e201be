"""What a message tells to write is executed as it stands, in every mode, and is right.

Code in a message stands between backticks. `told` catches a message, `run` executes the code in it,
one piece after the other, and the tests compare with `torch.nn` or with the call row by row.
"""

import ast
import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

import ablate
from ablate.drops import Drop, Scale
from ablate.edges import Edge
from ablate.engine.layers import looped
from ablate.errors import AblateError, AblateWarning
from ablate.model import masked
from ablate.placement import Placement
from ablate.schedules import CURRICULUM
from ablate.strategies import get
from ablate.testing import assert_close

V, D, H, T, B = 11, 5, 4, 6, 3

INSIDE = Placement({Edge.RECURRENT | Edge.CARRY: Drop(0.3)})
WORDS = Placement({Edge.EMBEDDING: Drop(0.3)})

BATCH_FIRST = pytest.mark.parametrize("batch_first", [False, True], ids=["[T,B,D]", "[B,T,D]"])
LAYERS = pytest.mark.parametrize("layers", [1, 2, 3])

# Every message whose code was executed, so that the last test can say which was not.
_executed: list[str] = []


def told(call: Callable[[], object], kinds: Any = (AblateError, RuntimeError)) -> str:
    """The message of what `call` raises, or warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", AblateWarning)
        with pytest.raises((*kinds, AblateWarning)) as found:
            call()
    return str(found.value)


def pieces(message: str) -> list[str]:
    """The code in a message."""
    return re.findall(r"`([^`]+)`", message)


def run(message: str, *, only: tuple[int, ...] | None = None, **names: Any) -> dict[str, Any]:
    """Execute the code of a message, all of it or `only` these pieces; the last value is `_`."""
    _executed.append(message)
    space = {"torch": torch, "ablate": ablate, **names}
    code = pieces(message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of tracing and of what it deprecates
        for number in range(len(code)) if only is None else only:
            try:
                space["_"] = eval(code[number], space)
            except SyntaxError:
                exec(code[number], space)
    return space


def drawn(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def lstm(layers: int = 1, **options: object) -> ablate.LSTM:
    torch.manual_seed(1)
    return ablate.LSTM(D, H, layers, **({"seed": 1} | options))


@BATCH_FIRST
@pytest.mark.parametrize("rate", [0.25, 0.5])
@LAYERS
def test_the_way_around_dropout(layers, rate, batch_first):
    """Between layers it is INTERLAYER; in one layer torch's does nothing and the words say so."""
    options = {"dropout": rate, "batch_first": batch_first}
    message = told(lambda: ablate.LSTM(D, H, layers, **options))
    made = run(message, only=(0,))["_"]
    assert list(made) == [Edge.OUTPUT if layers == 1 else Edge.INTERLAYER]
    x = drawn(B, T, D) if batch_first else drawn(T, B, D)
    ours = ablate.LSTM(D, H, layers, batch_first=batch_first, placement=made)
    assert not torch.equal(ours(x)[0], ours(x)[0])
    ours.dropout = rate
    assert told(lambda: ours(x)) == message


@pytest.mark.parametrize("value", [1.0, -0.5, 2, True, "half"])
def test_no_advice_on_a_rate_that_is_none(value):
    """A hint that could not be executed is not given."""
    message = told(lambda: ablate.LSTM(D, H, 2, dropout=value))
    assert "rates in [0, 1)" in message
    assert pieces(message) == ["placement"]
    _executed.append(message)


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
def test_the_way_around_a_projection(both):
    """The width that was asked for."""
    message = told(lambda: ablate.LSTM(D, H, proj_size=2, bidirectional=both))
    y, _ = lstm(bidirectional=both)(drawn(T, B, D))
    assert run(message, y=y)["y"].shape == (T, B, 2)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool], ids=str
)
def test_another_dtype_is_converted(dtype):
    """Each of the ways that are offered makes the call run; weights are no whole numbers."""
    x = drawn(T, B, D).to(dtype)
    message = told(lambda: lstm()(x))
    assert len(pieces(message)) == (2 if dtype.is_floating_point else 1)
    for number in range(len(pieces(message))):
        made = run(message, only=(number,), x=x, lstm=lstm())
        made["lstm"](made["x"])


@pytest.mark.parametrize(("of_x", "of_weights"), [("meta", "cpu"), ("cpu", "meta")])
def test_another_device(of_x, of_weights):
    """What has no values is not moved to where values are."""
    x = drawn(T, B, D).to(of_x)
    message = told(lambda: lstm(device=of_weights)(x))
    made = run(message, x=x, lstm=lstm(device=of_weights))
    y, _ = made["lstm"](made["x"])
    assert y.device == made["x"].device


def test_another_device_that_holds_values():
    """A GPU's tensors, of which torch can pretend that there are some."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(T, B, D, device="cuda:0")
        message = told(lambda: lstm()(x))
        assert pieces(message)[1] == "lstm.to('cuda:0')"
        assert lstm()(run(message, only=(0,), x=x)["x"])[0].device.type == "cpu"


@pytest.mark.parametrize("batch", [(B,), ()], ids=["batched", "unbatched"])
def test_another_state(batch):
    """Of another dtype or device."""
    x, like = drawn(T, *batch, D), drawn(1, *batch, H)
    message = told(lambda: lstm()(x, (like.double(), like)))
    lstm()(x, (run(message, h=like.double())["h"], like))
    message = told(lambda: lstm()(x, (like.to("meta"), like)))
    lstm()(x, run(message)["state"])
    gru = ablate.GRU(D, H)
    message = told(lambda: gru(x, like.to("meta")))
    gru(x, run(message)["state"])


def test_lengths_that_cannot_be():
    """Of a PackedSequence, of one row, of other rows or steps, and what are no whole numbers."""
    module, x = lstm(), drawn(T, B, D)
    packed = nn.utils.rnn.pack_padded_sequence(x, [6, 4, 1])
    message = told(lambda: module(packed, lengths=[6, 4, 1]))
    assert "knows the lengths of its rows; leave `lengths` out" in message
    _executed.append(message)
    alone = x[:, 0]
    message = told(lambda: module(alone, lengths=[4]))
    cut = run(message, only=(1,), x=alone, length=4)["x"]
    assert_close({"y": module(cut)[0]}, {"y": module(alone)[0][:4]})
    for lengths, words in (
        ([6, 4], r"one number for each of the 3 rows, [B], got 2"),
        (torch.ones(3, 1, dtype=torch.int64), "got 3x1"),
        (torch.tensor(3), "got a single number"),
        ([6, 4, 7], "lie in [0, 6], as the input has 6 steps, got 7"),
        ([6, -1, 0], "got -1"),
        (torch.tensor([6.0, 4.0, 1.0]), "whole numbers, a 1-D tensor or a list of them, got a"),
        (torch.ones(3, dtype=torch.bool), "got a tensor of torch.bool"),
        ([6, 4.5, 1], "got [6, 4.5, 1]"),
        ("641", "got str"),
    ):
        message = told(lambda lengths=lengths: module(x, lengths=lengths))
        assert words in message
        assert pieces(message) == ["lengths"]
        _executed.append(message)
    ragged = lambda value: module.eval()(value, lengths=[6, 4, 1])  # noqa: E731
    message = told(lambda: torch.jit.trace(ragged, (x,), check_trace=False))
    assert "trace a call without `lengths` or PackedSequence" in message
    _executed.append(message)


def _calls(kind: str) -> tuple[nn.Module, torch.Tensor, str, Callable[..., torch.Tensor]]:
    """A module that drops, its input, its name in messages, and its output at an update."""
    tokens = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(2))
    match kind:
        case "LSTM":
            made = lstm(placement=INSIDE)
            return made, drawn(T, B, D), "lstm", lambda x, **w: made(x, **w)[0]
        case "GRU":
            gru = ablate.GRU(D, H, placement=INSIDE - Edge.CARRY, seed=1)
            return gru, drawn(T, B, D), "gru", lambda x, **w: gru(x, **w)[0]
        case "RNN":
            rnn = ablate.RNN(D, H, 1, "relu", placement=INSIDE - Edge.CARRY, seed=1)
            return rnn, drawn(T, B, D), "rnn", lambda x, **w: rnn(x, **w)[0]
        case "Embedding":
            words = ablate.Embedding(V, D, placement=WORDS, seed=1)
            return words, tokens, "embedding", words
    model = ablate.LanguageModel(V, H, placement=INSIDE | WORDS, seed=1)
    return model, tokens, "model", lambda x, **w: model(x, **w)[0]


NAMES = ("LSTM", "GRU", "RNN", "Embedding", "LanguageModel")
KINDS = pytest.mark.parametrize("kind", NAMES)


@KINDS
def test_the_way_to_checkpoint(kind):
    """The whole output, and the gradients of the call without a checkpoint."""
    module, x, name, call = _calls(kind)
    message = told(lambda: checkpoint(call, x, use_reentrant=False).sum().backward())
    y = run(message, only=(1,), x=x, n=5, **{name: module})["_"]
    assert torch.equal(y, call(x, update=5))
    y.square().sum().backward()
    found = {name: value.grad.clone() for name, value in module.named_parameters()}
    module.zero_grad()
    call(x, update=5).square().sum().backward()
    for name, value in module.named_parameters():
        assert torch.equal(found[name], value.grad), name


@KINDS
def test_arguments_by_place(kind):
    """The call that is told is one."""
    module, x, name, _ = _calls(kind)
    message = told(lambda: module(x, None, 3))
    run(message, only=(len(pieces(message)) - 1,), x=x, tokens=x, state=None, **{name: module})


@KINDS
def test_a_strategys_name(kind):
    """The hint is a placement that this very module takes, after `import ablate` alone."""
    make = {
        "LSTM": lambda placement: ablate.LSTM(D, H, 2, placement=placement),
        "GRU": lambda placement: ablate.GRU(D, H, 2, placement=placement),
        "RNN": lambda placement: ablate.RNN(D, H, 2, placement=placement),
        "Embedding": lambda placement: ablate.Embedding(V, D, placement=placement),
        "LanguageModel": lambda placement: ablate.LanguageModel(V, H, placement=placement),
    }[kind]
    strategy = get("gal2016")
    given = ("gal2016", "gall2016", strategy, strategy.function, "everywhere", 0.5, {}, "unheard")
    for each in (*given, {Edge.OUTPUT: Drop(0.5)}, Drop(0.5), Edge.OUTPUT):
        message = told(lambda each=each: make(each))
        assert "takes a Placement or None, got" in message
        for number in range(len(pieces(message))):
            made = make(run(message, only=(number,))["_"])
        # An embedding has a part of it alone.
        if each == "everywhere" and kind in ("LSTM", "GRU", "RNN"):
            assert made.placement.edges == get(each).place(made.cell).edges & made.owns
        if each in ("gal2016", "gall2016", strategy, strategy.function):
            own = strategy.place()
            assert made.placement == Placement({e: own[e] for e in own if e in made.owns})
    assert "the nearest one's is" in told(lambda: make("gall2016"))
    if kind in ("GRU", "RNN"):
        assert f"zoneout cannot stand here: a net of {kind}" in told(lambda: make("zoneout"))


def test_the_split_of_a_placement():
    """Both parts as each module takes them."""
    own = get("gal2016").place()
    for make in (
        lambda part: ablate.LSTM(D, H, 2, placement=part),
        lambda part: ablate.GRU(D, H, 2, placement=part),
        lambda part: ablate.Embedding(V, D, placement=part),
    ):
        message = told(lambda make=make: make(own))
        parts = [run(message, only=(number,), p=own)["_"] for number in (0, 1)]
        assert {part.edges for part in parts} == {Edge.EMBEDDING, own.edges & ~Edge.EMBEDDING}
        fitting = [part for part in parts if Edge.EMBEDDING in part]
        ablate.Embedding(V, D, placement=fitting[0])


def test_a_schedule_is_set_by_hand():
    """Before each update."""
    placement = Placement({Edge.OUTPUT: Drop(0.4)}, CURRICULUM)
    message = told(lambda: lstm(placement=placement))
    module = lstm()
    run(message, module=module, placement=placement, update=50, total=100)
    assert 0.39 < module.placement[Edge.OUTPUT].rate < 0.4


def test_the_mend_of_what_acts_nowhere():
    """The placement without the edge, of which nobody is warned."""
    placement = Placement({Edge.INTERLAYER: Drop(0.5), Edge.CELL: Drop(0.1)})
    left = run(told(lambda: lstm(placement=placement)), placement=placement)["_"]
    assert lstm(placement=left).placement == placement - Edge.INTERLAYER
    pair = (Placement({Edge.CELL: Drop(0.2)}), placement)
    left = run(told(lambda: lstm(placement=pair, bidirectional=True)), placement=pair)["_"]
    assert lstm(placement=left, bidirectional=True).placements == (
        pair[0],
        placement - Edge.INTERLAYER,
    )


def test_the_way_to_a_second_derivative():
    """A hook that changes nothing: the gradient's gradient, and many gradients at once."""
    x = drawn(T, B, D).requires_grad_()

    def twice(module: nn.Module) -> torch.Tensor:
        (slope,) = torch.autograd.grad(module(x, update=1)[0].sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), x)[0]

    def at_once(module: nn.Module) -> torch.Tensor:
        y = module(x, update=1)[0]
        ones = torch.stack([torch.ones_like(y)] * 2)
        return torch.autograd.grad(y, x, ones, is_grads_batched=True)[0]

    module = lstm(placement=INSIDE).double()
    x = x.detach().double().requires_grad_()
    message = told(lambda: twice(module))
    assert told(lambda: at_once(module)) == message
    (plain,) = torch.autograd.grad(module(x, update=1)[0].sum(), x)
    run(message, module=module)
    assert_close({"x": at_once(module)[1]}, {"x": plain})
    assert torch.autograd.gradcheck(
        lambda v: torch.autograd.grad(module(v, update=1)[0].sum(), v, create_graph=True)[0], x
    )
    assert twice(module).isfinite().all()


def test_tools_that_freeze_masks():
    """What each message proposes runs, and gives what evaluation gives."""
    x = drawn(T, B, D)
    model = nn.Sequential(lstm(2, placement=Placement({Edge.RECURRENT: Drop(0.3)})))
    for tool in (
        lambda: torch.jit.trace(model, (x,)),
        lambda: torch.export.export(model, (x,)),
    ):
        model.train()
        run(told(tool), model=model)
        assert not model.training
    scripted = run(told(lambda: torch.jit.script(model)), model=model, x=x)["_"]
    assert_close({"y": scripted(x)[0]}, {"y": model(x)[0]})
    longer = drawn(T + 2, B + 1, D)
    assert_close({"y": scripted(longer)[0]}, {"y": model(longer)[0]})
    held = nn.Sequential(lstm(placement=Placement({Edge.CELL: Drop(0.3, scale=Scale.TEST)}))).eval()
    exported = run(told(lambda: torch.jit.trace(held, (x,))), model=held, x=x)["_"]
    assert_close({"y": exported.module()(x)[0]}, {"y": held(x)[0]})


def test_below_vmap():
    """Asked for by name, each row has the masks of a call of its own at that update."""
    module, x = lstm(placement=INSIDE), drawn(B, T, D)

    def f(row: torch.Tensor) -> torch.Tensor:
        return module(row, update=4)[0]

    message = told(lambda: torch.vmap(f)(x))
    found = run(message, f=f)["_"](x)
    assert_close({"y": found}, {"y": torch.stack([f(row) for row in x])})


def test_a_leaf_of_a_traced_graph():
    """The graph that is told calls the module, and gives what it gives."""
    model, x = nn.Sequential(lstm()), drawn(T, B, D)
    made = run(told(lambda: torch.fx.symbolic_trace(model)), model=model)
    found = torch.fx.GraphModule(model, made["graph"])
    assert torch.equal(found(x)[0], model(x)[0])


def test_calls_of_one_sequence():
    """The keywords that are named exist."""
    message = told(lambda: lstm(placement=INSIDE)(drawn(T, B, D), start=3))
    assert pieces(message) == ["update", "update"]
    _executed.append(message)
    message = told(lambda: lstm(placement=INSIDE).masks(Edge.CARRY))
    assert pieces(message) == ["time", "batch"]
    _executed.append(message)
    replica = lstm(placement=INSIDE)._replicate_for_data_parallel()
    message = told(lambda: replica(drawn(T, B, D)))
    assert pieces(message) == ["batch_offset"]
    _executed.append(message)
    for name in ("update", "start", "batch_offset"):
        assert name in inspect.signature(ablate.LSTM.forward).parameters
    assert {"time", "batch"} <= set(inspect.signature(ablate.LSTM.masks).parameters)


def _written(file: Path) -> list[str]:
    """The parts of a file's messages that hold code, without what is filled in."""
    tree = ast.parse(file.read_text())
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documents
    ]
    return [text for text in texts if "`" in text]


def test_no_code_of_a_message_was_left_out():
    """Each piece that stands in the source stood in a message above, or in test_meeting's.

    The tests are called once more, since another process may have run them.
    """
    for layers in (1, 2):
        test_the_way_around_dropout(layers, 0.5, False)
    test_no_advice_on_a_rate_that_is_none(1.0)
    test_the_way_around_a_projection(False)
    test_another_dtype_is_converted(torch.float64)
    test_another_device("meta", "cpu")
    test_another_device("cpu", "meta")
    test_another_device_that_holds_values()
    test_another_state((B,))
    test_lengths_that_cannot_be()
    for kind in NAMES:
        test_the_way_to_checkpoint(kind)
        test_arguments_by_place(kind)
        test_a_strategys_name(kind)
    test_the_split_of_a_placement()
    test_a_schedule_is_set_by_hand()
    test_the_mend_of_what_acts_nowhere()
    test_the_way_to_a_second_derivative()
    test_tools_that_freeze_masks()
    test_below_vmap()
    test_a_leaf_of_a_traced_graph()
    test_calls_of_one_sequence()
    folder = Path(masked.__file__).parent
    files = [file for file in sorted(folder.glob("*.py")) if file.name != "meeting.py"]
    found = [text for file in (*files, Path(looped.__file__)) for text in _written(file)]
    told_of = "\n".join(_executed)
    templates = [re.split(r"\{[a-z!]+\}", text) for text in found]
    missing = [
        part
        for parts in templates
        for part in (piece.replace("{{", "{").replace("}}", "}") for piece in parts)
        if part not in told_of
    ]
    assert found
    assert missing == []
