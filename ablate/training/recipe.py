"""How a net is trained: Zaremba, Sutskever, Vinyals 2014 (arXiv:1409.2329), section 4.1.

The loss of an update is summed over time and averaged over the batch, its gradient clipped at a
global norm, then plain SGD; the state is carried from window to window and is zero at an epoch's
start.
"""

from typing import Annotated, ClassVar, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ablate.facts import Founded
from ablate.model.net import Net

#: A learning rate is at most this: parameters are updated in float32, whose largest is 3.403e38.
LARGEST: Final = 3.4e38

LearningRate = Annotated[float, Field(gt=0, le=LARGEST)]


class Windows(NamedTuple):
    """What decides which windows a trial reads, in training and in evaluation, and how often."""

    unroll: int
    batch: int
    epochs: int
    train_eval_tokens: int
    evaluation_streams: int


class Recipe(Founded):
    """One training recipe; `hold` epochs at the full rate, then divided by `divide` each epoch.

    The Lua code and old TensorFlow hold for one epoch more than the paper says; this follows the
    paper. `init` is r of U(-r, r) for every parameter. `headline` says which epoch the tables show:
    the last (Zaremba) or the one with the lowest validation loss. `train_eval_tokens` bounds the
    prefix of the training text on which the clean training loss is measured: as much as the
    validation text is long after every epoch, and all of it at the last and the best.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    founding: ClassVar = frozenset(
        {
            "unroll", "batch", "learning_rate", "epochs", "hold", "divide", "clip", "init",
            "headline", "train_eval_tokens", "evaluation_streams",
        }
    )  # fmt: skip

    unroll: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: LearningRate
    epochs: int = Field(ge=1)
    hold: int = Field(ge=1)
    divide: float = Field(ge=1)
    clip: float = Field(gt=0)
    init: float = Field(gt=0)
    headline: Literal["last", "best"] = "last"
    train_eval_tokens: int = Field(default=100_000, ge=1)
    evaluation_streams: int = Field(default=20, ge=1)

    @property
    def windows(self) -> Windows:
        """All that trials which train together agree in; the rest of a recipe is each one's own."""
        return Windows(*(getattr(self, name) for name in Windows._fields))

    def rate_of(self, epoch: int) -> float:
        """The learning rate in `epoch`, counted from 1."""
        try:
            return self.learning_rate / self.divide ** max(0, epoch - self.hold)
        except OverflowError:
            # Of a divisor beyond every float the quotient is 0 in float32.
            return 0.0


class Preset(BaseModel):
    """A published net, recipe and dropout rate."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    net: Net
    recipe: Recipe
    rate: float


def _zaremba(
    hidden: int,
    rate: float,
    unroll: int,
    epochs: int,
    hold: int,
    divide: float,
    clip: float,
    init: float,
) -> Preset:
    recipe = Recipe(
        unroll=unroll,
        batch=20,
        learning_rate=1.0,
        epochs=epochs,
        hold=hold,
        divide=divide,
        clip=clip,
        init=init,
    )
    return Preset(net=Net(layers=2, hidden=hidden), recipe=recipe, rate=rate)


PRESETS: Final[dict[str, Preset]] = {
    "zaremba-small": _zaremba(200, 0.0, 20, 13, 4, 2.0, 5.0, 0.1),
    "zaremba-medium": _zaremba(650, 0.5, 35, 39, 6, 1.2, 5.0, 0.05),
    "zaremba-large": _zaremba(1500, 0.65, 35, 55, 14, 1.15, 10.0, 0.04),
}
