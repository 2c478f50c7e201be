"""The shape of a net: the `net` of a study file."""

from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ablate import cells
from ablate.cells import Cell
from ablate.errors import AblateError
from ablate.facts import Founded


def _known(name: str) -> str:
    try:
        return cells.get(name).name
    except AblateError as error:
        raise PydanticCustomError("ablate", "{words}", {"words": str(error)}) from None


#: The name of a cell: lstm, gru, rnn or rnn_relu.
CellName = Annotated[str, AfterValidator(_known)]


#: A study's net has no more layers.
MOST_LAYERS: Final = 64


class Shape(Founded):
    """A recurrent language model's shape; `embedding` is `hidden` by default (Zaremba)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    founding: ClassVar = frozenset({"layers", "hidden", "embedding"})

    layers: int = Field(ge=1, le=MOST_LAYERS)
    hidden: int = Field(ge=1, le=16384)
    embedding: int | None = Field(default=None, ge=1, le=16384)

    @property
    def inputs(self) -> int:
        """The width of the first layer's input."""
        return self.hidden if self.embedding is None else self.embedding


class Net(Shape):
    """A net: a shape, and the name of its layers' cell."""

    cell: CellName = "lstm"

    @property
    def of_cell(self) -> Cell:
        """The cell itself."""
        return cells.get(self.cell)
