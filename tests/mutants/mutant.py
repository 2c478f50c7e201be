"""What a planted bug is, and how it is planted: a shipped function replaced wherever it is held."""

import string
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One shipped function made wrong, and the law tests that must fail on it, by node id."""

    what: str
    shipped: Function
    wrong: Callable[[Function], Function]
    caught_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug of the field: what it does, where it shipped, and its mutants of our code."""

    number: int
    title: str
    shipped_in: str
    mutants: tuple[Mutant, ...]

    def named(self) -> tuple[tuple[str, Mutant], ...]:
        """The mutants by name: 1 where there is one, 4a, 4b and so on where there are more."""
        letters = string.ascii_lowercase if len(self.mutants) > 1 else ("",)
        names = (f"{self.number}{letter}" for letter in letters)
        return tuple(zip(names, self.mutants, strict=False))

    def tests(self) -> tuple[str, ...]:
        """What catches it, in words: `law 2, training is the papers placement (locked, naive)`."""
        ids: dict[str, list[str]] = {}
        for node in (node for mutant in self.mutants for node in mutant.caught_by):
            path, _, test = node.rpartition("/")[2].removesuffix("]").partition("::")
            name, _, parameters = test.partition("[")
            where = path.removeprefix("test_").removesuffix(".py").replace("law", "law ")
            what = name.removeprefix("test_").replace("_", " ")
            short = parameters.removesuffix("-training").removesuffix("-T7-float64")
            ids.setdefault(f"{where}, {what}", []).append(short)
        return tuple(f"{test} ({', '.join(dict.fromkeys(ids[test]))})" for test in ids)


def bug(number: int, title: str, shipped_in: str, *mutants: Mutant) -> Bug:
    """A bug with its mutants one after the other."""
    return Bug(number, title, shipped_in, mutants)


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Replace the shipped function in every module, and in every table of ours, that holds it.

    `from x import f` copies the name, so that changing one module is not enough. What is imported
    within the block takes the wrong one from the module that defines it, and is put right as well.
    """
    wrong = mutant.wrong(mutant.shipped)
    assert _exchange(mutant.shipped, wrong), f"nothing holds {mutant.shipped.__qualname__}"
    try:
        yield
    finally:
        _exchange(wrong, mutant.shipped)


def _exchange(old: Function, new: Function) -> int:
    """Put `new` wherever `old` is; return in how many places."""
    modules = [vars(module) for module in list(sys.modules.values()) if hasattr(module, "__dict__")]
    tables = [
        value
        for names in modules
        if str(names.get("__name__")).partition(".")[0] == "ablate"
        for value in names.values()
        if isinstance(value, dict)
    ]
    places = [
        (names, key)
        for names in modules + tables
        for key, value in list(names.items())
        if value is old
    ]
    for names, key in places:
        names[key] = new
    return len(places)
