"""Initial weights: Zaremba's uniform, from addresses of their own."""

import hashlib

import pytest
import torch
from torch import nn

from ablate.addresses import LIMITS, Address, Purpose
from ablate.drops import Sharing
from ablate.masks import activation_words
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


@pytest.mark.parametrize(
    ("types", "digest"),
    [
        pytest.param(5, "56953128b8276b19", id="V5"),
        pytest.param(204, "0a15accd3bf81af4", id="V204"),
        pytest.param(10_000, "7482edc362b6638e", id="V10000"),
        pytest.param(16_383, "af3ef746e4e6a156", id="V16383"),
        pytest.param(16_384, "8369f3c34ef16856", id="V16384"),
        pytest.param(16_385, "4317220063072566", id="V16385"),
        pytest.param(50_000, "115b1e6db24f7a4f", id="V50000"),
    ],
)
def test_no_size_of_vocabulary_moves_its_initial_weights(types, digest):
    """All bits, by digest; up to 16,384 types they are those of one row, as they always were."""
    parameters = initial_parameters(Net(layers=1, hidden=2), types, seed=7, radius=0.1)
    found = hashlib.sha256()
    for value in parameters.values():
        found.update(value.numpy().astype("<f4").tobytes())
    assert found.hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("name", "net", "types"),
    [
        pytest.param("decoder.bias", Net(layers=1, hidden=2), 16_384, id="bias-one-row"),
        pytest.param("decoder.bias", Net(layers=1, hidden=2), 16_385, id="bias-one-over"),
        pytest.param("decoder.bias", Net(layers=1, hidden=2), 50_000, id="bias-four-rows"),
        pytest.param(
            "lstm.bias_hh_l0", Net(layers=1, hidden=4_097), 2, id="gates", marks=pytest.mark.slow
        ),
    ],
)
def test_a_long_vector_is_drawn_in_rows_of_units(name, net, types):
    """The n-th number has the word of unit n mod 2**14 in row n div 2**14 of its address."""
    layer = list(shapes(net, types)).index(name)
    value = initial_parameters(net, types, seed=3, radius=0.5)[name]
    address = Address(seed=3, layer=layer, purpose=Purpose.INITIAL)
    row = LIMITS["unit"]
    for at in sorted({0, len(value) // 2, row - 1, len(value) - 1}):
        rows = activation_words(
            address,
            Sharing(batch=1, unit=1, update=1),
            time=1,
            batch=at // row + 1,
            units=at % row + 1,
        )
        expected = ((int(rows[0, -1, 0, -1]) >> 8) + 0.5) / 2.0**24 - 0.5
        assert float(value[at]) == pytest.approx(expected, abs=1e-7)


def test_no_two_rows_of_a_long_vector_are_alike():
    """A vector of three rows repeats none: equal numbers are as rare as chance has them."""
    bias = initial_parameters(Net(layers=1, hidden=1), 3 * LIMITS["unit"], seed=1, radius=1.0)
    rows = bias["decoder.bias"].view(3, -1)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (rows[one] == rows[other]).sum() <= 1


def test_parameters_are_counted():
    """V D + each layer's matrices and both biases + the softmax."""
    expected = 11 * 5 + 52 * (5 + 13 + 2) + 52 * (13 + 13 + 2) + 11 * 14
    assert count(initial_parameters(NET, 11, seed=1, radius=0.1)) == expected
