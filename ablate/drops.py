"""What happens at one edge: how often, how far a decision reaches, and what fills the hole."""

import enum
import math
import re
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self, TypeVar

from ablate.errors import AblateError, did_you_mean
from ablate.noise import BERNOULLI, Noise, parse_noise

_Word = TypeVar("_Word", bound=enum.Enum)


class All(enum.Enum):
    """The whole of an axis shares one decision."""

    ALL = "ALL"

    def __str__(self) -> str:
        return self.value

    __repr__ = __str__


ALL: Final = All.ALL

Extent = int | All | None


class Fill(enum.Enum):
    """What stands in for what was dropped."""

    ZERO = "ZERO"
    HOLD = "HOLD"


class Scale(enum.Enum):
    """Where the expectation is kept: TRAIN divides what is kept by 1 - p, TEST multiplies by
    1 - p in evaluation, MEAN mixes p old + (1 - p) new in evaluation (HOLD only)."""

    TRAIN = "TRAIN"
    TEST = "TEST"
    MEAN = "MEAN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """For each axis the number of neighbours that share one decision.

    1 is each its own, `ALL` the whole axis, 10 bursts of ten; None leaves the edge's default.
    `word` and `gate` take 1 or ALL. `update=n` keeps one decision for n windows.
    """

    time: Extent = None
    word: Extent = None
    batch: Extent = None
    source: Extent = None
    unit: Extent = None
    gate: Extent = None
    update: Extent = None

    def __post_init__(self) -> None:
        for axis, extent in self.items():
            if extent is None or extent is ALL:
                continue
            if isinstance(extent, bool) or not isinstance(extent, int) or extent < 1:
                raise AblateError(
                    f"sharing over {axis} takes a whole number from 1 or ALL, got {extent!r}"
                )
            if axis in ("word", "gate") and extent != 1:
                raise AblateError(f"sharing over {axis} takes 1 or ALL, got {extent!r}")

    def items(self) -> tuple[tuple[str, Extent], ...]:
        """The axes and their extents, in the order of an address."""
        return tuple((field.name, getattr(self, field.name)) for field in fields(self))

    def given(self) -> tuple[tuple[str, int | All], ...]:
        """Only the axes that are stated."""
        return tuple((axis, extent) for axis, extent in self.items() if extent is not None)

    def divisor(self, axis: str) -> int | None:
        """How many neighbours on `axis` share one decision; None where the whole axis does."""
        extent = getattr(self, axis)
        return None if extent is None or extent is ALL else int(extent)

    def over(self, defaults: "Sharing") -> "Sharing":
        """This sharing, with `defaults` on the axes that it leaves open."""
        return Sharing(**(dict(defaults.items()) | dict(self.given())))


PER_STEP: Final = Sharing(time=1)
VARIATIONAL: Final = Sharing(time=ALL)

Rates = float | tuple[float, ...]

# Rates meet 32-bit words; one that rounds to "never" or "always" would be silently another rate.
SMALLEST_RATE: Final = 2.0**-32

_EXTENT: Final = re.compile(r"ALL|[1-9][0-9]{0,17}")

# What the fields of a drop besides its rate may be, and that in words.
_TYPES: Final[dict[str, tuple[Any, str]]] = {
    "sharing": (Sharing | None, "a Sharing such as PER_STEP or VARIATIONAL, or None"),
    "fill": (Fill, "Fill.ZERO or Fill.HOLD"),
    "noise": (Noise, "a Noise such as ablate.noise.GAUSSIAN"),
    "scale": (Scale | None, "Scale.TRAIN, Scale.TEST, Scale.MEAN or None"),
}


@dataclass(frozen=True, slots=True)
class Drop:
    """Dropout at one edge: `rate` is always the probability of dropping (or holding).

    A tuple gives each layer at which the edge acts its own rate, lowest layer first. None for
    `sharing` or `scale` means the edge's default. Raises AblateError for a rate outside [0, 1).
    """

    rate: Rates
    sharing: Sharing | None = None
    fill: Fill = Fill.ZERO
    noise: Noise = BERNOULLI
    scale: Scale | None = None

    def __post_init__(self) -> None:
        for name, (kinds, allowed) in _TYPES.items():
            if not isinstance(given := getattr(self, name), kinds):
                raise AblateError(f"a drop's {name} is {allowed}, got {given!r}")
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        if not rates:
            raise AblateError("a drop with a rate for each layer needs at least one rate, got ()")
        checked = tuple(_check_rate(rate) for rate in rates)
        # Equal placements have one text, so a tuple of equal rates is that rate.
        object.__setattr__(self, "rate", checked[0] if len(set(checked)) == 1 else checked)

    @property
    def shared(self) -> Sharing:
        """The sharing as stated; complete for a drop that stands in a placement."""
        return self.sharing or Sharing()

    @property
    def silent(self) -> bool:
        """Whether no layer ever drops."""
        return self.rate == 0.0

    def rate_of(self, index: int) -> float:
        """The rate at the edge's `index`-th layer."""
        return self.rate[index] if isinstance(self.rate, tuple) else self.rate

    def scaled(self, factor: float) -> "Drop":
        """This drop at `factor` times its rate; a rate too small for 32 bits becomes 0."""
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        scaled = (rate * factor for rate in rates)
        return replace(self, rate=tuple(r if r >= SMALLEST_RATE else 0.0 for r in scaled))

    @property
    def text(self) -> str:
        """The canonical text: rate, sharing, fill, noise and scale, all stated."""
        rate = "/".join(map(repr, self.rate)) if isinstance(self.rate, tuple) else repr(self.rate)
        sharing = ",".join(f"{axis}={extent}" for axis, extent in self.shared.given())
        scale = self.scale.value if self.scale else "default"
        return f"{rate};{sharing};{self.fill.value};{self.noise.text};{scale}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the drop of this canonical text; AblateError where it is the text of none."""
        parts = text.split(";")
        if len(parts) != 5:
            raise AblateError(
                "a drop's text is RATE;SHARING;FILL;NOISE;SCALE, as in "
                f"'{Drop(0.5, PER_STEP).text}', got '{text}'"
            )
        rate, sharing, fill, noise, scale = parts
        drop = cls(
            tuple(map(_parse_rate, rate.split("/"))),
            _parse_sharing(sharing),
            _parse_word(Fill, fill),
            parse_noise(noise),
            None if scale == "default" else _parse_word(Scale, scale),
        )
        if drop.text != text:
            raise AblateError(f"the canonical text of '{text}' is '{drop.text}'; write that")
        return drop


