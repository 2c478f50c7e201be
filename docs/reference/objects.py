"""The public objects: signatures and docstrings, at the places that `objects.md` marks.

A line `::: ablate.LSTM` becomes a heading, the signature, the docstring, and the public methods
that ablate defines.
"""

import enum
import inspect
import re
from collections.abc import Iterator
from typing import Any

import ablate
from reference.markdown import code, prose, table

MARK = re.compile(r"^::: ablate\.(\w+)$", re.MULTILINE)


def expanded(text: str) -> str:
    """The page with every marked object described."""
    return MARK.sub(lambda found: describe(found[1]), text)


def describe(name: str) -> str:
    """A public name: heading, signature, docstring, methods."""
    value = getattr(ablate, name)
    parts = [f"### {name}\n"]
    if isinstance(value, enum.EnumMeta):
        parts.append(", ".join(code(f"{name}.{each}") for each in value.__members__) + "\n")
    elif inspect.isclass(value) or inspect.isroutine(value):
        parts.append(f"```text\n{_signature(f'ablate.{name}', value)}\n```\n")
    elif isinstance(value, (ablate.Sharing, ablate.Layers)):
        # What they say stands at their classes.
        return f"{parts[0]}\n{code(_constant(value))}\n"
    parts.append(prose(_RATE if name == "Rate" else value) + "\n")
    rows = list(_methods(value)) if inspect.isclass(value) else []
    if rows:
        parts.append(table(("method", "what it does"), rows))
    return "\n".join(parts)


# An annotation has no docstring of its own at run time.
_RATE = (
    """The annotation of a rate: the probability of dropping, in [0, 1). A search covers [0, .9]."""
)


def _constant(value: ablate.Sharing | ablate.Layers) -> str:
    if isinstance(value, ablate.Layers):
        return str(_Shown.of(value))
    stated = (f"{axis}={'ALL' if n is ablate.ALL else n}" for axis, n in value.given())
    return f"Sharing({', '.join(stated)})"


def _signature(name: str, function: Any) -> str:
    """A call with its defaults, on a line for each parameter where it is long."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        return name
    shown = [each for each in parameters if each.name not in ("self", "cls")]
    shown = [each.replace(annotation=each.empty, default=_Shown.of(each.default)) for each in shown]
    text = str(inspect.Signature(shown))
    if len(name + text) < 90:
        return name + text
    inside = re.sub(r", (?=[\w*])", ",\n    ", text[1:-1])
    return f"{name}(\n    {inside},\n)"


class _Shown(str):
    """A default as it is shown: a short value, or dots."""

    __repr__ = str.__str__

    @classmethod
    def of(cls, default: Any) -> Any:
        if default is inspect.Parameter.empty:
            return default
        if isinstance(default, enum.Enum):
            return cls(f"{type(default).__name__}.{default.name}")
        return cls(repr(default) if _short(default) else "...")


def _short(value: Any) -> bool:
    return len(repr(value)) < 30 and "<" not in repr(value)


def _methods(value: type) -> Iterator[tuple[str, str]]:
    for name, member in inspect.getmembers(value):
        function = member.fget if isinstance(member, property) else member
        function = inspect.unwrap(getattr(function, "__func__", function))
        own = str(getattr(function, "__module__", "")).startswith("ablate.")
        if name.startswith("_") or not own or not inspect.isfunction(function):
            continue
        # What a method inherits says what its parent does.
        if words := inspect.cleandoc(function.__doc__ or ""):
            first = " ".join(words.partition("\n\n")[0].split())
            call = " ".join(_signature(name, function).split())
            call = call.replace("( ", "(").replace(", )", ")")
            shown = name if isinstance(member, property) else call
            yield code(shown), prose(first)
