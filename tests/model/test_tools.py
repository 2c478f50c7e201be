"""torch's own tools either run a module, with the right numbers, or are refused in one sentence."""

import copy
import io
import re
import warnings

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

import ablate
from ablate.drops import VARIATIONAL, Drop, Fill, Scale
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.testing import assert_close

V, D, H, T, B = 11, 4, 4, 5, 3

PLACEMENTS = {
    "silent": Placement(),
    "outside": Placement({Edge.VERTICAL: Drop(0.3)}),
    "folded": Placement({Edge.WEIGHT: Drop(0.3)}),
    "inside": Placement({Edge.RECURRENT: Drop(0.3, VARIATIONAL), Edge.UPDATE: Drop(0.2)}),
    "held": Placement({Edge.HIDDEN | Edge.CARRY: Drop(0.3, fill=Fill.HOLD)}),
    "scaled": Placement({Edge.CELL: Drop(0.3, scale=Scale.TEST)}),
}
EACH = pytest.mark.parametrize("name", list(PLACEMENTS))
DROPPING = pytest.mark.parametrize("name", [name for name in PLACEMENTS if name != "silent"])
IN_LOOP = ("held", "scaled")


@pytest.fixture(autouse=True)
def torchs_own_warnings():
    """Tracing warns of shapes, and most tools of being deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def lstm(name: str, layers: int = 2, **options: object) -> ablate.LSTM:
    torch.manual_seed(1)
    made = ablate.LSTM(D, H, layers, placement=PLACEMENTS[name], seed=3, **options)
    return made.double()


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def model(name: str) -> ablate.LanguageModel:
    placement = PLACEMENTS[name] | Placement({Edge.EMBEDDING: Drop(0.3)})
    torch.manual_seed(1)
    return ablate.LanguageModel(V, H, placement=placement, seed=3)


TOKENS = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(2))


@EACH
def test_gradients_by_functions(name):
    """`torch.func.grad` and `functional_call` give autograd's gradients, masks included."""
    module, x = lstm(name), drawn(T, B, D)
    parameters = dict(module.named_parameters())

    def loss(parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, parameters, (x,), {"update": 4})[0].square().sum()

    found = torch.func.grad(loss)(parameters, x)
    module(x, update=4)[0].square().sum().backward()
    assert_close(found, {key: value.grad for key, value in parameters.items()})


@EACH
def test_gradients_of_each_row(name):
    """`vmap` of `grad`: each row's own gradient under the masks of one update."""
    module, x = lstm(name, batch_first=True), drawn(B, T, D)

    def loss(row: torch.Tensor) -> torch.Tensor:
        return module(row, update=4)[0].square().sum()

    found = torch.vmap(torch.func.grad(loss), randomness="same")(x)
    expected = []
    for row in x:
        leaf = row.clone().requires_grad_()
        loss(leaf).backward()
        expected.append(leaf.grad)
    assert_close({"x": found}, {"x": torch.stack(expected)})


@EACH
def test_forward_mode(name):
    """`jvp`, `jacfwd` and dual numbers give the slope of two calls a little apart."""
    module, x, along = lstm(name), drawn(2, 1, D), drawn(2, 1, D).flip(0)

    def f(value: torch.Tensor) -> torch.Tensor:
        return module(value, update=4)[0]

    slope = (f(x + 1e-6 * along) - f(x - 1e-6 * along)) / 2e-6
    _, found = torch.func.jvp(f, (x,), (along,))
    torch.testing.assert_close(found, slope, atol=1e-7, rtol=1e-6)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(f(forward_ad.make_dual(x, along))).tangent
    torch.testing.assert_close(dual, slope, atol=1e-7, rtol=1e-6)
    forward = torch.func.jacfwd(f, randomness="same")(x)
    torch.testing.assert_close(forward, torch.func.jacrev(f)(x))


