"""The field modules are what their table says, and an audit tells the meant from the shipped.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

import pytest
import torch
from auditing.field.handling import (
    KINDS,
    built,
    called,
    gradient_error,
    parameters,
    window,
    without_rates,
)
from auditing.field.table import SUBJECTS, WORDS, Subject, meant
from torch import Tensor, nn

from ablate.drops import Scale
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.layers.stack import run_stack
from ablate.engine.plan import Mode, Path
from ablate.engine.window import Window

T, B, D, H, L = 3, 2, 3, 2, 2

MEANT = meant(SUBJECTS)
each_correct = pytest.mark.parametrize("subject", MEANT.values(), ids=MEANT)


def by_engine(subject: Subject, module: nn.Module, at: Window) -> tuple[Tensor, Tensor, Tensor]:
    """What the engine's specification makes of the placement with the module's parameters."""
    own = parameters(module)
    weights = [LayerWeights(*(own[layer, kind] for kind in KINDS)) for layer in range(L)]
    x, h, c = window(T, B, D, H, L)
    made = run_stack(x, (h, c), weights, subject.placement, at, Path.REFERENCE)
    return made.y_TBX, *made.state


FACTORIES = {f"{name} meant": subject.correct for name, subject in MEANT.items()}
FACTORIES |= {f"{subject.bug} shipped": subject.wrong for subject in SUBJECTS}


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
@pytest.mark.parametrize("training", [True, False])
def test_without_rates_a_module_is_the_lstm_of_torch(factory, training):
    """Outputs and states equal those of `torch.nn.LSTM` with the same parameters."""
    module = built(without_rates(factory), D, H, L).train(training)
    lstm = nn.LSTM(D, H, L).double()
    with torch.no_grad():
        for (layer, kind), value in parameters(module).items():
            getattr(lstm, f"{kind}_l{layer}").copy_(value)
    x, h, c = window(T, B, D, H, L)
    found, expected = called(module, x, h, c), called(lstm, x, h, c)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=0.0, atol=1e-12)


@each_correct
def test_evaluation_is_that_of_the_placement(subject):
    """A correct module in evaluation equals the engine's deterministic evaluation."""
    module = built(subject.correct, D, H, L).eval()
    found = called(module, *window(T, B, D, H, L))
    at = Window(seed=0, update=0, time=T, batch=B, mode=Mode.MEAN, dtype=torch.float64)
    for one, other in zip(found, by_engine(subject, module, at), strict=True):
        assert torch.allclose(one, other, rtol=0.0, atol=1e-12)


@pytest.mark.slow
@each_correct
def test_moments_in_training_are_those_of_the_placement(subject):
    """Means and products of all that comes out agree with the engine's, over many draws.

    Products of two steps, rows or units see who shares a mask. About 650 of them are compared: one
    at 5 standard errors would come once in three thousand runs, and the seeds are fixed.
    """
    module, draws = built(subject.correct, D, H, L).train(), 150
    made, wanted = [], []
    with torch.no_grad():
        for seed in range(draws):
            made.append(called(module, *window(T, B, D, H, L), seed))
            at = Window(seed=7, update=seed, time=T, batch=B, dtype=torch.float64)
            wanted.append(by_engine(subject, module, at))
    (one, spread), (other, other_spread) = moments(made), moments(wanted)
    allowed = 5.0 * ((spread + other_spread) / draws).sqrt() + 1e-12
    assert ((one - other).abs() <= allowed).all()


def moments(outputs: list[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor]:
    """Mean and variance, over calls, of all values and of all their products."""
    flat = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in outputs])
    products = torch.einsum("ni,nj->nij", flat, flat).flatten(1)
    values = torch.cat([flat, products], dim=1)
    return values.mean(0), values.var(0)


@each_correct
def test_gradients_see_the_masks(subject):
    """A correct module's gradients are the differences of its own outputs under the same draw."""
    module = built(subject.correct, D, H, L)
    assert gradient_error(module, window(T, B, D, H, L)) < 1e-8


@each_correct
def test_a_call_changes_no_parameter_and_evaluation_samples_no_mask(subject):
    """Bugs 2 and 3 are not in a correct module."""
    module = built(subject.correct, D, H, L).train()
    before = {place: value.detach().clone() for place, value in parameters(module).items()}
    called(module, *window(T, B, D, H, L))
    for place, value in parameters(module).items():
        assert torch.equal(value, before[place])
    module.eval()
    one, other = (called(module, *window(T, B, D, H, L), seed) for seed in (0, 1))
    assert all(torch.equal(*parts) for parts in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(subject, id=name)
        for name, subject in MEANT.items()
        if all(drop.scale is Scale.TRAIN for drop in subject.placement.values())
    ],
)
def test_with_train_scale_evaluation_is_the_lstm_of_torch(subject):
    """Where the scale stands in training, rates mean nothing in evaluation."""
    loud, silent = (
        called(built(factory, D, H, L).eval(), *window(T, B, D, H, L))
        for factory in (subject.correct, without_rates(subject.correct))
    )
    assert all(torch.allclose(*parts, atol=1e-12) for parts in zip(loud, silent, strict=True))


def test_every_bug_of_an_lstm_or_its_words_is_in_the_table():
    """All but 14 and 15 are there, by number: these two are a trainer's."""
    numbers = {int("".join(filter(str.isdigit, s.bug[:2]))) for s in (*SUBJECTS, *WORDS)}
    assert numbers == set(range(1, 19)) - {14, 15}
