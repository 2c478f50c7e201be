"""Multiplicative noises: functions from 32-bit random words to multipliers.

A noise is a pure function of (word, rate), so it has the properties of the masks: no hidden state,
the same values on every device, reproducible from coordinates alone.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from ablate.errors import AblateError, in_words
from ablate.registry import Registry
from ablate.sources import WRITTEN, from_elsewhere, text_of

if TYPE_CHECKING:
    from torch import Tensor

_SRIVASTAVA = """@article{srivastava2014dropout,
  title   = {Dropout: A Simple Way to Prevent Neural Networks from Overfitting},
  author  = {Srivastava, Nitish and Hinton, Geoffrey and Krizhevsky, Alex and Sutskever, Ilya
             and Salakhutdinov, Ruslan},
  journal = {Journal of Machine Learning Research},
  volume  = {15},
  number  = {56},
  pages   = {1929--1958},
  year    = {2014}
}"""


@dataclass(frozen=True, slots=True)
class Noise:
    """The base of all noises: a name, which enters a placement's canonical text.

    A plugin's noise is a frozen subclass dataclass with the three methods and a name in capital
    letters; its text also holds the digest of its source. `paper` and `bibtex` name its source.
    """

    name: str

    paper: ClassVar[str | None] = None
    bibtex: ClassVar[str | None] = None

    def mean(self, rate: float) -> float:
        """The stated mean of the multiplier; deterministic evaluation multiplies by it."""
        raise NotImplementedError

    def variance(self, rate: float) -> float:
        """The stated variance of the multiplier."""
        raise NotImplementedError

    def multiplier(self, word: Tensor, rate: float | Tensor) -> Tensor:
        """Map int64 words in [0, 2**32) to float64 multipliers of the same shape.

        The engine passes the rates of its trials as a float64 tensor that broadcasts against the
        words. A noise that takes only numbers is called once for each trial, and its updates are
        not captured in a CUDA graph.
        """
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The canonical text, which enters a result's key."""
        return text_of(self)


@dataclass(frozen=True, slots=True)
class Bernoulli(Noise):
    """Keep with probability 1 - rate (1.0) or drop (0.0); the drop's `scale` scales it.

    A word is compared with one threshold, so the units kept at a rate are also kept at lower rates.
    """

    name: str = "BERNOULLI"

    bibtex: ClassVar[str | None] = _SRIVASTAVA

    def mean(self, rate: float) -> float:
        return 1.0 - rate

    def variance(self, rate: float) -> float:
        return rate * (1.0 - rate)

    def multiplier(self, word: Tensor, rate: float | Tensor) -> Tensor:
        return (word >= threshold(rate)).double()


@dataclass(frozen=True, slots=True)
class Gaussian(Noise):
    """1 + sqrt(p / (1 - p)) z with z standard normal (Srivastava 2014, section 10: mean 1).

    z is the inverse normal CDF of (2 (word >> 9) + 1) / 2**24, which is never 0 or 1. It is
    computed in float64, where all devices agree to 2 ulp of float32.
    """

    name: str = "GAUSSIAN"

    bibtex: ClassVar[str | None] = _SRIVASTAVA

    def mean(self, rate: float) -> float:
        return 1.0

    def variance(self, rate: float) -> float:
        return rate / (1.0 - rate)

    def multiplier(self, word: Tensor, rate: float | Tensor) -> Tensor:
        import torch

        # 23 bits and a half: symmetric about 1/2 and never 0 or 1, where ndtri is infinite.
        uniform = (2 * (word >> 9) + 1).double() / 2.0**24
        return 1.0 + (rate / (1.0 - rate)) ** 0.5 * torch.special.ndtri(uniform)


@dataclass(frozen=True, slots=True)
class Unknown(Noise):
    """A plugin's noise read from a text; its name is that whole text.

    It can be compared and shown. Each of the three methods raises AblateError.
    """

    def mean(self, rate: float) -> float:
        self._refuse()

    def variance(self, rate: float) -> float:
        self._refuse()

    def multiplier(self, word: Tensor, rate: float | Tensor) -> Tensor:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise AblateError(
            f"noise {self.name} was read from a text, which does not say how it is sampled; build "
            "the placement from the strategy that has it"
        )


def check(noise: Noise, rate: float) -> None:
    """Raise AblateError if `noise` cannot multiply a tensor at this rate.

    A plugin's noise is checked before training starts: its multipliers must be finite and have the
    shape of the words; its stated mean and variance must be finite.
    """
    import torch

    where = f"noise {noise.name} at rate {rate:g}"
    words = torch.linspace(0, 2**32 - 1, 4096, dtype=torch.float64).long().view(64, 64)
    try:
        made, mean, variance = noise.multiplier(words, rate), noise.mean(rate), noise.variance(rate)
    except AblateError:
        raise
    except Exception as error:  # a plugin may raise anything
        raise AblateError(f"{where} raises {in_words(error)}") from error
    if not isinstance(made, torch.Tensor) or made.shape != words.shape:
        got = tuple(made.shape) if isinstance(made, torch.Tensor) else repr(made)
        raise AblateError(
            f"{where} must give one multiplier a word, (64, 64) of them, got {got}", given=got
        )
    if not made.is_floating_point() or not bool(made.isfinite().all()):
        odd = made if not made.is_floating_point() else made[~made.isfinite()]
        raise AblateError(
            f"{where} must give finite real multipliers, got {odd.flatten()[0]}",
            given=odd.flatten()[0],
        )
    for name, value in (("mean", mean), ("variance", variance)):
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise AblateError(f"{where} must state a finite {name}, got {value!r}", given=value)


@functools.cache
def takes_tensors(noise: Noise) -> bool:
    """Whether `noise` gives the same multipliers for a tensor of rates as for each rate alone."""
    import torch

    rates = (1e-6, 0.05, 0.25, 0.5, 0.8, 0.95)
    words = torch.linspace(0, 2**32 - 1, 33 * len(rates), dtype=torch.float64).long().view(-1, 33)
    given = torch.tensor(rates, dtype=torch.float64).unsqueeze(1)
    try:
        made = noise.multiplier(words, given)
        each = [noise.multiplier(own, rate) for own, rate in zip(words, rates, strict=True)]
        return made.shape == words.shape and torch.allclose(
            made, torch.stack(each), rtol=1e-12, atol=1e-12
        )
    except Exception:  # a plugin may raise anything
        return False


def threshold(rate: float | Tensor) -> Any:
    """The smallest word kept at `rate`: round(rate * 2**32), int64 for a tensor."""
    scaled = rate * 2**32
    return round(scaled) if isinstance(scaled, float | int) else scaled.round().long()


NOISES: Final[Registry[Noise]] = Registry("noise", elsewhere=WRITTEN)
BERNOULLI: Final = NOISES.add("BERNOULLI", Bernoulli())
GAUSSIAN: Final = NOISES.add("GAUSSIAN", Gaussian())


def parse_noise(text: str) -> Noise:
    """Return the noise with this canonical text; a plugin's becomes an `Unknown`.

    Raises UnknownName for any other text.
    """
    return Unknown(text) if from_elsewhere(text) else NOISES.find(text)
