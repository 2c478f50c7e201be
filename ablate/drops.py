"""Dropout at one edge: how often, how far one decision reaches, and what fills the gap."""

import enum
import math
import re
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self, TypeVar

from ablate.errors import AblateError, UnknownName, WrongValue
from ablate.noise import BERNOULLI, Noise, parse_noise

_Word = TypeVar("_Word", bound=enum.Enum)


class All(enum.Enum):
    """The whole axis shares one decision."""

    ALL = "ALL"

    def __str__(self) -> str:
        return self.value

    __repr__ = __str__


ALL: Final = All.ALL

Extent = int | All | None


class Fill(enum.Enum):
    """What replaces a dropped value."""

    ZERO = "ZERO"
    HOLD = "HOLD"


class Scale(enum.Enum):
    """Where the expectation is kept: TRAIN divides kept values by 1 - p, TEST multiplies by
    1 - p in evaluation, MEAN mixes p old + (1 - p) new in evaluation (HOLD only)."""

    TRAIN = "TRAIN"
    TEST = "TEST"
    MEAN = "MEAN"


class Layers(enum.Enum):
    """How the rate p of a drop is spread over an edge's layers, in a net of any depth.

    At n layers, lowest first: ALL p, ..., p; TOP 0, ..., 0, p; BOTTOM p, 0, ..., 0; GROWING
    p/n, 2p/n, ..., p. With one layer every rule gives p.
    """

    ALL = "ALL"
    TOP = "TOP"
    BOTTOM = "BOTTOM"
    GROWING = "GROWING"


TOP: Final = Layers.TOP
BOTTOM: Final = Layers.BOTTOM
GROWING: Final = Layers.GROWING

# No axis of a mask's address is longer.
_TOO_FAR: Final = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The number of neighbours that share one decision, for each axis.

    1 samples each position independently, `ALL` shares over the whole axis, 10 gives bursts of ten,
    None means the edge's default. `word`, `gate` and `direction` take 1 or ALL. `update=n` keeps
    one decision for n windows.

    `direction=ALL` makes both directions of a bidirectional net share decisions. At INPUT and
    INTERLAYER both read the same dropped value, so a mask belongs to a position in the text. Inside
    the loop they share by the number of steps read, counted from each direction's start. At OUTPUT
    both halves of the output take one mask. The default is independent masks: `direction=1` is
    stored as None. A net of one direction ignores the axis.
    """

    time: Extent = None
    word: Extent = None
    batch: Extent = None
    source: Extent = None
    unit: Extent = None
    gate: Extent = None
    update: Extent = None
    direction: Extent = None

    def __post_init__(self) -> None:
        for axis, extent in self.items():
            if extent is None or extent is ALL:
                continue
            whole = isinstance(extent, int) and not isinstance(extent, bool)
            if not whole or not 1 <= extent < _TOO_FAR:
                allowed = "a whole number from 1 to 2**32 - 1 or ALL"
                raise WrongValue(f"sharing over {axis}", allowed, extent)
            if axis in ("word", "gate", "direction") and extent != 1:
                raise WrongValue(f"sharing over {axis}", "1 or ALL", extent)
        if self.direction == 1:
            # Texts older than this axis do not state it; the default must keep their form.
            object.__setattr__(self, "direction", None)

    def items(self) -> tuple[tuple[str, Extent], ...]:
        """The axes and their extents, in address order."""
        return tuple((field.name, getattr(self, field.name)) for field in fields(self))

    def given(self) -> tuple[tuple[str, int | All], ...]:
        """Only the axes that are stated."""
        return tuple((axis, extent) for axis, extent in self.items() if extent is not None)

    def divisor(self, axis: str) -> int | None:
        """How many neighbours on `axis` share one decision; None if the whole axis does."""
        extent = getattr(self, axis)
        return None if extent is None or extent is ALL else int(extent)

    def over(self, defaults: "Sharing") -> "Sharing":
        """This sharing, with `defaults` on the axes that it does not state."""
        return Sharing(**(dict(defaults.items()) | dict(self.given())))


PER_STEP: Final = Sharing(time=1)
VARIATIONAL: Final = Sharing(time=ALL)

Rates = float | tuple[float, ...]

# Rates become 32-bit thresholds; rounding one to "never" or "always" would silently change it.
SMALLEST_RATE: Final = 2.0**-32

_EXTENT: Final = re.compile(r"ALL|[1-9][0-9]{0,17}")

# The types of a drop's fields other than its rate, and how an error describes them.
_TYPES: Final[dict[str, tuple[Any, str]]] = {
    "sharing": (Sharing | None, "a Sharing such as PER_STEP or VARIATIONAL, or None"),
    "fill": (Fill, "Fill.ZERO or Fill.HOLD"),
    "noise": (Noise, "a Noise such as ablate.noise.GAUSSIAN"),
    "scale": (Scale | None, "Scale.TRAIN, Scale.TEST, Scale.MEAN or None"),
    "layers": (Layers, "Layers.ALL, TOP, BOTTOM or GROWING"),
}


@dataclass(frozen=True, slots=True)
class Drop:
    """Dropout at one edge: `rate` is always the probability of dropping (or holding).

    A tuple gives one rate for each of the edge's layers, lowest layer first. `layers` gives them by
    a rule that fits any depth: `Drop(0.5, VARIATIONAL, layers=TOP)`. None for `sharing` or `scale`
    means the edge's default. Raises AblateError for a rate outside [0, 1), and for a tuple with a
    rule.
    """

    rate: Rates
    sharing: Sharing | None = None
    fill: Fill = Fill.ZERO
    noise: Noise = BERNOULLI
    scale: Scale | None = None
    layers: Layers = Layers.ALL

    def __post_init__(self) -> None:
        for name, (kinds, allowed) in _TYPES.items():
            if not isinstance(given := getattr(self, name), kinds):
                raise WrongValue(f"a drop's {name}", allowed, given)
        if not self.rates:
            raise WrongValue("a drop", "at least one rate", self.rate)
        if isinstance(self.rate, tuple) and self.layers is not Layers.ALL:
            rule = f"the rule {self.layers.value}"
            raise WrongValue(rule, "one rate", self.rate, mend="or give the rates without a rule")
        checked = tuple(_check_rate(rate) for rate in self.rates)
        # Equal placements must have one text, so a tuple of equal rates becomes that rate.
        object.__setattr__(self, "rate", checked[0] if len(set(checked)) == 1 else checked)

    @property
    def shared(self) -> Sharing:
        """The sharing as stated; complete once the drop is part of a placement."""
        return self.sharing or Sharing()

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates as stated: one, or one for each of the edge's layers."""
        return self.rate if isinstance(self.rate, tuple) else (self.rate,)

    @property
    def silent(self) -> bool:
        """Whether the rate is 0 at every layer."""
        return self.rate == 0.0

    def rate_of(self, index: int) -> float:
        """The rate at the edge's `index`-th layer; AblateError for a rule not yet `laid`."""
        if self.layers is not Layers.ALL:
            raise AblateError(
                f"the rule {self.layers.value} has rates in a net of known depth only; take the "
                "drop from placement.within(layers)"
            )
        return self.rate[index] if isinstance(self.rate, tuple) else self.rate

    def laid(self, places: int) -> "Drop":
        """This drop with its rule written out as rates for `places` layers, one or more.

        Only this method interprets a rule; a drop without one is returned unchanged.
        """
        if isinstance(self.rate, tuple) or self.layers is Layers.ALL:
            return self
        rates = [0.0] * places
        match self.layers:
            case Layers.TOP:
                rates[-1] = self.rate
            case Layers.BOTTOM:
                rates[0] = self.rate
            case Layers.GROWING:
                # The fraction comes first: at the top it is exactly 1, and the rate exactly p.
                rates = [_or_none(self.rate * ((i + 1) / places)) for i in range(places)]
        return replace(self, rate=tuple(rates), layers=Layers.ALL)

    def scaled(self, factor: float) -> "Drop":
        """This drop at `factor` times its rate; a rate too small for 32 bits becomes 0."""
        if isinstance(self.rate, tuple):
            return replace(self, rate=tuple(_or_none(rate * factor) for rate in self.rate))
        return replace(self, rate=_or_none(self.rate * factor))

    @property
    def text(self) -> str:
        """The canonical text: rate, sharing, fill, noise and scale, all stated.

        A layer rule follows the rate: `0.5*TOP;...`.
        """
        rate = "/".join(map(repr, self.rates))
        if self.layers is not Layers.ALL:
            rate += f"*{self.layers.value}"
        sharing = ",".join(f"{axis}={extent}" for axis, extent in self.shared.given())
        scale = self.scale.value if self.scale else "default"
        return f"{rate};{sharing};{self.fill.value};{self.noise.text};{scale}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the drop with this canonical text; AblateError for any other text."""
        parts = text.split(";")
        if len(parts) != 5:
            form = f"RATE;SHARING;FILL;NOISE;SCALE, as in '{Drop(0.5, PER_STEP).text}'"
            raise WrongValue("a drop's text", form, text)
        rate, sharing, fill, noise, scale = parts
        rate, ruled, rule = rate.partition("*")
        drop = cls(
            tuple(map(_parse_rate, rate.split("/"))) if "/" in rate else _parse_rate(rate),
            _parse_sharing(sharing),
            _parse_word(Fill, fill),
            parse_noise(noise),
            None if scale == "default" else _parse_word(Scale, scale),
            _parse_word(Layers, rule) if ruled else Layers.ALL,
        )
        if drop.text != text:
            raise AblateError(f"the canonical text of '{text}' is '{drop.text}'; write that")
        return drop