def _parse_rate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AblateError(f"a rate is a number in [0, 1), got '{text}'") from None


def _parse_sharing(text: str) -> Sharing:
    axes = [axis for axis, _ in Sharing().items()]
    given: dict[str, Extent] = {}
    for part in filter(None, text.split(",")):
        axis, _, extent = part.partition("=")
        if axis not in axes or not _EXTENT.fullmatch(extent):
            raise AblateError(
                f"a sharing's text is AXIS=EXTENT,..., an axis of {', '.join(axes)} and an extent "
                f"of ALL or a whole number, got '{part}'"
            )
        given[axis] = ALL if extent == "ALL" else int(extent)
    return Sharing(**given)


def _parse_word(kind: type[_Word], text: str) -> _Word:
    words = {option.value: option for option in kind}
    if text not in words:
        raise AblateError(
            f"a drop's {kind.__name__.lower()} is one of {', '.join(words)}, got '{text}'"
            f"{did_you_mean(text, words)}"
        )
    return words[text]


def _check_rate(rate: object) -> float:
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        by_layer = "; a tuple gives one rate a layer" if isinstance(rate, list) else ""
        raise AblateError(f"a rate is a number in [0, 1), got {rate!r}{by_layer}")
    value = float(rate) + 0.0  # -0.0 is another text for the same rate
    if not math.isfinite(value) or not 0.0 <= value < 1.0:
        raise AblateError(
            f"a rate is the probability of dropping and lies in [0, 1), got {rate!r}; "
            "to keep nothing, remove the connection from the net instead"
        )
    if value and not SMALLEST_RATE <= value <= 1.0 - SMALLEST_RATE:
        raise AblateError(f"a rate is 0 or lies in [2**-32, 1 - 2**-32], got {rate!r}")
    return value
