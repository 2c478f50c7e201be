"""A noise that breaks its contract fails it, and the failure says what is wrong in words."""

import itertools
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from training import cohorts

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.engine.plan import Mode
from ablate.model.net import Net
from ablate.noise import GAUSSIAN, Noise, takes_tensors
from ablate.placement import Placement
from ablate.strategies import Rate
from ablate.testing import NoiseContract
from ablate.testing.close import assert_same
from ablate.testing.noise import RATES

_calls = itertools.count()


@dataclass(frozen=True, slots=True)
class Halves(Noise):
    """One half or one and a half: mean 1 and variance 1/4, whatever the rate; slips by `slip`."""

    name: str = "HALVES"
    slip: Literal["variance", "pure", "place", "dtype", "written", "infinite", "none"] = "none"

    def mean(self, rate):
        return 1.0

    def variance(self, rate):
        return 0.3 if self.slip == "variance" else 0.25

    def multiplier(self, word, rate):
        if self.slip == "pure":
            word = word + next(_calls)
        if self.slip == "place":
            word = torch.arange(word.numel()).view(word.shape)
        if self.slip == "written":
            word += 1
        drawn = 0.5 + (word % 2).double()
        if self.slip == "infinite":
            drawn = drawn / word
        return drawn.float() if self.slip == "dtype" else drawn


@pytest.mark.parametrize(
    ("slip", "test", "given"),
    [
        pytest.param(
            "variance",
            "test_its_mean_and_variance_are_as_stated",
            (0.25,),
            id="variance",
        ),
        pytest.param(
            "pure",
            "test_a_multiplier_depends_on_its_word_alone",
            (),
            id="impure",
        ),
        pytest.param(
            "place",
            "test_a_multiplier_depends_on_its_word_alone",
            (),
            id="by-place",
        ),
        pytest.param(
            "written",
            "test_a_multiplier_depends_on_its_word_alone",
            (),
            id="in-place",
        ),
        pytest.param(
            "infinite",
            "test_it_is_finite_at_the_first_and_the_last_word",
            (0.25,),
            id="infinite",
        ),
        pytest.param(
            "none",
            "test_a_rate_near_zero_gives_one",
            (),
            id="not-smooth-at-zero",
        ),
    ],
)
def test_a_broken_noise_fails_in_words(slip, test, given, wording):
    """The message names the noise, what it states and what it does."""
    broken = type("TestBroken", (NoiseContract,), {"noise": Halves(slip=slip)})()
    with pytest.raises(AssertionError) as failure:
        getattr(broken, test)(*given)
    wording(str(failure.value).partition("\n")[0])


def test_a_multiplier_of_another_dtype_is_shown():
    """Both dtypes stand in the rewritten assert."""
    broken = type("TestBroken", (NoiseContract,), {"noise": Halves(slip="dtype")})()
    with pytest.raises(AssertionError, match="float32"):
        broken.test_a_multiplier_has_its_words_shape((3, 5))


@pytest.mark.parametrize(
    ("slip", "test"),
    [
        pytest.param(
            "variance",
            "test_masks_keep_their_stated_mean_and_variance",
            id="variance",
        ),
        pytest.param("place", "test_masks_differ_where_none_is_shared", id="by-place"),
    ],
)
def test_a_strategys_masks_are_held_to_its_noise(contract, slip, test, wording):
    """Masks are drawn by the engine, and a noise that slips is seen there too."""

    def noisy(rate: Rate = 0.25) -> Placement:
        """Multiply the input by halves."""
        return Placement({Edge.INPUT: Drop(rate, noise=Halves(slip=slip))})

    with pytest.raises(AssertionError, match=r"masks of INPUT\(0.25;.*HALVES#") as failure:
        getattr(contract(noisy), test)()
    wording(str(failure.value).partition("\n")[0])


@dataclass(frozen=True, slots=True)
class TwoPoints(Noise):
    """1 - s or 1 + s, each for one half of the words: its square never varies but by rounding."""

    name: str = "TWO_POINTS"

    def mean(self, rate):
        return 1.0

    def variance(self, rate):
        return rate / (1.0 - rate)

    def multiplier(self, word, rate):
        return 1.0 + self.variance(rate) ** 0.5 * (2.0 * (word >> 31) - 1.0).double()


