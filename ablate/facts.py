"""The facts of a settings model: its founding fields, and every other field that was changed.

A key is a hash of these facts, and results are grouped by their text. A field added later enters
neither while it has its default, so stored trials keep their keys.
"""

import json
from typing import Any, ClassVar

from pydantic import BaseModel


class Founded(BaseModel):
    """Settings whose `founding` fields, those of the first keys, are always stated."""

    founding: ClassVar[frozenset[str]]


def facts(model: Founded) -> dict[str, Any]:
    """Return the stated fields of `model` by name; its key is made of them."""
    return model.model_dump(include=_stated(model))


def facts_text(model: Founded) -> str:
    """Return the stated fields of `model` as JSON, in the model's order."""
    return model.model_dump_json(include=_stated(model))


def canonical_json(value: Any) -> str:
    """Return the canonical JSON of `value`: keys sorted, no space, no NaN, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _stated(model: Founded) -> set[str]:
    return {
        name
        for name, field in type(model).model_fields.items()
        if name in model.founding
        or getattr(model, name) != field.get_default(call_default_factory=True)
    }
