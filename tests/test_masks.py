"""Law 4: masks are a function of coordinates, the one that is published.

Known answers of the generator, a golden table of addresses, sharing as a divisor, independence,
nesting, and addresses that never meet.

Shapes: T time, B batch, G gates, U units, S source units.
"""

import json
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import pytest
import torch
from drawing import seeded
from hypothesis import given
from hypothesis import strategies as st

from ablate.addresses import LIMITS, SEMANTICS, Address, Purpose, check_types
from ablate.drops import ALL, Sharing
from ablate.edges import Edge
from ablate.masks import Coordinates, activation_words, philox, weight_words
from ablate.noise import BERNOULLI, GAUSSIAN, threshold

EACH = Sharing(time=1, word=1, batch=1, unit=1, gate=1, update=1)
EACH_WEIGHT = Sharing(source=1, unit=1, gate=1, update=1)

# A statistic of seeded draws is a constant: five standard errors leave one chance in two million
# that an honest generator was refused when the seed was chosen.
ERRORS = 5.0

GOLDEN = json.loads((Path(__file__).parent / "golden_masks.json").read_text())


def _draw(*, time=1, batch=1, units=1, sharing=EACH, tokens=None, device="cpu", **address):
    """Words [T, B, G, U] of INPUT at seed 1, unless said otherwise."""
    place = Address(**({"seed": 1, "edge": Edge.INPUT} | address))
    return activation_words(
        place, sharing, time=time, batch=batch, units=units, tokens_TB=tokens, device=device
    )


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        pytest.param(
            "00000000 00000000 00000000 00000000",
            "00000000 00000000",
            "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
            id="zeros",
        ),
        pytest.param(
            "ffffffff ffffffff ffffffff ffffffff",
            "ffffffff ffffffff",
            "408f276d 41c83b0e a20bc7c6 6d5451fd",
            id="ones",
        ),
        pytest.param(
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
            id="digits-of-pi",
        ),
    ],
)
def test_random123s_known_answers(counter, key, words):
    """Philox4x32-10 gives the words that its authors publish (Random123, kat_vectors)."""
    inputs = [torch.tensor(int(word, 16)) for word in counter.split()]
    keys = torch.tensor([int(word, 16) for word in key.split()])
    drawn = philox(keys, tuple(inputs))
    assert " ".join(f"{word.item():08x}" for word in drawn) == words


def _golden_word(seed, purpose, stack, direction, layer, edge, update, time, gate, row, word, unit):
    address = Address(
        seed=seed,
        edge=Edge[edge] if edge else None,
        layer=layer,
        direction=direction,
        stack=stack,
        update=update,
        start=time,
        batch_offset=0 if edge == "WEIGHT" else row,
        purpose=Purpose[purpose],
    )
    if edge == "WEIGHT":
        drawn = weight_words(address, EACH_WEIGHT, sources=row + 1, units=unit + 1)
        return drawn[gate, unit, row].item()
    tokens = torch.tensor([[word]])
    drawn = activation_words(address, EACH, time=1, batch=1, units=unit + 1, tokens_TB=tokens)
    return drawn[0, 0, gate, unit].item()


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id="-".join(str(x) for x in row[:-1])) for row in GOLDEN["rows"]],
)
def test_golden_table_of_addresses(row):
    """Every coordinate, one at a time and at its limit, has the word of the committed table.

    The table was made by the NumPy oracle of `tests/oracles.py`, not by `ablate.masks`. A change of
    any of its words changes every result: it raises SEMANTICS, which is part of each result's key.
    The edge's layer is the layer at which it acts: OUTPUT's is the top one, L - 1.
    """
    *coordinates, drawn = row
    assert GOLDEN["columns"][-1] == "drawn"
    assert f"{_golden_word(*coordinates):08x}" == drawn


def test_golden_table_belongs_to_these_semantics():
    """The table and the code carry the same number."""
    assert GOLDEN["semantics"] == SEMANTICS == 1