@pytest.mark.parametrize("rate", RATES)
def test_rounding_is_no_mistake(rate):
    """Where chance explains nothing, float64 still rounds."""
    sound = type("TestSound", (NoiseContract,), {"noise": TwoPoints()})()
    sound.test_its_mean_and_variance_are_as_stated(rate)


def test_rounding_is_no_mistake_in_a_mask(contract):
    """The masks of a strategy have the same two points."""

    def two_points(rate: Rate = 0.05) -> Placement:
        """Multiply the input by one of two points."""
        return Placement({Edge.INPUT: Drop(rate, noise=TwoPoints())})

    sound = contract(two_points)
    sound.test_masks_keep_their_stated_mean_and_variance()
    sound.test_masks_differ_where_none_is_shared()


@dataclass(frozen=True, slots=True)
class OfOneRate(TwoPoints):
    """As above, but at a number alone: of a tensor it branches, forgets the rows or is cut."""

    name: str = "OF_ONE_RATE"
    of_tensor: Literal["branches", "mean", "cut"] = "branches"

    def multiplier(self, word, rate):
        if self.of_tensor == "branches" and rate <= 0.0:
            return torch.ones(word.shape, dtype=torch.float64)
        if self.of_tensor == "mean":
            rate = torch.as_tensor(rate).mean()
        if self.of_tensor == "cut" and isinstance(rate, torch.Tensor):
            rate = torch.where((rate > 0.85) & (rate < 0.93), 0.85, rate)
        size = (rate / (1.0 - rate)) ** 0.5
        return 1.0 + size * (2.0 * (word >> 31) - 1.0).double()


#: What the engine asks trial by trial, as a tensor of rates is no rate to it.
ONE_BY_ONE = [OfOneRate(of_tensor="branches"), OfOneRate(of_tensor="mean")]


def _sound(noise):
    return type("TestSound", (NoiseContract,), {"noise": noise})()


@pytest.mark.parametrize("noise", ONE_BY_ONE, ids=lambda noise: noise.of_tensor)
def test_a_noise_of_one_rate_is_whole_and_told_what_it_costs(noise):
    """It runs on every path; that its updates are not captured is said in one sentence."""
    assert takes_tensors(GAUSSIAN)
    assert not takes_tensors(noise)
    sound = _sound(noise)
    for mode in Mode:
        sound.test_every_path_runs_it(mode)
    with pytest.raises(pytest.skip.Exception) as skipped:
        sound.test_a_tensor_of_rates_is_each_of_them((3, 2, 5))
    assert str(skipped.value) == (
        "the noise OF_ONE_RATE takes no tensor of rates: on a GPU updates of its cohorts are not "
        "captured in a CUDA graph, and are slower"
    )


@pytest.mark.parametrize("noise", ONE_BY_ONE, ids=lambda noise: noise.of_tensor)
def test_a_noise_of_one_rate_is_drawn_trial_by_trial(noise):
    """A trial at one rate beside one at another has the bits of each alone."""
    drops = [Placement({Edge.HIDDEN | Edge.OUTPUT: Drop(rate, noise=noise)}) for rate in (0.2, 0.7)]
    plans = cohorts.plans_of(Net(layers=1, hidden=16), [*drops, Placement()])
    given = {"updates": [1, 2, 3], "learning_rates": [0.5] * 3, "clips": [5.0] * 3}
    windows = cohorts.windows_of(11, 5, 4, 2)
    for together, alone in cohorts.together_and_alone(
        plans, cohorts.initial(plans, 11), windows, **given
    ):
        assert_same(together, alone)


def test_a_noise_that_slips_at_a_tensor_fails_in_words():
    """Right at the rates that the engine asks it for, and wrong between two of them."""
    noise = OfOneRate(of_tensor="cut")
    assert takes_tensors(noise)
    broken = _sound(noise)
    broken.test_its_mean_and_variance_are_as_stated(0.8)
    with pytest.raises(AssertionError) as failure:
        broken.test_a_tensor_of_rates_is_each_of_them((3, 2, 5))
    assert (
        "the noise OF_ONE_RATE makes other multipliers of a tensor of rates than of each "
        in str(failure.value)
    )
