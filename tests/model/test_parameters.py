"""Initial weights: Zaremba's uniform, from addresses of their own."""

import pytest
import torch
from torch import nn

from ablate.model.net import Net
from ablate.model.parameters import count, initial_parameters, shapes

NET = Net(layers=2, hidden=13, embedding=5)
GOLDEN = [0.0780518353, 0.0789369419, 0.0171451867]


def test_names_and_shapes_are_those_of_torchs_modules():
    """The dict loads into Embedding, LSTM and Linear as it is."""
    modules = nn.ModuleDict(
        {"embedding": nn.Embedding(11, 5), "lstm": nn.LSTM(5, 13, 2), "decoder": nn.Linear(13, 11)}
    )
    expected = {name: tuple(value.shape) for name, value in modules.state_dict().items()}
    assert shapes(NET, 11) == expected
    modules.load_state_dict(initial_parameters(NET, 11, seed=1, radius=0.1))


def test_every_parameter_is_uniform_in_the_radius():
    """Biases and embedding too; mean and variance within 5 standard errors, none outside."""
    radius = 0.25
    parameters = initial_parameters(
        Net(layers=1, hidden=64), 300, seed=3, radius=radius, dtype=torch.float64
    )
    for name, value in parameters.items():
        error = radius / (3 * value.numel()) ** 0.5
        assert value.abs().max() < radius, name
        assert abs(value.mean()) < 5 * error, name
        assert value.var() == pytest.approx(radius**2 / 3, rel=5 / value.numel() ** 0.5), name


def test_the_seed_alone_decides():
    """Equal seeds give equal bits, other seeds and other parameters give others."""
    first = initial_parameters(NET, 11, seed=1, radius=0.1)
    again = initial_parameters(NET, 11, seed=1, radius=0.1)
    other = initial_parameters(NET, 11, seed=2, radius=0.1)
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert not torch.equal(value, other[name])
    assert not torch.equal(first["lstm.bias_ih_l0"], first["lstm.bias_hh_l0"])


def test_the_initial_weights_never_move():
    """Golden values: changing them changes every result, and raises SEMANTICS."""
    value = initial_parameters(NET, 11, seed=1, radius=0.1)["embedding.weight"]
    assert value[0, :3].tolist() == pytest.approx(GOLDEN, abs=1e-9)


def test_parameters_are_counted():
    """V D + each layer's matrices and both biases + the softmax."""
    expected = 11 * 5 + 52 * (5 + 13 + 2) + 52 * (13 + 13 + 2) + 11 * 14
    assert count(initial_parameters(NET, 11, seed=1, radius=0.1)) == expected
