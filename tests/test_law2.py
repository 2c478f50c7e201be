"""Law 2: `reference` is each paper's placement on Zaremba's cell, and silent it is `torch.nn.LSTM`.

So it is on PyTorch's GRU and on the plain recurrent net, as far as they have its edges. The oracles
and their masks (`tests/oracles.py` and beside it) are written from the papers and from the
published layout of addresses, in NumPy. Two windows run in a row, so that the state handed on is
tested too.
"""

import itertools
from functools import cache, partial

import numpy as np
import oracles
import oracles_gru
import oracles_rnn
import pytest
import torch
from torch import nn

from ablate.cells import GRU, LSTM, RNN, RNN_RELU
from ablate.drops import Drop, Sharing
from ablate.edges import Edge
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.layers.stack import run_stack
from ablate.engine.plan import Mode, Path
from ablate.engine.window import Window
from ablate.model.parameters import layer_weights
from ablate.placement import Placement
from ablate.strategies import get
from ablate.testing.case import forward

# Odd sizes, none a multiple of the four words of a Philox call, no two alike.
T, B, D, H, L, V = 7, 3, 5, 13, 2, 11
UPDATES = (4, 5)
SEED = 1409
# float64 against float64; only the order of additions differs.
TOLERANCE = {"rtol": 0.0, "atol": 1e-12}

LAYERS = range(L)

ORACLES = {LSTM: oracles, GRU: oracles_gru, RNN: oracles_rnn, RNN_RELU: oracles_rnn}


@cache
def _parameters(cell):
    """Weights large enough that gates are far from their middle."""
    random, rows = np.random.default_rng(0), len(cell.gates) * H
    # What is not bounded would grow from step to step.
    size = 0.25 if cell is RNN_RELU else 0.5
    table = {"embedding.weight": random.normal(size=(V, D))}
    for layer in LAYERS:
        inputs = H if layer else D
        table[f"lstm.weight_ih_l{layer}"] = random.normal(size=(rows, inputs)) * size
        table[f"lstm.weight_hh_l{layer}"] = random.normal(size=(rows, H)) * size
        table[f"lstm.bias_ih_l{layer}"] = random.normal(size=rows) * size
        table[f"lstm.bias_hh_l{layer}"] = random.normal(size=rows) * size
    return table


@pytest.fixture(scope="module")
def tokens():
    """Two windows of words; with 11 types and 21 places words are bound to repeat."""
    return np.random.default_rng(1).integers(0, V, size=(len(UPDATES), T, B))


@pytest.fixture(scope="module")
def state():
    """A state (h, c) of each layer that is not zero; a cell takes the parts that it has."""
    random = np.random.default_rng(2)
    return [tuple(random.normal(size=(2, B, H)) * 0.5) for _ in LAYERS]


def _engine(placement, tokens, state, mode=Mode.TRAIN, cell=LSTM):
    """Both windows through the specification: y [2, T, B, H], and the state's parts."""
    placement.check(L, cell)
    tensors = {name: torch.tensor(value) for name, value in _parameters(cell).items()}
    parts = list(zip(*state, strict=True))[: len(cell.state)]
    carried = tuple(torch.tensor(np.stack(part)) for part in parts)
    weights, found = layer_weights(tensors, L), []
    for update, words in zip(UPDATES, tokens, strict=True):
        window = Window(seed=SEED, update=update, time=T, batch=B, mode=mode, dtype=torch.float64)
        tokens_TB = torch.tensor(words)
        vectors = tensors["embedding.weight"][tokens_TB]
        y, carried = forward(
            vectors,
            carried,
            weights,
            placement,
            window,
            Path.REFERENCE,
            tokens_TB=tokens_TB,
            cell=cell,
        )
        found.append((y.numpy(), *(part.numpy() for part in carried)))
    return found


