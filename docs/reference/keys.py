"""The keys of a study file, from the models that read it."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ablate.data.text import Text
from ablate.model.net import Net
from ablate.study.schema import Factorial, Head, Nets, Profile, Recipes, Tune
from ablate.training.recipe import PRESETS, Recipe
from reference.markdown import code, prose, table

HEAD = """# Keys of a study file

[Studies](../guide/studies.md) shows a file. An unknown key is an error that names the nearest one.
"""
PROFILE = """
A profile is one size of a study. A preset fills `net` and `recipe`, and their keys in the file
override it. `net.cell` may list cells, each of which is a net that all strategies are tried in.
`baseline` is the label of the point that differences are to. With `tune` each strategy is tuned
and `seeds` is left out; with `factorial` the runs of a design are added to the strategies.
"""
PARTS: dict[str, tuple[type[BaseModel], str]] = {
    "The file": (Head, "The keys at the top."),
    "A profile": (Profile, PROFILE),
    "net": (Nets, prose(Net)),
    "recipe": (Recipes, prose(Recipe)),
    "text": (Text, prose(Text)),
    "tune": (Tune, prose(Tune)),
    "factorial": (Factorial, prose(Factorial)),
}
# What a validator reads before pydantic sees a type.
READ = {
    "plugins": "a list of files",
    "profiles": "tables by name",
    "corpus": "a name or a folder",
    "text": "a table",
    "net": "a table",
    "recipe": "a table",
    "tune": "a table",
    "factorial": "a table",
    "strategies": "a list of tables: `name`, its arguments (a list is a sweep), `without`",
    "seeds": "how many, or a list",
    "cell": "a name, or a list of names",
    "learning_rates": "a table from cells to numbers",
    "over": "a table from names to ranges",
    "edges": "a list of edges",
}


def page() -> str:
    """The page."""
    parts = [HEAD]
    for title, (model, words) in PARTS.items():
        rows = [
            (
                code(name),
                _values(name, model),
                "needed" if field.is_required() else _default(field.default),
            )
            for name, field in model.model_fields.items()
        ]
        parts += [f"## {title}\n", words + "\n", table(("key", "value", "default"), rows)]
    parts += ["## preset\n", "What a preset fills in:\n", _presets()]
    return "\n".join(parts)


def _values(name: str, model: type[BaseModel]) -> str:
    if name in READ:
        return READ[name]
    shape = model.model_json_schema()["properties"][name]
    options = shape.get("anyOf", [shape])
    return " or ".join(filter(None, map(_words, options)))


def _words(shape: dict[str, Any]) -> str:
    if "enum" in shape:
        return ", ".join(map(code, shape["enum"]))
    kinds = {
        "integer": "a whole number",
        "number": "a number",
        "string": "a text",
        "boolean": "`true` or `false`",
        "null": "",
    }
    words = kinds.get(shape.get("type", ""), "")
    signs = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{sign} {shape[key]:,}" for key, sign in signs.items() if key in shape]
    return ", ".join(filter(None, [words, *bounds]))


def _default(value: Any) -> str:
    if value in (None, (), PydanticUndefined) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    return code(str(value).lower() if isinstance(value, bool) else value)


def _presets() -> str:
    columns: dict[str, dict[str, Any]] = {}
    for name, preset in PRESETS.items():
        filled = preset.net.model_dump() | preset.recipe.model_dump()
        columns[name] = {key: value for key, value in filled.items() if value is not None}
    keys = next(iter(columns.values()))
    rows = [(code(key), *(str(own[key]) for own in columns.values())) for key in keys]
    return table(("key", *map(code, columns)), rows)
