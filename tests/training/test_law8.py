"""Law 8: one update equals Zaremba's by hand, and perplexity a token-by-token sum."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from training import cohorts, toys

from ablate.data.windows import training_windows
from ablate.model.net import Net
from ablate.model.parameters import initial_parameters
from ablate.placement import Placement
from ablate.quantities import perplexity
from ablate.training.evaluation import evaluate
from ablate.training.recipe import LARGEST, PRESETS, Recipe
from ablate.training.update import TrialPlan

# float64 on both sides; only the order of additions differs.
EXACT = {"rtol": 1e-9, "atol": 1e-12}
NET = Net(layers=2, hidden=13, embedding=5)


class ByHand:
    """Zaremba's trainer with PyTorch's modules, a loop over time and arithmetic in the open."""

    def __init__(self, parameters: dict[str, torch.Tensor]) -> None:
        self.embedding = nn.Embedding(toys.VOCABULARY, 5, dtype=torch.float64)
        self.lstm = nn.LSTM(5, 13, 2, dtype=torch.float64)
        self.decoder = nn.Linear(13, toys.VOCABULARY, dtype=torch.float64)
        self.modules = nn.ModuleDict(
            {"embedding": self.embedding, "lstm": self.lstm, "decoder": self.decoder}
        )
        self.modules.load_state_dict(parameters)
        self.state = None

    def loss(self, inputs: list[list[int]], targets: list[list[int]]) -> torch.Tensor:
        """Sum over time of the mean over the batch."""
        total = torch.zeros((), dtype=torch.float64)
        for x, y in zip(inputs, targets, strict=True):
            out, self.state = self.lstm(self.embedding(torch.tensor(x))[None], self.state)
            log_probs = torch.log_softmax(self.decoder(out[0]), dim=-1)
            total = total - sum(log_probs[row, word] for row, word in enumerate(y)) / len(y)
        self.state = tuple(value.detach() for value in self.state)
        return total

    def update(
        self, inputs: list[list[int]], targets: list[list[int]], rate: float, clip: float
    ) -> float:
        loss = self.loss(inputs, targets)
        values = list(self.modules.parameters())
        gradients = torch.autograd.grad(loss, values)
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        shrink = clip / norm if norm > clip else 1.0
        with torch.no_grad():
            for value, gradient in zip(values, gradients, strict=True):
                value -= rate * shrink * gradient
        return norm


def cut(tokens: np.ndarray, batch: int, unroll: int) -> list[tuple[list, list]]:
    """The windows of an epoch, cut by hand: rows are pieces of the text, targets one further."""
    length = len(tokens) // batch
    rows = [tokens[row * length : (row + 1) * length].tolist() for row in range(batch)]
    windows = []
    for start in range(0, (length - 1) // unroll * unroll, unroll):
        steps = range(start, start + unroll)
        inputs = [[row[t] for row in rows] for t in steps]
        targets = [[row[t + 1] for row in rows] for t in steps]
        windows.append((inputs, targets))
    return windows


@pytest.mark.parametrize(
    ("batch", "unroll", "clip", "length"),
    [
        pytest.param(3, 7, 5.0, 67, id="B3-T7-N67"),
        pytest.param(7, 3, 0.05, 89, id="B7-T3-N89-clipped"),
        pytest.param(2, 1, 5.0, 29, id="B2-T1-N29"),
    ],
)
def test_an_epoch_equals_zarembas_by_hand(batch, unroll, clip, length):
    """Every parameter after every update, over an odd number of windows of a prime text."""
    tokens = toys.corpus(train=length).train
    parameters = initial_parameters(NET, toys.VOCABULARY, seed=7, radius=0.5, dtype=torch.float64)
    hand = ByHand(parameters)
    given = {"updates": [0], "learning_rates": [0.7], "clips": [clip]}
    update = cohorts.start([TrialPlan(NET, Placement(), 7)], [parameters], (unroll, batch), **given)
    windows = list(training_windows(tokens, batch, unroll))
    by_hand = cut(tokens, batch, unroll)
    assert len(windows) == len(by_hand)
    assert len(windows) % 2 == 1
    for (x, y), (inputs, targets) in zip(windows, by_hand, strict=True):
        _, norm_K = update(x, y)
        norm = hand.update(inputs, targets, 0.7, clip)
        assert norm_K.item() == pytest.approx(norm, rel=1e-9)
        for name, value in hand.modules.state_dict().items():
            torch.testing.assert_close(update.parameters[name][0], value, msg=name, **EXACT)


@pytest.mark.parametrize("streams", [1, 3, 20])
def test_perplexity_is_a_token_by_token_sum(streams):
    """Every token of a prime split is scored once; each stream's first reads the token before."""
    tokens = toys.corpus(valid=53).valid
    parameters = initial_parameters(NET, toys.VOCABULARY, seed=7, radius=0.5, dtype=torch.float64)
    scored = evaluate(
        parameters, tokens, TrialPlan(NET, Placement(), 7), streams=streams, unroll=7, eos=0
    )
    expected = []
    for piece in np.array_split(np.arange(53), streams):
        hand = ByHand(parameters)
        for position in piece:
            before = 0 if position == 0 else int(tokens[position - 1])
            expected.append(float(hand.loss([[before]], [[int(tokens[position])]]).detach()))
    # The log-probabilities are kept in float32.
    np.testing.assert_allclose(-scored.log_probs_N, expected, rtol=1e-6)
    assert scored.targets == 53
    assert scored.nll == pytest.approx(sum(expected) / 53, rel=1e-6)
    assert perplexity(scored.nll) == pytest.approx(math.exp(sum(expected) / 53), rel=1e-6)