def test_golden_table_varies_every_coordinate():
    """No coordinate could be left out of the address unseen."""
    columns = list(zip(*GOLDEN["rows"], strict=True))
    varied = dict(zip(GOLDEN["columns"], map(set, columns), strict=True))
    assert varied.pop("direction") == {0, 1}
    assert all(len(values) > 2 for values in varied.values())
    assert len(set(columns[-1])) == len(GOLDEN["rows"])


def test_purposes_keep_their_numbers():
    """A purpose's number is four bits of the key."""
    assert [(p.name, p.value) for p in Purpose] == [
        ("INITIAL", 0),
        ("MASK", 1),
        ("MONTE_CARLO", 2),
        ("DATA", 3),
    ]


def _expected(words, dim, extent):
    """What a divisor makes of words that are each their own."""
    if extent is ALL:
        return words.narrow(dim, 0, 1)
    return words.index_select(dim, torch.arange(words.shape[dim]) // extent)


@pytest.mark.parametrize("extent", [2, 3, 10, ALL])
@pytest.mark.parametrize(("axis", "dim"), [("time", 0), ("batch", 1), ("unit", 3)])
def test_sharing_divides_the_coordinate(axis, dim, extent):
    """Neighbours that share take the word of their group's number; ALL takes that of 0."""
    shape = {"time": 7, "batch": 5, "units": 13}
    each = _draw(**shape)
    shared = _draw(**shape, sharing=replace(EACH, word=ALL, **{axis: extent}))
    assert torch.equal(shared, _expected(each, dim, extent))


@pytest.mark.parametrize("extent", [2, 3, 10, ALL])
@pytest.mark.parametrize(("axis", "dim"), [("unit", 1), ("source", 2)])
def test_sharing_divides_a_weights_coordinate(axis, dim, extent):
    """A weight's rows are units and its columns are sources."""
    address = Address(seed=1, edge=Edge.WEIGHT)
    each = weight_words(address, EACH_WEIGHT, sources=9, units=13)
    sharing = replace(EACH_WEIGHT, **{axis: extent})
    assert each.shape == (4, 13, 9)
    assert torch.equal(
        weight_words(address, sharing, sources=9, units=13), _expected(each, dim, extent)
    )


def test_gates_share_the_first_gates_word():
    """Gates that share have one word, that of gate 0."""
    each = _draw(time=3, units=5)
    assert each.shape[2] == 4
    assert torch.equal(_draw(time=3, units=5, sharing=replace(EACH, gate=ALL)), each[:, :, :1])
    weight = weight_words(Address(seed=1), EACH_WEIGHT, sources=3, units=5)
    shared = weight_words(Address(seed=1), replace(EACH_WEIGHT, gate=ALL), sources=3, units=5)
    assert torch.equal(shared, weight[:1])


@pytest.mark.parametrize(("extent", "numbers"), [(1, [5, 6, 7]), (3, [1, 2, 2]), (ALL, [0, 0, 0])])
def test_updates_share_by_division(extent, numbers):
    """`update=n` keeps one decision for n windows."""
    shared = [_draw(units=9, update=u, sharing=replace(EACH, update=extent)) for u in (5, 6, 7)]
    for words, number in zip(shared, numbers, strict=True):
        assert torch.equal(words, _draw(units=9, update=number))


def test_equal_words_share_and_others_do_not():
    """A word's decision is its own wherever it stands; with `word=ALL` words play no part."""
    tokens = torch.tensor([[3, 8], [8, 3]])
    sharing = Sharing(time=ALL, word=1, batch=ALL, unit=ALL, update=1)
    words = _draw(time=2, batch=2, units=5, sharing=sharing, tokens=tokens, edge=Edge.EMBEDDING)
    assert words.shape == (2, 2, 1, 1)
    drawn = words[:, :, 0, 0]
    assert drawn[0, 0] == drawn[1, 1] != drawn[0, 1] == drawn[1, 0]
    blind = _draw(time=2, batch=2, units=5, sharing=replace(sharing, word=ALL), tokens=tokens)
    assert blind.numel() == 1


def _weight(sources, units):
    return weight_words(
        Address(seed=1, edge=Edge.WEIGHT), EACH_WEIGHT, sources=sources, units=units
    )


def _shifted(words, dim):
    """Words and their neighbours along `dim`."""
    count = words.shape[dim] - 1
    return words.narrow(dim, 0, count), words.narrow(dim, 1, count)


def _apart(name, *values):
    """Words that differ in the coordinate `name` alone."""
    return [_draw(time=10, batch=10, units=100, **{name: value}) for value in values]


# Two blocks of 40,000 words that differ by one in one coordinate.
_NEIGHBOURS = {
    "time": lambda: _shifted(_draw(time=11, batch=10, units=100), 0),
    "batch": lambda: _shifted(_draw(time=10, batch=11, units=100), 1),
    "gate": lambda: _shifted(_draw(time=10, batch=14, units=100), 2),
    "unit": lambda: _shifted(_draw(time=10, batch=10, units=101), 3),
    "source": lambda: _shifted(_weight(sources=101, units=100), 2),
    "word": lambda: _apart("tokens", torch.full((10, 10), 41), torch.full((10, 10), 42)),
    "update": lambda: _apart("update", 6, 7),
    "layer": lambda: _apart("layer", 0, 1),
    "stack": lambda: _apart("stack", 0, 1),
    "direction": lambda: _apart("direction", 0, 1),
    "seed": lambda: _apart("seed", 1, 2),
    "edge": lambda: _apart("edge", Edge.INPUT, Edge.INTERLAYER),
    "purpose": lambda: _apart("purpose", Purpose.MASK, Purpose.MONTE_CARLO),
}


@pytest.mark.parametrize("axis", _NEIGHBOURS)
@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_neighbours_that_do_not_share_are_independent(axis, rate):
    """Along every axis masks keep 1 - rate on average and neighbours do not correlate."""
    one, two = (BERNOULLI.multiplier(words.flatten(), rate) for words in _NEIGHBOURS[axis]())
    count = one.numel()
    assert count >= 40_000
    for mask in (one, two):
        error = (BERNOULLI.variance(rate) / count) ** 0.5
        assert abs(mask.mean().item() - BERNOULLI.mean(rate)) < ERRORS * error
    correlation = torch.corrcoef(torch.stack((one, two)))[0, 1].item()
    assert abs(correlation) < ERRORS / count**0.5


@given(st.floats(2**-32, 0.999), st.floats(2**-32, 0.999))
@seeded(100)
def test_masks_are_nested_in_the_rate(one, two):
    """What a higher rate keeps, a lower rate keeps: masks of one address differ only in size."""
    low, high = sorted((one, two))
    words = _draw(time=3, batch=3, units=50)
    kept_low, kept_high = (BERNOULLI.multiplier(words, rate).bool() for rate in (low, high))
    assert not (kept_high & ~kept_low).any()


@pytest.mark.parametrize("rate", [2**-32, 0.25, 0.5, 0.9, 1 - 2**-32])
def test_a_mask_is_the_words_threshold(rate):
    """`kept` makes at once what thresholding the words makes: word >= round(rate * 2**32)."""
    at = Coordinates.of([Address(seed=3, edge=Edge.CELL)], [EACH], time=5, batch=3, units=50)
    limit, scale = torch.tensor([threshold(rate)]), torch.tensor([3.0], dtype=torch.float64)
    words = at.words(torch.tensor([7]))
    drawn = at.kept(torch.tensor([7]), limit, scale)
    assert torch.equal(drawn, 3.0 * BERNOULLI.multiplier(words, rate))
    assert torch.equal(drawn > 0, words >= round(rate * 2**32))
    assert drawn.dtype == torch.float64


_COORDINATES = st.tuples(
    *(
        st.one_of(st.sampled_from((0, 1, limit - 1)), st.integers(0, limit - 1))
        for limit in (
            LIMITS["update"],
            LIMITS["time"],
            LIMITS["gate"],
            LIMITS["batch"],
            LIMITS["word"],
            LIMITS["unit"] // 4,
        )
    )
)


def _block(update, time, gate, row, word, group):
    """The four words of one call of the generator."""
    tokens = torch.tensor([[word]])
    units = 4 * group + 4
    words = _draw(update=update, start=time, batch_offset=row, units=units, tokens=tokens)
    return tuple(words[0, 0, gate, -4:].tolist())


@given(_COORDINATES, _COORDINATES)
@seeded(150)
def test_distinct_counters_never_collide(one, two):
    """Coordinates are packed injectively up to their limits.

    The generator is a bijection of its counter, so that two blocks of four words of one key are
    equal exactly where their coordinates are.
    """
    assert (_block(*one) == _block(*two)) == (one == two)


@given(_COORDINATES, st.integers(0, 5), st.data())
@seeded(150)
def test_a_counter_that_differs_in_one_coordinate_does_not_collide(one, place, data):
    """As above where it is hardest: all coordinates but one are equal."""
    two = list(one)
    two[place] = data.draw(_COORDINATES)[place]
    assert (_block(*one) == _block(*two)) == (list(one) == two)


_KEYS = st.tuples(
    st.integers(0, LIMITS["seed"] - 1),
    st.sampled_from(list(Purpose)),
    st.integers(0, LIMITS["stack"] - 1),
    st.integers(0, LIMITS["direction"] - 1),
    st.integers(0, LIMITS["layer"] - 1),
    st.sampled_from(list(Edge)),
)


def _key(seed, purpose, stack, direction, layer, edge):
    where = {"stack": stack, "direction": direction, "layer": layer}
    return Address(seed=seed, purpose=purpose, edge=edge, **where).key


@given(_KEYS, _KEYS, st.integers(0, 5))
@seeded(200)
def test_distinct_keys_never_collide(one, two, place):
    """Seed, purpose, stack, direction, layer and edge are packed into two words apart."""
    near = (*one[:place], two[place], *one[place + 1 :])
    for other in (two, near):
        assert (_key(*one) == _key(*other)) == (one == other)
    assert all(0 <= word < 2**32 for word in _key(*one))


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda: Address(seed=2**32), id="seed"),
        pytest.param(lambda: Address(seed=-1), id="-seed"),
        pytest.param(
            lambda: Address(seed=0, update=2**32),
            id="update",
        ),
        pytest.param(lambda: Address(seed=0, stack=256), id="stack"),
        pytest.param(lambda: Address(seed=0, layer=2048), id="layer"),
        pytest.param(
            lambda: Address(seed=0, direction=2),
            id="direction",
        ),
        pytest.param(
            lambda: Address(seed=0, start=2**30),
            id="start",
        ),
        pytest.param(lambda: Address(seed=0, start=-1), id="-start"),
        pytest.param(
            lambda: _draw(start=2**30 - 3, time=5),
            id="end",
        ),
        pytest.param(
            lambda: _draw(batch_offset=2**32 - 1, batch=2),
            id="batch",
        ),
        pytest.param(lambda: _draw(units=2**14 + 1), id="unit"),
    ],
)
def test_a_coordinate_that_does_not_fit_is_refused(draw, refused):
    """The message names the coordinate, its limit and what was given."""
    with refused():
        draw()