def _oracle(run, tokens, state, cell=LSTM):
    """Both windows through `run(paper, draw, tokens, x, state, weights)`."""
    paper, parameters = ORACLES[cell], _parameters(cell)
    state = [parts[: len(cell.state)] for parts in state]
    weights = [
        paper.split(
            *(
                parameters[f"lstm.{name}_l{layer}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
        )
        for layer in LAYERS
    ]
    found = []
    for update, words in zip(UPDATES, tokens, strict=True):
        x = parameters["embedding.weight"][words]
        draw = oracles.Draw(SEED, update, len(cell.gates))
        y, state = run(paper, draw, words, x, state, weights)
        found.append((y, *(np.stack(part) for part in zip(*state, strict=True))))
    return found


def _vertical(draw, p_input, p_interlayer, p_output, *, held=False):
    """The L + 1 masks of what travels upward; the topmost belongs to the topmost layer."""
    make = draw.window if held else draw.steps
    rows = (B,) if held else (T, B)
    return [
        make("INPUT", 0, p_input, (*rows, D)),
        *(make("INTERLAYER", layer, p_interlayer, (*rows, H)) for layer in range(1, L)),
        make("OUTPUT", L - 1, p_output, (*rows, H)),
    ]


def _each_layer(make, edge, p, shape):
    return [make(edge, layer, p, shape) for layer in LAYERS]


def _none(paper, draw, words, x, state, weights):
    return paper.no_dropout(x, state, weights)


def _zaremba2014(paper, draw, words, x, state, weights):
    return paper.zaremba2014(x, state, weights, _vertical(draw, 0.5, 0.5, 0.5), 0.5)


def _locked(paper, draw, words, x, state, weights):
    return paper.locked(x, state, weights, _vertical(draw, 0.5, 0.5, 0.5, held=True), 0.5)


def _naive(paper, draw, words, x, state, weights):
    recurrent = _each_layer(draw.steps, "RECURRENT", 0.25, (T, B, H))
    return paper.naive(x, state, weights, _vertical(draw, 0.25, 0.25, 0.25), recurrent, 0.25)


def _gal2016_tied(paper, draw, words, x, state, weights):
    return paper.gal2016_tied(
        x,
        state,
        weights,
        draw.words(0.3, words),
        _vertical(draw, 0.5, 0.5, 0.5, held=True),
        _each_layer(draw.window, "RECURRENT", 0.2, (B, H)),
        p_words=0.3,
        p_vertical=0.5,
        p_h=0.2,
    )


def _gal2016_apart(paper, draw, words, x, state, weights):
    inputs = [
        draw.gates("INPUT", 0, 0.5, (B, D)),
        *(draw.gates("INTERLAYER", layer, 0.5, (B, H)) for layer in range(1, L)),
    ]
    return paper.gal2016_apart(
        x,
        state,
        weights,
        draw.words(0.3, words),
        inputs,
        _each_layer(draw.gates, "RECURRENT", 0.2, (B, H)),
        draw.window("OUTPUT", L - 1, 0.5, (B, H)),
        p_words=0.3,
        p_vertical=0.5,
        p_h=0.2,
    )


def _moon2015(paper, draw, words, x, state, weights):
    return paper.moon2015(x, state, weights, _each_layer(draw.window, "CELL", 0.25, (B, H)))


def _semeniuta2016_step(paper, draw, words, x, state, weights):
    update = _each_layer(draw.steps, "UPDATE", 0.3, (T, B, H))
    vertical = _vertical(draw, 0.5, 0.5, 0.5)
    return paper.semeniuta2016(x, state, weights, vertical, update, 0.5, 0.3)


def _semeniuta2016_window(paper, draw, words, x, state, weights):
    held = _each_layer(draw.window, "UPDATE", 0.3, (B, H))
    update = [np.broadcast_to(mask, (T, B, H)) for mask in held]
    vertical = _vertical(draw, 0.5, 0.5, 0.5)
    return paper.semeniuta2016(x, state, weights, vertical, update, 0.5, 0.3)


def _zoneout(edge, upward):
    def run(paper, draw, words, x, state, weights):
        masks = [
            _vertical(draw, 0.5, 0.5, 0.5),
            _each_layer(draw.steps, "CARRY", 0.25, (T, B, H)),
            _each_layer(draw.steps, edge, 0.4, (T, B, H)),
        ]
        # Of the cells here the LSTM alone has a memory besides h.
        masks = masks if len(state[0]) == 2 else masks[::2]
        return paper.zoneout(x, state, weights, *masks, 0.5, upward=upward)

    return run


def _merity2017(paper, draw, words, x, state, weights):
    return paper.merity2017(
        x,
        state,
        weights,
        draw.words(0.1, words, whole_batch=True),
        _vertical(draw, 0.4, 0.3, 0.4, held=True),
        [draw.weights(layer, 0.5, H) for layer in LAYERS],
        {"embedding": 0.1, "input": 0.4, "interlayer": 0.3, "output": 0.4, "weight": 0.5},
    )


MELIS = {"input": 0.6, "interlayer": 0.2, "state": 0.4, "output": 0.5, "update": 0.3}


def _melis2018(paper, draw, words, x, state, weights):
    return paper.melis2018(
        x,
        state,
        weights,
        _vertical(draw, MELIS["input"], MELIS["interlayer"], MELIS["output"]),
        _each_layer(draw.window, "RECURRENT", MELIS["state"], (B, H)),
        _each_layer(draw.window, "UPDATE", MELIS["update"], (B, H)),
        MELIS,
    )


def _token(paper, draw, words, x, state, weights):
    return paper.token(x, state, weights, draw.places(0.25, (T, B)), 0.25)


def _bursts(paper, draw, words, x, state, weights):
    time, batch = np.arange(T)[:, None, None] // 3, np.arange(B)[:, None]
    places = [("INPUT", 0, D), *(("INTERLAYER", k, H) for k in range(1, L)), ("OUTPUT", L - 1, H)]
    vertical = [
        draw.kept(edge, layer, 0.5, time=time, batch=batch, unit=np.arange(units))
        for edge, layer, units in places
    ]
    return paper.zaremba2014(x, state, weights, vertical, 0.5)


def _assert_equal(found, expected):
    for window, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for name, our, their in zip("yhc", ours, theirs, strict=False):
            assert len(ours) == len(theirs)
            np.testing.assert_allclose(our, their, **TOLERANCE, err_msg=f"{name}, {window=}")


# Papers' placements, each with arguments and an oracle's run, by the name of its test.
TRAINED = {
    "none": ("none", {}, _none),
    "zaremba2014": ("zaremba2014", {}, _zaremba2014),
    "locked": ("locked", {}, _locked),
    "naive": ("naive", {}, _naive),
    "gal2016-tied": ("gal2016", {"recurrent": 0.2, "gates": "tied"}, _gal2016_tied),
    "gal2016-apart": ("gal2016", {"recurrent": 0.2, "gates": "apart"}, _gal2016_apart),
    "moon2015": ("moon2015", {}, _moon2015),
    "semeniuta2016-step": ("semeniuta2016", {}, _semeniuta2016_step),
    "semeniuta2016-window": ("semeniuta2016", {"sharing": "window"}, _semeniuta2016_window),
    "zoneout-upward": ("zoneout", {"hidden": 0.4}, _zoneout("HIDDEN", True)),
    "zoneout-state-only": (
        "zoneout",
        {"hidden": 0.4, "upward": False},
        _zoneout("RECURRENT", False),
    ),
    "merity2017": ("merity2017", {}, _merity2017),
    "melis2018": ("melis2018", MELIS, _melis2018),
    "token": ("token", {}, _token),
    "bursts": ("bursts", {"steps": 3}, _bursts),
}


def _moon2015_evaluated(paper, draw, words, x, state, weights):
    return paper.moon2015_evaluated(x, state, weights, 0.25)


def _zoneout_evaluated(upward):
    def run(paper, draw, words, x, state, weights):
        rates = (0.25, 0.4) if len(state[0]) == 2 else (0.4,)
        return paper.zoneout_evaluated(x, state, weights, *rates, upward=upward)

    return run


def _melis2018_evaluated(paper, draw, words, x, state, weights):
    return paper.melis2018_evaluated(x, state, weights, MELIS["update"])


EVALUATED = {
    "zaremba2014": ("zaremba2014", {}, _none),
    "locked": ("locked", {}, _none),
    "naive": ("naive", {}, _none),
    "gal2016-tied": ("gal2016", {"gates": "tied"}, _none),
    "gal2016-apart": ("gal2016", {"gates": "apart"}, _none),
    "semeniuta2016": ("semeniuta2016", {}, _none),
    "merity2017": ("merity2017", {}, _none),
    "melis2018": ("melis2018", {}, _none),
    "melis2018-update": ("melis2018", MELIS, _melis2018_evaluated),
    "token": ("token", {}, _none),
    "gaussian": ("gaussian", {}, _none),
    "bursts": ("bursts", {}, _none),
    "moon2015": ("moon2015", {}, _moon2015_evaluated),
    "zoneout-upward": ("zoneout", {"hidden": 0.4}, _zoneout_evaluated(True)),
    "zoneout-state-only": (
        "zoneout",
        {"hidden": 0.4, "upward": False},
        _zoneout_evaluated(False),
    ),
}

# What a cell does not allow: no memory besides h, and what is written is all of it.
_NO_MEMORY = {"moon2015"}
_NO_UPDATE = {"semeniuta2016", "semeniuta2016-step", "semeniuta2016-window", "melis2018-update"}
LACKS = {LSTM: set(), GRU: _NO_MEMORY, RNN: _NO_MEMORY | _NO_UPDATE}

# Rates at edges that a cell has not are 0.
ARGUMENTS = {
    LSTM: {},
    GRU: {"zoneout": {"cell": 0.0}},
    RNN: {"zoneout": {"cell": 0.0}, "melis2018": {"update": 0.0}},
}


def _on_all_cells(papers):
    """Each paper's row on each cell that allows it, the LSTM's by the paper's name alone."""
    return [
        pytest.param(
            cell,
            get(name).place(**arguments | ARGUMENTS[cell].get(name, {})),
            run,
            id=paper if cell is LSTM else f"{cell.name}-{paper}",
        )
        for cell, lacking in LACKS.items()
        for paper, (name, arguments, run) in papers.items()
        if paper not in lacking
    ]


@pytest.mark.parametrize(("cell", "placement", "run"), _on_all_cells(TRAINED))
def test_training_is_the_papers_placement(cell, placement, run, tokens, state):
    """Outputs and states of two windows equal the paper's equations under independent masks."""
    found = _engine(placement, tokens, state, cell=cell)
    _assert_equal(found, _oracle(run, tokens, state, cell))


@pytest.mark.parametrize(("cell", "placement", "run"), _on_all_cells(EVALUATED))
def test_evaluation_is_the_papers(cell, placement, run, tokens, state):
    """Masks scaled in training rest; zoneout mixes and RNNDrop scales what is read."""
    found = _engine(placement, tokens, state, Mode.MEAN, cell)
    _assert_equal(found, _oracle(run, tokens, state, cell))


def test_a_cell_that_a_paper_does_not_fit_refuses_it(refused):
    """What is left out above has no place there: an edge that is missing is named."""
    for cell, lacking in LACKS.items():
        for name, arguments, _ in ((TRAINED | EVALUATED)[paper] for paper in sorted(lacking)):
            with refused():
                get(name).place(**arguments).check(L, cell)


def test_a_rectified_net_takes_the_papers_places(tokens, state):
    """Zaremba's section 3 with f(z) = max(z, 0)."""

    def run(paper, draw, words, x, state, weights):
        vertical = _vertical(draw, 0.5, 0.5, 0.5)
        return paper.zaremba2014(x, state, weights, vertical, 0.5, f=lambda z: np.maximum(z, 0.0))

    found = _engine(get("zaremba2014").place(), tokens, state, cell=RNN_RELU)
    _assert_equal(found, _oracle(run, tokens, state, RNN_RELU))


def test_every_coordinate_is_divided_by_its_sharing(tokens, state):
    """Rates by layer, bursts of steps, pairs of rows and units, one decision for two windows."""
    rates = (0.2, 0.6)
    shared = Sharing(time=3, batch=2, unit=2, update=2)
    placement = Placement({Edge.RECURRENT: Drop(rates, shared)})
    ones = [np.ones((T, B, D)), *(np.ones((T, B, H)) for _ in LAYERS)]

    def run(paper, draw, words, x, state, weights):
        draw = draw._replace(update=draw.update // 2)
        time, batch, unit = np.ogrid[:T, :B, :H]
        recurrent = [
            draw.kept("RECURRENT", k, p, time=time // 3, batch=batch // 2, unit=unit // 2) / (1 - p)
            for k, p in enumerate(rates)
        ]
        return oracles.naive(x, state, weights, ones, recurrent, 0.0)

    found = _engine(placement, tokens, state)
    _assert_equal(found, _oracle(run, tokens, state))


def test_a_state_held_alone_differs_from_the_last_output(tokens, state):
    """Without `upward` the state handed on is not what the layer above saw; with it, it is."""
    alone = get("zoneout").place(vertical=0.0, hidden=0.4, upward=False)
    up = get("zoneout").place(vertical=0.0, hidden=0.4, upward=True)
    for (y, h, _), (y_up, h_up, _) in zip(
        _engine(alone, tokens, state),
        _engine(up, tokens, state),
        strict=True,
    ):
        assert not np.array_equal(y[-1], h[-1])
        assert np.array_equal(y_up[-1], h_up[-1])


def test_the_oracles_see_each_placement_differently(tokens, state):
    """No two oracles agree, so that none can stand in for another unnoticed."""
    for cell, lacking in LACKS.items():
        runs = {run: paper for paper, (_, _, run) in TRAINED.items() if paper not in lacking}
        # A net with one gate has it apart.
        outputs = [
            _oracle(run, tokens, state, cell)[1][0]
            for run, paper in runs.items()
            if cell is not RNN or paper != "gal2016-apart"
        ]
        for one, other in itertools.combinations(outputs, 2):
            assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        pytest.param(
            (0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8), id="zeros"
        ),
        pytest.param(
            (2**32 - 1,) * 4,
            (2**32 - 1,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
            id="ones",
        ),
        pytest.param(
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
            id="pi",
        ),
    ],
)
def test_the_oracles_own_generator_gives_the_known_answers(counter, key, words):
    """Random123's published test vectors of Philox4x32-10."""
    assert tuple(map(int, oracles.philox(counter, key))) == words


_MODULES = {LSTM: nn.LSTM, GRU: nn.GRU, RNN: nn.RNN, RNN_RELU: partial(nn.RNN, nonlinearity="relu")}


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("cell", _MODULES, ids=lambda cell: cell.name)
def test_a_silent_placement_is_torchs_module(cell, layers, bias):
    """Outputs, states and every gradient over two windows equal the module's, by name."""
    torch.manual_seed(0)
    theirs = _MODULES[cell](D, H, layers, bias=bias, dtype=torch.float64)
    x = torch.randn(2, T, B, D, dtype=torch.float64)
    start = torch.randn(len(cell.state), layers, B, H, dtype=torch.float64)
    ours = {name: value.detach().clone() for name, value in theirs.named_parameters()}
    leaves = {**ours, "x": x.clone(), "state": start.clone()}
    for leaf in leaves.values():
        leaf.requires_grad_()

    names = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if bias else ()))
    weights = [LayerWeights(*(ours[f"{name}_l{k}"] for name in names)) for k in range(layers)]
    carried, total = tuple(leaves["state"]), torch.zeros((), dtype=torch.float64)
    their_x, their_start = x.clone().requires_grad_(), start.clone().requires_grad_()
    their_carried, their_total = tuple(their_start), torch.zeros((), dtype=torch.float64)
    for update in range(2):
        window = Window(seed=0, update=update, time=T, batch=B, dtype=torch.float64)
        given = (leaves["x"][update], carried, weights, Placement(), window, Path.REFERENCE)
        y, carried = run_stack(*given, cell=cell)
        # Of one part torch's state is that part.
        their_given = their_carried if len(cell.state) > 1 else their_carried[0]
        their_y, last = theirs(their_x[update], their_given)
        their_carried = last if len(cell.state) > 1 else (last,)
        torch.testing.assert_close(y, their_y, **TOLERANCE)
        torch.testing.assert_close(carried, their_carried, **TOLERANCE)
        total = total + y.sin().sum() + carried[-1].cos().sum()
        their_total = their_total + their_y.sin().sum() + their_carried[-1].cos().sum()

    total.backward()
    their_total.backward()
    expected = {name: value.grad for name, value in theirs.named_parameters()}
    expected |= {"x": their_x.grad, "state": their_start.grad}
    for name, leaf in leaves.items():
        torch.testing.assert_close(leaf.grad, expected[name], rtol=0, atol=1e-10, msg=name)
