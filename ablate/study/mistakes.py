"""Mistakes in a study file: where each is, what is wrong, what is allowed and what was given."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ablate.errors import AblateError, did_you_mean
from ablate.study.grid import Mistake
from ablate.training.recipe import PRESETS

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_EXPECTED = {
    "dict_type": "a table",
    "model_type": "a table",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
}

_PRESET = next(iter(PRESETS))
_FILLED = f'a table, or give preset = "{_PRESET}", which fills net and recipe'
# What to write for a key that is missing, by its name.
_INSTEAD = {"net": _FILLED, "recipe": _FILLED, "profiles": "at least one, such as [profiles.quick]"}


def refusal(where: str, mistakes: Sequence[Mistake]) -> AblateError:
    """Return the one error that names all `mistakes` of `where`, each on a line with its path."""
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = (f"\n  {path_text(path)}: {words}" for path, words in mistakes)
    return AblateError(f"{where} has {count}:{''.join(lines)}")


def path_text(path: Sequence[str | int]) -> str:
    """Return a path as text: `profiles.quick.strategies[2].name`, positions counted from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.fullmatch(part) else repr(part))
    return text


def value_mistakes(model: type[BaseModel], error: ValidationError) -> Iterator[Mistake]:
    """Yield pydantic's findings on `model` in our words."""
    for found in error.errors(include_url=False):
        yield found["loc"], _words(model, found)


def _words(model: type[BaseModel], found: ErrorDetails) -> str:
    kind, given, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "ablate":
        return found["msg"]
    if kind == "missing":
        instead = _INSTEAD.get(str(found["loc"][-1]))
        return f"is missing: {instead}" if instead else "is missing"
    if kind == "model_type" and isinstance(given, str) and given in PRESETS:
        return f'that is a preset: write preset = "{given}"'
    if kind == "extra_forbidden":
        allowed = _fields(model, found["loc"][:-1])
        near = did_you_mean(str(found["loc"][-1]), allowed)
        return f"unknown key{near}; allowed are {', '.join(allowed)}"
    if kind == "literal_error":
        near = did_you_mean(str(given), re.findall(r"'([^']*)'", context["expected"]))
        return f"must be {context['expected']}, got {given!r}{near}"
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    expected = _EXPECTED.get(kind) or found["msg"].removeprefix("Input should be ")
    return f"must be {expected}, got {given!r}"


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys that the table at `path` within `model` takes."""
    for part in path:
        inner: Any = model.model_fields[str(part)].annotation
        model = inner
    return list(model.model_fields)
