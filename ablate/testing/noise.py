"""The contract of a multiplicative noise: a pure function of (word, rate) with stated moments."""

import copy
import math

import pytest
import torch
from torch import Tensor

from ablate.addresses import Address
from ablate.drops import SMALLEST_RATE, Drop, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode
from ablate.masks import activation_words
from ablate.noise import Noise, takes_tensors
from ablate.placement import Placement
from ablate.testing.case import MODES, make_case, window_of
from ablate.testing.contract import Contract
from ablate.testing.paths import assert_paths_equal
from ablate.testing.sampling import allowed

RATES = (0.05, 0.25, 0.5, 0.8)


def real_words() -> Tensor:
    """2^16 words of the generator that training draws from."""
    each = Sharing(time=1, batch=1, unit=1, gate=1, update=1)
    drawn = activation_words(Address(seed=1409, edge=Edge.INPUT), each, time=16, batch=16, units=64)
    return drawn.flatten()


class NoiseContract(Contract):
    """What holds for every noise; a subclass says which.

    class TestMine(NoiseContract):
        noise = MINE
    """

    noise: Noise

    def test_it_is_a_value(self) -> None:
        """A copy is equal and has the same hash, so that equal placements have one text."""
        twin = copy.deepcopy(self.noise)
        assert twin == self.noise, (
            f"a copy of the noise {self.noise.name} differs from it: make it a frozen dataclass"
        )
        assert hash(twin) == hash(self.noise)
        assert twin.text == self.noise.text

    @pytest.mark.parametrize("rate", RATES)
    def test_its_mean_and_variance_are_as_stated(self, rate: float) -> None:
        """Over 2^16 words of the real generator both lie within standard errors."""
        drawn = self.noise.multiplier(real_words(), rate)
        mean, variance = self.noise.mean(rate), self.noise.variance(rate)
        squares = (drawn - mean) ** 2
        for what, found, told in (("mean", drawn, mean), ("variance", squares, variance)):
            value, largest = found.mean().item(), (found - told).abs().max().item()
            most = allowed(told, found.var().item(), largest, len(drawn))
            assert abs(value - told) <= most, (
                f"the noise {self.noise.name} at rate {rate} states the {what} {told:.6g}; "
                f"{len(drawn)} words have {value:.6g}, off by {abs(value - told):.1e}, and chance "
                f"explains {most:.1e}"
            )

    @pytest.mark.parametrize("shape", [(3, 5, 1, 7), (1,), (0,), ()], ids=str)
    def test_a_multiplier_has_its_words_shape(self, shape: tuple[int, ...]) -> None:
        """Words of any shape become float64 multipliers of that shape."""
        words = real_words()[: math.prod(shape)].view(shape)
        drawn = self.noise.multiplier(words, 0.3)
        assert (drawn.shape, drawn.dtype) == (words.shape, torch.float64)

    def test_a_multiplier_depends_on_its_word_alone(self) -> None:
        """Not on calls before, nor on neighbours; and the words are left as they were."""
        words = real_words()[:1000]
        kept = words.clone()
        drawn = self.noise.multiplier(words, 0.3)
        assert torch.equal(words, kept), f"the noise {self.noise.name} writes to the words it reads"
        others = {
            "called again": self.noise.multiplier(words, 0.3),
            "given the words in reverse": self.noise.multiplier(words.flip(0), 0.3).flip(0),
            "given every third word": self.noise.multiplier(words[::3], 0.3),
        }
        for how, found in others.items():
            expected = drawn[::3] if len(found) < len(drawn) else drawn
            torch.testing.assert_close(
                found,
                expected,
                rtol=1e-12,
                atol=1e-12,
                msg=lambda found, how=how: (
                    f"the noise {self.noise.name} is no pure function of (word, rate): it differs "
                    f"when {how}. {found}"
                ),
            )

    @pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5)], ids=["one-word", "window"])
    def test_a_tensor_of_rates_is_each_of_them(self, shape: tuple[int, ...]) -> None:
        """Float64 rates that broadcast against the words give what each of them gives alone."""
        if not takes_tensors(self.noise):
            pytest.skip(
                f"the noise {self.noise.name} takes no tensor of rates: on a GPU updates of its "
                "cohorts are not captured in a CUDA graph, and are slower"
            )
        rates = (SMALLEST_RATE, *RATES, 0.9)
        words = real_words()[: len(rates) * math.prod(shape)].view(len(rates), *shape)
        given = torch.tensor(rates, dtype=torch.float64).view(-1, *(1 for _ in shape))
        drawn = self.noise.multiplier(words, given)
        each = zip(words, rates, strict=True)
        expected = torch.stack([self.noise.multiplier(*own) for own in each])
        torch.testing.assert_close(
            drawn,
            expected,
            rtol=1e-12,
            atol=1e-12,
            msg=lambda found: (
                f"the noise {self.noise.name} makes other multipliers of a tensor of rates than of "
                f"each rate alone: compute with the rate elementwise, or raise for one. {found}"
            ),
        )

    @pytest.mark.parametrize("rate", [SMALLEST_RATE, *RATES, 0.9])
    def test_it_is_finite_at_the_first_and_the_last_word(self, rate: float) -> None:
        """No word, 0 and 2^32 - 1 included, becomes an infinity or a NaN."""
        words = torch.tensor([0, 1, 2**31, 2**32 - 2, 2**32 - 1])
        drawn = self.noise.multiplier(words, rate)
        assert drawn.isfinite().all(), (
            f"the noise {self.noise.name} at rate {rate} makes {drawn.tolist()} of the words "
            f"{words.tolist()}"
        )
        assert math.isfinite(self.noise.mean(rate))
        assert 0.0 <= self.noise.variance(rate) < math.inf

    def test_a_rate_near_zero_gives_one(self) -> None:
        """As the rate goes to 0 the noise goes to no noise, which is what rate 0 runs."""
        drawn = self.noise.multiplier(real_words(), SMALLEST_RATE)
        away = (drawn - 1.0).abs().mean().item()
        assert away < 1e-3, (
            f"the noise {self.noise.name} at the rate 2^-32 is {away:.3f} away from 1 on average; "
            "rate 0 is no noise, so it must get there smoothly"
        )
        assert abs(self.noise.mean(SMALLEST_RATE) - 1.0) < 1e-3
        assert self.noise.variance(SMALLEST_RATE) < 1e-3

    @pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
    def test_every_path_runs_it(self, mode: Mode) -> None:
        """Outside the loop, inside it and on the weights, the paths equal the specification."""
        case = make_case()
        drop = Drop(0.3, noise=self.noise)
        for edge in (Edge.INPUT, Edge.WEIGHT, Edge.RECURRENT, Edge.UPDATE):
            placement = Placement({edge: drop})
            assert self.noise.text in placement.text
            assert_paths_equal(case, placement, window_of(case, mode=mode))
