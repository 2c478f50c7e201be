"""`ablate.LanguageModel` is the studies' model: names, masks, one count of updates."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from waits import NoWaiting

import ablate
from ablate import cells
from ablate.drops import Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.masks.net import NetMasks
from ablate.engine.plan import Mode, plan
from ablate.engine.window import MaskSpec, Window
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import initial_parameters
from ablate.placement import Placement
from ablate.schedules import ANNEALED
from ablate.strategies import get
from ablate.testing import assert_close

V, H, D, T, B = 11, 13, 5, 7, 3
NET = Net(layers=2, hidden=H, embedding=D)
TOKENS = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(2))

STRATEGIES = [
    pytest.param(get(name).place(**arguments), id=" ".join([name, *map(str, arguments.values())]))
    for name, arguments in (
        ("none", {}),
        ("zaremba2014", {}),
        ("gal2016", {}),
        ("moon2015", {}),
        ("semeniuta2016", {}),
        ("zoneout", {}),
        ("merity2017", {}),
        ("naive", {}),
    )
]

GAL = get("gal2016").place()


def module(placement: Placement | None = GAL, **options: object) -> ablate.LanguageModel:
    torch.manual_seed(1)
    return ablate.LanguageModel(V, H, embedding=D, placement=placement, **({"seed": 9} | options))


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("placement", STRATEGIES)
def test_it_is_the_model_that_a_study_trains(placement, mode):
    """A trial's parameters load; logits and states equal training's at equal seed and update."""
    _assert_trials_model(NET, placement, mode)


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("cell", ["gru", "rnn", "rnn_relu"])
def test_it_is_the_model_of_other_cells_too(cell, mode):
    """Under the names of the parameters that every trial has."""
    net = NET.model_copy(update={"cell": cell})
    placement = get("gal2016").place() | Placement({Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD)})
    _assert_trials_model(net, placement, mode)


def test_a_cell_that_there_is_not(refused):
    """The nearest one is named; a placement is checked against the cell."""
    with refused():
        module(cell="grue")
    with refused():
        module(Placement({Edge.CARRY: Drop(0.1)}), cell="rnn")
    assert module(cell="rnn_relu").lstm.nonlinearity == "relu"
    assert module(cell="gru").owns == cells.GRU.has


def _assert_trials_model(net: Net, placement: Placement, mode: Mode) -> None:
    parameters = initial_parameters(net, V, seed=3, radius=0.5, dtype=torch.float64)
    model = module(placement, dtype=torch.float64, cell=net.cell).train(mode is Mode.TRAIN)
    model.load_state_dict(parameters)
    parts = len(net.of_cell.state)
    state = tuple(torch.randn(parts, net.layers, B, H, dtype=torch.float64))
    scores, after = model(TOKENS, state if len(state) > 1 else state[0], update=4)
    window = Window(seed=9, update=4, time=T, batch=B, mode=mode, dtype=torch.float64)
    path = plan(placement, net.layers, mode=mode, cell=net.of_cell).path
    own = {name: value.unsqueeze(0) for name, value in parameters.items()}
    before = tuple(part.unsqueeze(1) for part in state)
    vectors = own["embedding.weight"][:, TOKENS]
    sizes = {"inputs": D, "hidden": H, "layers": net.layers, "cell": net.of_cell}
    masks = NetMasks.of([MaskSpec(placement, window)], **sizes)
    y, expected = language_model.read_cohort(own, vectors, TOKENS, before, net, masks, path)
    weight, bias = parameters["decoder.weight"], parameters["decoder.bias"]
    assert_close({"logits": scores}, {"logits": nn.functional.linear(y[0], weight, bias)})
    after = after if parts > 1 else (after,)
    for found, part in zip(after, expected, strict=True):
        assert_close({"state": found}, {"state": part[:, 0]})
    assert model.placement == placement


def test_initial_weights_are_torchs():
    """Embedding, LSTM and Linear in this order under `torch.manual_seed`; the seed comes last."""
    torch.manual_seed(1)
    theirs = nn.ModuleDict(
        {"embedding": nn.Embedding(V, D), "lstm": nn.LSTM(D, H, 2), "decoder": nn.Linear(H, V)}
    )
    ours = module(seed=None)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert ours.lstm.seed == ours.embedding.seed == module(seed=None).lstm.seed
    assert ours.lstm.seed != ablate.LanguageModel(V, H).lstm.seed


def test_one_call_is_one_update():
    """Both modules count together, whatever each of them drops."""
    model, words = module(), module(GAL & Edge.EMBEDDING)
    for update in range(3):
        assert torch.equal(model(TOKENS)[0], module()(TOKENS, update=update)[0])
        words(TOKENS)
    for each in (model, words):
        assert each.embedding.next_update == each.lstm.next_update == 3
    assert model.mask_state() == {"seed": 9, "update": 3, "stack": 0}
    fresh = module(seed=1)
    fresh.load_mask_state(model.mask_state())
    assert torch.equal(fresh(TOKENS)[0], model(TOKENS)[0])
    model.eval()(TOKENS)
    assert model.lstm.next_update == 4


def test_a_hook_has_one_owner(refused):
    """EMBEDDING is the embedding's and the rest the layers'."""
    with refused():
        module().hook(Edge.EMBEDDING | Edge.INPUT, lambda value, **where: value)


def test_a_part_in_evaluation_leaves_the_count_to_the_other():
    """The mask state of a model is that of the part that counts, so that no mask comes twice."""
    model = module()
    model.lstm.eval()
    model(TOKENS)
    assert model.mask_state()["update"] == 1
    model.train().embedding.eval()
    model(TOKENS)
    assert model.mask_state()["update"] == 2


def test_a_sequence_token_by_token():
    """Unbatched decoding in training, one `update`, `start` counting."""
    model = module()
    whole, _ = model(TOKENS[:, 0], update=5)
    assert whole.shape == (T, V)
    state, steps = None, []
    for t in range(T):
        scores, state = model(TOKENS[t : t + 1, 0], state, update=5, start=t)
        steps.append(scores)
    assert_close({"logits": torch.cat(steps)}, {"logits": whole})


@pytest.mark.parametrize("edge", [Edge.EMBEDDING, Edge.CARRY], ids=lambda edge: edge.label)
def test_recomputing_needs_a_name(edge, refused):
    """Even where one of the two modules drops nothing."""
    model = module(Placement({edge: Drop(0.5)}))
    run = checkpoint(lambda tokens: model(tokens)[0], TOKENS, use_reentrant=False)
    with refused():
        run.sum().backward()
    named = checkpoint(lambda tokens: model(tokens, update=1)[0], TOKENS, use_reentrant=False)
    named.sum().backward()


@pytest.mark.parametrize("edge", [Edge.EMBEDDING, Edge.OUTPUT], ids=lambda edge: edge.label)
def test_a_hook_goes_to_its_owner(edge):
    """EMBEDDING to the embedding, all else to the LSTM."""
    model = module(None)
    plain = model(TOKENS)[0]
    handle = model.hook(edge, lambda value: value * 0)
    assert not torch.equal(model(TOKENS)[0], plain)
    handle.remove()
    assert torch.equal(model(TOKENS)[0], plain)


def test_a_placement_that_does_not_fit_changes_nothing(refused):
    """Neither module takes its part of it."""
    model = module()
    for wrong in (
        Placement({Edge.EMBEDDING: Drop(0.5), Edge.CELL: Drop((0.1, 0.2, 0.3))}),
        Placement(GAL, ANNEALED),
        {},
    ):
        with refused():
            model.placement = wrong
        assert model.placement == GAL


@pytest.mark.parametrize(
    "placement",
    [
        Placement(),
        get("zoneout").place(),
        get("gal2016").place() - Edge.EMBEDDING,
        Placement(
            {Edge.CELL: Drop(0.3, Sharing(time=3)), Edge.OUTPUT: Drop(0.2, scale=Scale.TEST)}
        ),
    ],
    ids=["none", "zoneout", "gal2016", "bursts"],
)
def test_an_evaluation_asks_the_host_for_nothing(placement):
    """So that it can be captured in a CUDA graph, as the refusal of other captures says."""
    lstm = ablate.LSTM(5, 13, num_layers=2, placement=placement).eval()
    x = torch.randn(7, 3, 5)
    with torch.no_grad():
        expected = lstm(x)[0]
        with NoWaiting():
            found = lstm(x)[0]
    assert torch.equal(found, expected)