def test_a_vocabulary_that_does_not_fit_is_refused(refused):
    """No token is looked at: the size of the vocabulary says it, where each word decides."""
    by_word, by_place = Sharing(time=ALL, word=1), Sharing(time=1, word=ALL)
    check_types(by_word, LIMITS["word"])
    check_types(by_place, LIMITS["word"] + 1)
    with refused():
        check_types(by_word, LIMITS["word"] + 1)


_BURSTS = [
    pytest.param(EACH, id="each"),
    pytest.param(replace(EACH, time=3, gate=ALL), id="bursts"),
    pytest.param(replace(EACH, time=ALL), id="window"),
    pytest.param(replace(EACH, batch=2, unit=5), id="pairs-of-rows"),
]


@pytest.mark.parametrize("sharing", _BURSTS)
@pytest.mark.parametrize("start", [0, 4])
def test_one_step_calls_draw_the_masks_of_one_long_call(sharing, start):
    """With `start` a loop over steps draws bit for bit what one call draws."""
    shape = {"batch": 3, "units": 13, "sharing": sharing}
    whole = _draw(time=7, start=start, **shape).expand(7, -1, -1, -1)
    steps = [_draw(time=1, start=start + t, **shape) for t in range(7)]
    assert torch.equal(torch.cat(steps), whole)


