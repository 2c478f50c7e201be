"""Medians, fits, ratios and rooflines, checked by hand."""

import itertools

import pytest
from bench import timing
from bench.ratios import with_ratios
from bench.roofline import Ceilings, Work, operations, roofline, traffic, work
from bench.shapes import SHAPES, Shape
from bench.timing import exponent, interleave, line, summarise

# T = 3, B = 1, D = H = 2, V = 5.
TINY = Shape("tiny", layers=1, hidden=2, unroll=3, batch=1, vocabulary=5)


def test_a_median_has_the_width_of_the_middle_half():
    """Of 1 to 5: 3, and from 2 to 4."""
    calls = (5.0, 1.0, 4.0, 2.0, 3.0)
    assert summarise(calls, 9.0) == timing.Timing(3.0, 2 / 3, 5, 9.0, calls)
    assert summarise([7.0], 7.0) == timing.Timing(7.0, 0.0, 1, 7.0, (7.0,))


def test_a_part_of_a_call_has_its_share():
    """One of two windows takes half as long, and varies as much."""
    whole = timing.Timing(8.0, 0.1, 2, 20.0, (7.0, 9.0))
    assert whole.over(2) == timing.Timing(4.0, 0.1, 2, 10.0, (3.5, 4.5))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param([3.0, 6.0, 12.0], 1.0, id="linear"),
        pytest.param([5.0, 5.0, 5.0], 0.0, id="constant"),
        pytest.param([1.0, 4.0, 16.0], 2.0, id="quadratic"),
    ],
)
def test_the_exponent_of_a_power_is_found(times, expected):
    """Least squares between logarithms is exact where there is no noise."""
    assert exponent([100, 200, 400], times) == pytest.approx(expected)


def test_the_line_through_times():
    """Exact where there is one; else each time counts alike, however long."""
    fixed, slope, deviation = line([100, 200, 400], [15.0, 20.0, 30.0])
    assert (fixed, slope) == pytest.approx((10.0, 0.05))
    assert deviation == pytest.approx(0.0, abs=1e-12)
    assert 0.0 < line([1, 2, 4], [1.0, 2.2, 4.0]).deviation < 0.1


def test_cases_take_turns(monkeypatch):
    """Each round calls every case once; warm-up is not counted, and calls are known by round."""
    now, called = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def step(name, seconds):
        def call(number):
            called.append((number, name))
            now[0] += seconds * (100 if number == 0 else number)

        return call

    taken = interleave({"a": step("a", 0.001), "b": step("b", 0.002)}, repeat=2, warm=1)
    assert [number for number, _ in called] == [0, 0, 1, 1, 2, 2]
    assert sorted(called) == [(number, name) for number in range(3) for name in "ab"]
    assert taken["a"].calls == pytest.approx((1.0, 2.0))
    assert taken["a"].ms == pytest.approx(1.5)
    assert taken["b"].ms == pytest.approx(3.0)
    assert taken["b"].first_ms == pytest.approx(200.0)
    assert taken["a"].repeat == 2


def test_no_case_follows_the_same_other_in_every_round(monkeypatch):
    """Of ten rounds of five cases, none has one neighbour before it for all of them."""
    monkeypatch.setattr(timing.gc, "collect", lambda: 0)
    called = []
    interleave({name: lambda _, name=name: called.append(name) for name in "abcde"}, repeat=10)
    before = {name: set() for name in "abcde"}
    for one, other in itertools.pairwise(called):
        before[other].add(one)
    assert all(len(others) > 2 for others in before.values())


def test_the_operations_of_an_update_are_those_by_hand():
    """A gate product is 2 * 3 * 2 * 8 = 96, the scores' 2 * 3 * 2 * 5 = 60.

    Input: thrice 96. State: forward and backward 96 each in steps, its weight's gradient 96 at
    once. Scores: thrice 60.
    """
    assert operations(TINY) == (3 * 96 + 96 + 3 * 60, 2 * 96)


def test_the_operations_of_medium_are_the_known_ones():
    """55.7 GFLOP, 9.5 of them one step after the other."""
    large, step = operations(SHAPES["medium"])
    assert (large + step) / 1e9 == pytest.approx(55.7, abs=0.05)
    assert step / 1e9 == pytest.approx(9.46, abs=0.01)


def test_the_bytes_of_an_update_are_those_by_hand():
    """Matrices 16 + 16 + 10, biases 8 + 8 + 5, and 3 of 5 rows of the table, 2 wide."""
    assert traffic(TINY, "fp32") == {
        "weights": 2 * 4 * 42,
        "gradients and SGD": 5 * 4 * (42 + 21 + 6),
        "scores": 5 * 4 * 15,
        "activations": 8 * 4 * 24 + 6 * 4 * 12,
    }
    assert traffic(TINY, "bf16")["weights"] == 2 * 2 * 42 + 6 * 42
    assert traffic(TINY, "bf16")["gradients and SGD"] == (3 * 2 + 8) * 69
    assert traffic(TINY, "bf16")["scores"] == 5 * 2 * 15


def test_four_times_the_steps_are_four_times_the_operations():
    """Longer windows are the same net."""
    assert operations(TINY.longer(4)) == tuple(4 * each for each in operations(TINY))
    assert TINY.longer(4).tokens == 12


def test_a_roofline_adds_what_comes_one_after_the_other():
    """200 operations at 1e5 a second are 2 ms."""
    bound = roofline(Work(200, 100, {"a": 30, "b": 20}), Ceilings(1e5, 2e4, 1e4))
    assert (bound.large_ms, bound.step_ms, bound.memory_ms) == pytest.approx((2.0, 5.0, 5.0))
    assert (bound.products_ms, bound.in_turn_ms) == pytest.approx((7.0, 12.0))
    assert work(TINY, "fp32").operations == sum(operations(TINY))


def row(trainer, strategy, precision, train, evaluate, masks=None):
    """A row as `updates` makes it."""
    return {
        "shape": "tiny",
        "precision": precision,
        "trainer": trainer,
        "strategy": strategy,
        "train": {"ms": train},
        "evaluate": {"ms": evaluate},
        "masks": masks and {"ms": masks},
    }


def test_ratios_are_to_the_fastest_none():
    """The faster path in training is the divisor, and the faster one in evaluation is."""
    rows = with_ratios(
        [
            row("ablate", "none", "fp32", 10.0, 5.0),
            row("ablate", "none", "fp32", 12.0, 4.0),
            row("ablate", "gal2016", "fp32", 15.0, 6.0, masks=1.5),
            row("stock", "none", "fp32", 20.0, 8.0),
            row("ablate", "none", "bf16", 5.0, 2.0),
            row("stock", "none", "bf16", 8.0, 3.0),
        ]
    )
    gal = rows[2]
    assert (gal["ratio"], gal["evaluate_ratio"], gal["masks_share"]) == (1.5, 1.5, 0.1)
    assert gal["faster_than_stock"] == pytest.approx(20 / 15)
    assert (rows[3]["ratio"], rows[3]["faster_than_stock"]) == (2.0, 1.0)
    assert rows[4]["faster_than_stock"] == pytest.approx(8 / 5)
    assert rows[4]["faster_than_stock_fp32"] == pytest.approx(20 / 5)


def test_what_was_not_measured_has_no_ratio():
    """Without a stock trainer, in that precision or at all."""
    (only,) = with_ratios([row("ablate", "none", "bf16", 5.0, 2.0)])
    assert only["ratio"] == 1.0
    assert only["faster_than_stock"] is None
    assert only["faster_than_stock_fp32"] is None
    assert only["masks_share"] is None
