"""The shape of a net: what a study file calls `net`."""

from typing import ClassVar

from pydantic import ConfigDict, Field

from ablate.facts import Founded


class Net(Founded):
    """An LSTM language model's shape; `embedding` is `hidden` where it is not given (Zaremba)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    founding: ClassVar = frozenset({"layers", "hidden", "embedding"})

    layers: int = Field(ge=1, le=64)
    hidden: int = Field(ge=1, le=16384)
    embedding: int | None = Field(default=None, ge=1, le=16384)

    @property
    def inputs(self) -> int:
        """The width of the first layer's input."""
        return self.hidden if self.embedding is None else self.embedding
