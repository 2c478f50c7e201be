"""What a planted bug is, and how it is planted: a shipped function replaced wherever it is held."""

import string
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Seam:
    """A place where bugs are planted: a function of a module, or a method of a class."""

    holder: ModuleType | type
    name: str

    @property
    def held(self) -> Any:
        """What stands there now, as its holder has it: a class method is not bound."""
        return vars(self.holder)[self.name]


@dataclass(frozen=True, slots=True)
class Mutant:
    """What stands at one seam made wrong, and the law tests that must fail on it, by node id."""

    what: str
    seam: Seam
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
    """Make what stands at the mutant's seam wrong within, whoever calls it; then put it right.

    Kernels that were traced from it before are made anew, within and after. What was compiled of
    it stays: mutants are run eagerly.
    """
    shipped = mutant.seam.held
    if isinstance(shipped, classmethod):
        wrong: Any = classmethod(mutant.wrong(shipped.__func__))
    else:
        wrong = mutant.wrong(shipped)
    _forget()
    _exchange(mutant.seam, shipped, wrong)
    try:
        yield
    finally:
        _exchange(mutant.seam, wrong, shipped)
        _forget()


def _exchange(seam: Seam, old: Any, new: Any) -> None:
    """Put `new` wherever `old` is: in its class, or in every module and table of ours.

    `from x import f` copies the name, so that changing one module is not enough. What is imported
    while the wrong one stands takes it from the module that defines it, and is put right as well.
    """
    if isinstance(seam.holder, type):
        setattr(seam.holder, seam.name, new)
        return
    modules = [vars(module) for module in list(sys.modules.values()) if hasattr(module, "__dict__")]
    tables = [
        value
        for names in modules
        if str(names.get("__name__")).partition(".")[0] == "ablate"
        for value in names.values()
        if isinstance(value, dict)
    ]
    for names in modules + tables:
        for key, value in list(names.items()):
            if value is old:
                names[key] = new


def _forget() -> None:
    """Empty the engine's caches: kernels hold what they were traced from."""
    for name, module in list(sys.modules.items()):
        if name == "ablate.masks" or name.startswith("ablate.engine."):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
