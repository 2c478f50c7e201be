"""Law 8 with masks: training and evaluation do what the specification says, written out by hand.

Forward by the reference path with the masks of each window's number, backward by autograd, then a
clip and SGD in the open. Words, windows, steps, weights and a schedule are all in it.
"""

import math

import numpy as np
import pytest
import torch
from training import toys

from ablate.data.windows import training_windows
from ablate.engine.plan import Mode, Path
from ablate.engine.window import Window
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import initial_parameters, layer_weights
from ablate.strategies import get
from ablate.testing.case import forward
from ablate.training.evaluation import evaluate
from ablate.training.update import TrialPlan, Update

# float64 on both sides; only the order of additions differs.
EXACT = {"rtol": 1e-9, "atol": 1e-12}
NET = Net(layers=2, hidden=13, embedding=5)

NAMES = [
    pytest.param("gal2016", id="gal2016"),
    pytest.param("zoneout", id="zoneout"),
    pytest.param("merity2017", id="merity2017"),
    pytest.param("morerio2017", id="morerio2017"),
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(pytest.param(*name.values, "lstm", id=name.id) for name in NAMES),
        pytest.param("naive", "gru", id="naive-gru"),
        pytest.param("gal2016", "rnn", id="gal2016-rnn"),
    ],
)
def test_updates_follow_it(name, kind):
    """Three updates equal autograd through the reference path and SGD, with each window's masks."""
    net = NET.model_copy(update={"cell": kind})
    placement, (time, batch) = get(name).place(), (5, 3)
    parameters = initial_parameters(net, toys.VOCABULARY, seed=7, radius=0.5, dtype=torch.float64)
    ours = {each: value.clone().unsqueeze(0) for each, value in parameters.items()}
    windows = list(training_windows(toys.corpus(train=3 * (3 * time + 1)).train, batch, time))
    planned = TrialPlan(net, placement, 7, updates=len(windows) + 4)
    update = Update.of(
        ours, [planned], (time, batch), updates=[4], learning_rates=[0.7], clips=[2.0]
    )
    state = language_model.zero_state(net, batch, parameters["decoder.weight"])
    for number, (x_TB, y_TB) in enumerate(windows, start=4):
        update(x_TB, y_TB)
        leaves = {each: value.requires_grad_() for each, value in parameters.items()}
        window = Window(seed=7, update=number, time=time, batch=batch, dtype=torch.float64)
        out = forward(
            leaves["embedding.weight"][x_TB],
            state,
            layer_weights(leaves, net.layers),
            planned.placement_at(number),
            window,
            Path.REFERENCE,
            tokens_TB=x_TB,
            cell=net.of_cell,
        )
        scores = out.y_TBX @ leaves["decoder.weight"].t() + leaves["decoder.bias"]
        own = torch.log_softmax(scores, dim=-1).gather(2, y_TB.unsqueeze(2))
        gradients = torch.autograd.grad(-own.sum() / batch, list(leaves.values()))
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        by = 0.7 * min(1.0, 2.0 / norm)
        parameters = {
            each: (value - by * gradient).detach()
            for (each, value), gradient in zip(leaves.items(), gradients, strict=True)
        }
        state = tuple(part.detach() for part in out.state)
        for each, value in parameters.items():
            torch.testing.assert_close(ours[each][0], value, msg=each, **EXACT)
    assert number == 6


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_follows_it(name):
    """Each token's nll is that of the deterministic evaluation, in one call of the reference."""
    placement, tokens = get(name).place(), toys.corpus(valid=53).valid
    parameters = initial_parameters(NET, toys.VOCABULARY, seed=7, radius=0.5, dtype=torch.float64)
    scored = evaluate(
        parameters,
        tokens,
        TrialPlan(NET, placement, 7, updates=2),
        streams=1,
        unroll=7,
        eos=0,
        update=2,
    )
    x_TB = torch.tensor([0, *tokens[:-1]]).unsqueeze(1)
    window = Window(seed=7, update=0, time=53, batch=1, mode=Mode.MEAN, dtype=torch.float64)
    out = forward(
        parameters["embedding.weight"][x_TB],
        language_model.zero_state(NET, 1, parameters["decoder.weight"]),
        layer_weights(parameters, NET.layers),
        placement.at(2, 2),
        window,
        Path.REFERENCE,
        tokens_TB=x_TB,
    )
    scores = out.y_TBX[:, 0] @ parameters["decoder.weight"].t() + parameters["decoder.bias"]
    log_probs = torch.log_softmax(scores, dim=-1)[torch.arange(53), torch.tensor(tokens).long()]
    np.testing.assert_allclose(scored.log_probs_N, log_probs.numpy(), rtol=1e-6)
