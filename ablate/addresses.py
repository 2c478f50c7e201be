"""The address of a mask: the coordinates that choose its random words, and their limits.

    key     = (seed, purpose 4 bits | stack 8 | direction 1 | layer 11 | edge 8)
    counter = (update, time << 2 | gate, batch (WEIGHT: source), word << 12 | unit // 4)

`ablate.masks` makes words of it. No torch here: a study is read, and its trials are named, without.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ablate.drops import Sharing
from ablate.edges import Edge
from ablate.errors import AblateError

# The version of addresses and equations, a part of every result's key. Raise it when one changes.
# The direction's bit was once the layer's highest bit, which no net had used.
SEMANTICS: Final = 1

LIMITS: Final = {
    "seed": 2**32,
    "update": 2**32,
    "stack": 2**8,
    "direction": 2,
    "layer": 2**11,
    "time": 2**30,
    "gate": 4,
    "batch": 2**32,
    "source": 2**32,
    "word": 2**20,
    "unit": 2**14,
}


class Purpose(IntEnum):
    """The purpose of random words; two purposes never share an address.

    MONTE_CARLO and DATA are reserved: nothing is sampled for them yet.
    """

    INITIAL = 0
    MASK = 1
    MONTE_CARLO = 2
    DATA = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The coordinates that one edge's masks share within a window; words for no mask have no edge.

    `start` is the first step's number within the sequence, `batch_offset` the first row's number in
    the whole batch. Raises AblateError, with the limit, for a coordinate that does not fit.
    """

    seed: int
    edge: Edge | None = None
    layer: int = 0
    direction: int = 0
    stack: int = 0
    update: int = 0
    start: int = 0
    batch_offset: int = 0
    purpose: Purpose = Purpose.MASK

    def __post_init__(self) -> None:
        check("seed", self.seed)
        check("update", self.update)
        check("stack", self.stack)
        check("direction", self.direction)
        check("layer", self.layer)
        check("time", self.start)
        check("batch", self.batch_offset)

    @property
    def key(self) -> tuple[int, int]:
        """The two words of Philox's key."""
        edge = 0 if self.edge is None else self.edge.number
        space = (
            self.purpose << 28 | self.stack << 20 | self.direction << 19 | self.layer << 8 | edge
        )
        return self.seed, space


def check(name: str, value: int) -> None:
    """Raise AblateError where a coordinate does not fit its bits."""
    if not 0 <= value < LIMITS[name]:
        raise AblateError(
            f"a mask's {name} lies in [0, {LIMITS[name]}), got {value}: it has no address",
            given=value,
        )


def check_types(sharing: Sharing, types: int) -> None:
    """Raise AblateError where each of `types` words has a mask and some have no address."""
    if sharing.word == 1 and types > LIMITS["word"]:
        raise AblateError(
            f"masks that decide for each word have addresses for {LIMITS['word']:,} words, got a "
            f"vocabulary of {types:,}",
            given=types,
        )


def check_units(sharing: Sharing, units: int) -> None:
    """Raise AblateError where one of `units` units, or of the groups that share, has no address."""
    per_unit = sharing.divisor("unit")
    if per_unit is not None and -(-units // per_unit) > LIMITS["unit"]:
        raise AblateError(
            f"masks have addresses for {LIMITS['unit']:,} units, got {units:,}; share them, as in "
            f"Sharing(unit={-(-units // LIMITS['unit'])}) or Sharing(unit=ALL)",
            given=units,
        )