def _or_none(rate: float) -> float:
    """The rate, or 0 if it is too small for 32 bits."""
    return rate if rate >= SMALLEST_RATE else 0.0


def _parse_rate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WrongValue("a rate", "a number in [0, 1)", text) from None


def _parse_sharing(text: str) -> Sharing:
    axes = [axis for axis, _ in Sharing().items()]
    given: dict[str, Extent] = {}
    for part in filter(None, text.split(",")):
        axis, _, extent = part.partition("=")
        if axis not in axes or not _EXTENT.fullmatch(extent):
            form = f"AXIS=EXTENT,..., of {', '.join(axes)} and ALL or a whole number"
            raise WrongValue("a sharing's text", form, part)
        given[axis] = ALL if extent == "ALL" else int(extent)
    return Sharing(**given)


def _parse_word(kind: type[_Word], text: str) -> _Word:
    words = {option.value: option for option in kind}
    if text not in words:
        raise UnknownName(kind.__name__.lower(), text, words)
    return words[text]


def _check_rate(rate: object) -> float:
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        by_layer = "a tuple gives one rate a layer" if isinstance(rate, list) else ""
        raise WrongValue("a rate", "a number in [0, 1)", rate, mend=by_layer)
    value = float(rate) + 0.0  # turns -0.0, which has another text, into 0.0
    if not math.isfinite(value) or not 0.0 <= value < 1.0:
        raise WrongValue(
            "a rate",
            "a probability of dropping in [0, 1)",
            rate,
            mend="to keep nothing, remove the connection from the net",
        )
    if value and not SMALLEST_RATE <= value <= 1.0 - SMALLEST_RATE:
        raise WrongValue("a rate", "0 or a number in [2**-32, 1 - 2**-32]", rate)
    return value
