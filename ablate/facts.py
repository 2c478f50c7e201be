"""What a model of settings says of a result: its founding fields, and any other that was changed.

A key is a hash of these facts, and results are grouped by their text. A field that is added later
enters neither while it has its default: every stored trial is found again.
"""

import json
from typing import Any, ClassVar

from pydantic import BaseModel


class Founded(BaseModel):
    """Settings whose `founding` fields are always stated; they are those of the first keys."""

    founding: ClassVar[frozenset[str]]


def facts(model: Founded) -> dict[str, Any]:
    """Return the stated fields of `model` by name: what its key is made of."""
    return model.model_dump(include=_stated(model))


def facts_text(model: Founded) -> str:
    """Return the stated fields of `model` as JSON, in the order in which the model has them."""
    return model.model_dump_json(include=_stated(model))


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: keys sorted, no space, no NaN, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _stated(model: Founded) -> set[str]:
    return {
        name
        for name, field in type(model).model_fields.items()
        if name in model.founding
        or getattr(model, name) != field.get_default(call_default_factory=True)
    }