@pytest.mark.parametrize("sharing", _BURSTS)
def test_parts_of_a_batch_draw_the_masks_of_the_whole(sharing):
    """With `batch_offset` rows may be split anywhere, within a shared pair too."""
    shape = {"time": 4, "units": 13, "sharing": sharing}
    whole = _draw(batch=7, **shape)
    parts = [_draw(batch=3, **shape), _draw(batch=4, batch_offset=3, **shape)]
    assert torch.equal(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("units", [1, 3, 4, 5, 13])
def test_fewer_units_draw_the_first_of_many(units):
    """A unit's word does not depend on how many units there are."""
    assert torch.equal(_draw(time=2, units=units), _draw(time=2, units=64)[..., :units])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_gaussian_noise_has_its_stated_mean_and_variance(rate):
    """1 + sqrt(p / (1 - p)) z has mean 1 and variance p / (1 - p), within five standard errors."""
    drawn = GAUSSIAN.multiplier(_draw(time=50, batch=20, units=100).flatten(), rate)
    count, variance = drawn.numel(), rate / (1.0 - rate)
    assert (GAUSSIAN.mean(rate), GAUSSIAN.variance(rate)) == (1.0, variance)
    assert abs(drawn.mean().item() - 1.0) < ERRORS * (variance / count) ** 0.5
    # The variance of a normal sample's variance is 2 variance**2 / count.
    assert abs(drawn.var().item() - variance) < ERRORS * variance * (2.0 / count) ** 0.5


@pytest.mark.parametrize("word", [0, 511, 512, 2**31, 0x462300DB, 2**32 - 1])
def test_gaussian_noise_is_the_inverse_normal_cdf(word):
    """z is the inverse CDF of (2 (word >> 9) + 1) / 2**24, finite for every word."""
    z = NormalDist().inv_cdf((2 * (word >> 9) + 1) / 2**24)
    found = GAUSSIAN.multiplier(torch.tensor([word]), 0.2).item()
    assert found == pytest.approx(1.0 + 0.5 * z, rel=1e-7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_draws_the_masks_of_the_cpu():
    """Words are equal bit for bit on both devices, and Gaussian noise to two ulp of float32."""
    shape = {"time": 7, "batch": 5, "units": 130, "update": 3}
    cpu, gpu = _draw(**shape), _draw(**shape, device="cuda").cpu()
    assert torch.equal(cpu, gpu)
    address = Address(seed=1, edge=Edge.WEIGHT)
    weight = {"sources": 33, "units": 65}
    on_gpu = weight_words(address, EACH_WEIGHT, **weight, device="cuda").cpu()
    assert torch.equal(weight_words(address, EACH_WEIGHT, **weight), on_gpu)
    ours = GAUSSIAN.multiplier(cpu, 0.5).float()
    theirs = GAUSSIAN.multiplier(cpu.cuda(), 0.5).float().cpu()
    assert torch.allclose(ours, theirs, rtol=2 * torch.finfo(torch.float32).eps, atol=0.0)