@pytest.mark.parametrize(
    ("preset", "full_rate", "epochs", "last"),
    [
        pytest.param("zaremba-small", 4, 13, 0.5**9, id="small"),
        pytest.param("zaremba-medium", 6, 39, 1.2**-33, id="medium"),
        pytest.param("zaremba-large", 14, 55, 1.15**-41, id="large"),
    ],
)
def test_the_rate_of_learning_follows_the_paper(preset, full_rate, epochs, last):
    """Rate 1 for exactly as many epochs as the paper says, then divided after each."""
    recipe = PRESETS[preset].recipe
    rates = [recipe.rate_of(epoch) for epoch in range(1, recipe.epochs + 1)]
    assert len(rates) == epochs
    assert rates.count(1.0) == full_rate
    assert rates[-1] == pytest.approx(last)


@pytest.mark.parametrize(
    ("divide", "epochs"), [(10.0, 400), (1e200, 4), (1.0, 10**6), (1.0000001, 10**12), (2.0, 1100)]
)
def test_a_schedule_of_any_length_has_a_rate_in_each_epoch(divide, epochs):
    """It falls, and where the divisor leaves the floats it is the 0 that float32 has long had."""
    recipe = PRESETS["zaremba-small"].recipe.model_copy(
        update={"epochs": epochs, "divide": divide, "learning_rate": LARGEST}
    )
    rates = [recipe.rate_of(epoch) for epoch in sorted({1, 4, 5, epochs // 2, epochs})]
    assert rates == sorted(rates, reverse=True)
    assert all(0.0 <= rate <= LARGEST for rate in rates)


def test_a_rate_of_learning_is_a_float32():
    """Parameters are updated in float32: what it cannot hold is refused with the file."""
    known = PRESETS["zaremba-small"].recipe.model_dump()
    assert LARGEST < torch.finfo(torch.float32).max < 1.01 * LARGEST
    assert Recipe(**known | {"learning_rate": LARGEST}).learning_rate == LARGEST
    for rate in (math.nextafter(LARGEST, math.inf), 1e39, 1e300):
        with pytest.raises(ValidationError, match="less than or equal to"):
            Recipe(**known | {"learning_rate": rate})


@pytest.mark.parametrize(
    ("preset", "millions"),
    [
        pytest.param("zaremba-small", 4.65, id="small"),
        pytest.param("zaremba-medium", 19.8, id="medium"),
        pytest.param("zaremba-large", 66.0, id="large"),
    ],
)
def test_the_presets_have_the_papers_numbers_of_parameters(preset, millions):
    """4.65 M, 19.8 M and 66.0 M at 10,000 words."""
    from ablate.model.parameters import shapes

    table = shapes(PRESETS[preset].net, 10_000)
    assert sum(math.prod(shape) for shape in table.values()) / 1e6 == pytest.approx(
        millions, abs=0.05
    )