@EACH
def test_an_ensemble(name):
    """`stack_module_state` and vmap over weights: each member as if it were called alone."""
    modules, x = [lstm(name) for _ in range(2)], drawn(T, B, D)
    with torch.no_grad():
        modules[1].weight_hh_l0.mul_(-1)
    stacked, buffers = torch.func.stack_module_state(modules)

    def call(parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(modules[0], (parameters, buffers), (x,), {"update": 4})[0]

    found = torch.vmap(call, randomness="same")(stacked, buffers)
    expected = torch.stack([module(x, update=4)[0] for module in modules])
    assert_close({"y": found}, {"y": expected})


@DROPPING
def test_vmap_shares_no_masks_unasked(name, refused):
    """As torch's own dropout asks for a word about randomness; in evaluation there is none."""
    module, x = lstm(name, batch_first=True), drawn(B, T, D)
    for randomness in ("error", "different"):
        with refused():
            torch.vmap(lambda row: module(row)[0], randomness=randomness)(x)
    module.eval()
    found = torch.vmap(lambda row: module(row)[0])(x)
    assert_close({"y": found}, {"y": module(x)[0]})


def test_vmap_hides_words(refused):
    """Words are dropped by their numbers; in evaluation nothing is, and vmap runs."""
    words = model("silent").embedding
    for randomness in ("same", "error"):
        with refused():
            torch.vmap(words, in_dims=1, randomness=randomness)(TOKENS)
    words.eval()
    assert torch.equal(torch.vmap(words, in_dims=1, out_dims=1)(TOKENS), words(TOKENS))


@EACH
def test_exported_programs(name, refused):
    """In evaluation, at other batch sizes too; in training only what samples nothing."""
    module, x = lstm(name).eval(), drawn(T, B, D)
    batch = {1: torch.export.Dim("rows", min=2, max=64)}
    program = torch.export.export(module, (x,), dynamic_shapes=(batch,)).module()
    for rows in (B, B + 4):
        x = drawn(T, rows, D)
        assert_close({"y": program(x)[0]}, {"y": module(x)[0]})
    module.train()
    if name == "silent":
        torch.export.export(module, (x,))
        return
    with refused():
        torch.export.export(nn.Sequential(module), (x,))


@EACH
def test_traces(name, refused):
    """In evaluation, for any number of steps; refused where the trace would keep that number."""
    module, x = lstm(name), drawn(T, B, D)
    if name != "silent":
        with refused():
            torch.jit.trace(module, (x,), check_trace=False)
    module.eval()
    if name in IN_LOOP:
        with refused():
            torch.jit.trace(module, (x,), check_trace=False)
        return
    traced = torch.jit.trace(module, (x,))
    for x in (drawn(T, B, D), drawn(T + 3, B + 2, D)):
        assert_close({"y": traced(x)[0]}, {"y": module(x)[0]})


@pytest.mark.parametrize("edge", [Edge.OUTPUT, Edge.CARRY], ids=lambda edge: edge.label)
def test_traces_with_a_hook(edge, refused):
    """It takes the reference path, which a trace would unroll: refused until it is removed."""
    module, x = lstm("outside").eval(), drawn(T, B, D)
    handle = module.hook(edge, lambda value: value)
    with refused():
        torch.jit.trace(module, (x,), check_trace=False)
    handle.remove()
    traced, x = torch.jit.trace(module, (x,)), drawn(T + 3, B, D)
    assert_close({"y": traced(x)[0]}, {"y": module(x)[0]})


@pytest.mark.parametrize("tool", ["trace", "export"])
def test_language_models_for_deployment(tool, refused):
    """A model traced and exported in evaluation; refused in training by its embedding too."""
    own = model("outside")

    def made() -> nn.Module:
        if tool == "trace":
            return torch.jit.trace(own, (TOKENS,), check_trace=False)
        return torch.export.export(own, (TOKENS,)).module()

    with refused():
        made()
    own.eval()
    assert_close({"y": made()(TOKENS)[0]}, {"y": own(TOKENS)[0]})


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "make",
    [lambda: lstm("inside"), lambda: model("inside"), lambda: model("inside").embedding],
    ids=["LSTM", "LanguageModel", "Embedding"],
)
def test_scripts_are_refused(make, training, refused):
    """Alone and within a model, whose modules stay what they were."""
    module = make().train(training)
    outer = nn.Sequential(module)
    for each in (module, outer):
        with refused():
            torch.jit.script(each)
    assert outer[0] is module


