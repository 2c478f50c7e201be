"""The shapes that are timed: a net, the window of an update, a vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from ablate.model.net import Net
from ablate.training.recipe import PRESETS


@dataclass(frozen=True, slots=True)
class Shape:
    """A net of `layers` x `hidden` units on windows of `unroll` steps x `batch` rows."""

    name: str
    layers: int
    hidden: int
    unroll: int
    batch: int
    clip: float = 5.0
    init: float = 0.1
    vocabulary: int = 10_000

    @property
    def net(self) -> Net:
        return Net(layers=self.layers, hidden=self.hidden)

    @property
    def tokens(self) -> int:
        """The targets of one update."""
        return self.unroll * self.batch

    @property
    def words(self) -> str:
        """As in `2 x 200, 20 x 20, V = 10,000`."""
        window = f"{self.unroll} x {self.batch}"
        return f"{self.layers} x {self.hidden}, {window}, V = {self.vocabulary:,}"

    def longer(self, factor: int) -> "Shape":
        """The same net on windows of `factor` times as many steps."""
        return replace(self, unroll=factor * self.unroll)


def _of_preset(name: str) -> Shape:
    net, recipe = PRESETS[f"zaremba-{name}"].net, PRESETS[f"zaremba-{name}"].recipe
    return Shape(
        name, net.layers, net.hidden, recipe.unroll, recipe.batch, recipe.clip, recipe.init
    )


SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {name: _of_preset(name) for name in ("small", "medium", "large")}
)
