"""The shape of a net: what a study file calls `net`."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ablate import cells
from ablate.errors import AblateError
from ablate.facts import Founded


def _cell(name: str) -> str:
    try:
        return cells.get(name).name
    except AblateError as error:
        raise PydanticCustomError("ablate", "{words}", {"words": str(error)}) from None


class Net(Founded):
    """A recurrent language model's shape; `embedding` is `hidden` where it is not given (Zaremba).

    `cell` is the name of a cell: lstm, gru, rnn or rnn_relu.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    founding: ClassVar = frozenset({"layers", "hidden", "embedding"})

    layers: int = Field(ge=1, le=64)
    hidden: int = Field(ge=1, le=16384)
    embedding: int | None = Field(default=None, ge=1, le=16384)
    cell: Annotated[str, AfterValidator(_cell)] = "lstm"

    @property
    def inputs(self) -> int:
        """The width of the first layer's input."""
        return self.hidden if self.embedding is None else self.embedding