@pytest.mark.parametrize("within", [True, False], ids=["within", "alone"])
def test_onnxs_older_exporter(within, refused):
    """It reaches its own lack of a package here: every argument before that was taken."""
    module, x = lstm("outside").eval(), drawn(T, B, D)
    outer = nn.Sequential(module) if within else module
    with pytest.raises(torch.onnx.OnnxExporterError, match="onnx is not installed"):
        torch.onnx.export(outer, (x,), io.BytesIO(), dynamo=False)
    module.train()
    with refused():
        torch.onnx.export(outer, (x,), io.BytesIO(), dynamo=False, training=_TRAINING)


_TRAINING = torch.onnx.TrainingMode.TRAINING


def test_graphs_without_breaks():
    """torch refuses every LSTM there; where it would not, our reason stands in its words."""
    module, x = nn.Sequential(lstm("outside")), drawn(T, B, D)
    with pytest.raises(Exception, match="does not support RNN, GRU, or LSTM"):
        torch.compile(module, backend="eager", fullgraph=True)(x)
    torch._dynamo.reset()
    with (
        torch._dynamo.config.patch(allow_rnn=True),
        pytest.raises(Exception, match="compile without fullgraph=True"),
    ):
        torch.compile(module, backend="eager", fullgraph=True)(x)
    torch._dynamo.reset()
    with pytest.raises(Exception, match="export with strict=False"):
        torch.export.export(module.eval(), (x,), strict=True)


@EACH
def test_a_second_derivative(name):
    """Right where nothing acts inside the loop or a hook is set; elsewhere it says what to do."""
    module, x = lstm(name, 1), drawn(2, 1, D)

    def slope(value: torch.Tensor) -> torch.Tensor:
        y = module(value, update=4)[0].square().sum()
        return torch.autograd.grad(y, value, create_graph=True)[0]

    if name in ("inside", *IN_LOOP):
        with pytest.raises(RuntimeError, match=r"no second derivative .*module\.hook"):
            torch.autograd.gradcheck(slope, x.requires_grad_())
        module.hook(Edge.OUTPUT, lambda value: value)
    assert torch.autograd.gradcheck(slope, x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@EACH
def test_other_precisions(name, dtype):
    """A whole module in half, bfloat16 or double trains and keeps its dtype."""
    module, x = lstm(name).to(dtype), drawn(T, B, D).to(dtype)
    y, state = module(x)
    y.float().sum().backward()
    assert {y.dtype, *(value.dtype for value in state)} == {dtype}
    assert all(value.grad.isfinite().all() for value in module.parameters())


@EACH
def test_shapes_without_values(name):
    """The meta device, in training with words dropped, and inference mode."""
    own = model(name)
    scores, _ = copy.deepcopy(own).to("meta")(TOKENS.to("meta"))
    assert (scores.shape, scores.device.type) == ((T, B, V), "meta")
    with torch.inference_mode():
        found = own(TOKENS, update=4)[0]
    assert_close({"y": found.clone()}, {"y": own(TOKENS, update=4)[0]})


def test_dynamic_quantization_leaves_it_as_it_is():
    """The LSTM stays in float; the layers around it are quantized."""
    own = model("outside").eval()
    made = torch.ao.quantization.quantize_dynamic(own, {nn.LSTM, nn.Linear}, dtype=torch.qint8)
    assert isinstance(made.lstm, ablate.LSTM)
    assert not isinstance(made.decoder, nn.Linear)
    torch.testing.assert_close(made(TOKENS)[0], own(TOKENS)[0], atol=0.02, rtol=0.02)


def test_what_fx_gives_in_place_of_tensors(refused):
    """Within a model, and to each kind of module; the mend that is told makes each a leaf."""
    for module in (lstm("silent"), model("silent"), model("silent").embedding):
        outer = nn.Sequential(nn.Identity(), module)
        with refused() as error:
            torch.fx.symbolic_trace(outer)
        (mend,) = re.findall(r"`(.+)`", str(error.value))
        made = {"torch": torch, "ablate": ablate, "model": outer}
        exec(mend, made)
        calls = [node.target for node in made["graph"].nodes if node.op == "call_module"]
        assert calls == ["1"]


def test_a_packed_sequence_of_words(refused):
    """An embedding takes a tensor, in one sentence."""
    packed = nn.utils.rnn.pack_sequence([TOKENS[:, 0]])
    with refused():
        model("silent").embedding(packed)
