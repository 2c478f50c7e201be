"""Values of one kind by name: ablate's own, and those that other packages bring.

Strategies, noises, schedules, cells and corpora are each one `Registry`. Another package names the
module that holds its values in its `pyproject.toml`:

    [project.entry-points."ablate.strategies"]
    mine = "my_package.strategies"

Importing that module adds them, which is all that registering is.
"""

import pkgutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, metadata
from typing import Any, TypeVar

from ablate.errors import AblateError, AblateWarning, UnknownName, WrongValue, in_words, quoted
from ablate.sources import built_in
from ablate.version import __version__

Value = TypeVar("Value")


class Registry(Mapping[str, Value]):
    """The values of one kind, in the order in which they were added.

    kind: the word for one of them; group: the entry points of other packages, loaded when somebody
    first looks; elsewhere: what a user does for a value that has no name here, as "... needs
    --plugin FILE".
    """

    def __init__(self, kind: str, *, group: str | None = None, elsewhere: str = "") -> None:
        self.kind = kind
        self.group = group
        self._elsewhere = f", and {elsewhere}" if elsewhere else ""
        self._values: dict[str, Value] = {}
        # What defines a value: the module and the qualified name of its function or class.
        self._sources: dict[str, tuple[str, str]] = {}
        # Whose a module is, with the version, by the first part of the module's name.
        self._origins: dict[str, str] = {}
        self._loaded = group is None
        # What the block of `adding` that is open has added; None outside of one.
        self._added: set[str] | None = None

    def __getitem__(self, name: str) -> Value:
        self.load()
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        self.load()
        return iter(self._values)

    def __len__(self) -> int:
        self.load()
        return len(self._values)

    def find(self, name: str) -> Value:
        """The value called `name`; raises UnknownName, with the nearest name, if none is."""
        if not isinstance(name, str):
            raise WrongValue(f"the name of a {self.kind}", "a text", name)
        if name not in self:
            raise self.unknown(name)
        return self[name]

    def unknown(self, name: str, also: Iterable[str] = ()) -> UnknownName:
        """The error for a name that no value has, and none of `also` either."""
        else_ = f"there are {quoted(self)}{self._elsewhere}"
        return UnknownName(self.kind, name, [*self, *also], else_=else_)

    def add(self, name: str, value: Value, source: Any = None) -> Value:
        """Add `value` and return it.

        source: the function or class that defines it, by default the value's type; the same one
        defined again, as by a notebook's cell run twice, replaces the earlier. Raises AblateError
        for a name that another source has taken, and for one that a block of `adding` adds twice.
        """
        source = type(value) if source is None else source
        own = source.__module__, source.__qualname__
        known = self._sources.setdefault(name, own)
        if name in self._values and known != own:
            raise AblateError(
                f"{self.kind} '{name}' is defined twice, by {self.origin_of(known[0])} and by "
                f"{self.origin_of(own[0])}; rename one",
                given=name,
            )
        if self._added is not None:
            if name in self._added:
                raise AblateError(
                    f"{self.kind} '{name}' is defined twice in {self.origin_of(own[0])}, and the "
                    "second would replace the first; rename one",
                    given=name,
                )
            self._added.add(name)
        self._values[name] = value
        return value

    def of_module(self, module: str) -> dict[str, Value]:
        """The values that a module, or one below it, added."""
        return {
            name: self._values[name]
            for name, (own, _) in self._sources.items()
            if _top(own) == _top(module)
        }

    def origin_of(self, module: str) -> str:
        """Whose a module is, with the version; its own name where nobody said."""
        if built_in(module):
            return f"ablate {__version__}"
        return self._origins.get(_top(module), module)

    @contextmanager
    def adding(self, module: str, origin: str) -> Iterator[None]:
        """Let what `module` adds in this block be known as `origin`'s.

        Where the block raises, nothing of it stays: half a plugin is none.
        """
        before, outer = self._state(), self._added
        self._origins[_top(module)], self._added = origin, set()
        try:
            yield
        except BaseException:
            self._restore(before)
            raise
        finally:
            self._added = outer

    def forget(self, module: str) -> None:
        """Take out what a module added, and whose it was."""
        for name in self.of_module(module):
            del self._values[name], self._sources[name]
        self._origins.pop(_top(module), None)

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Let whatever is added or forgotten in this block be undone after it.

        Entry points are looked up anew inside. For tests.
        """
        before, loaded = self._state(), self._loaded
        self._loaded = self.group is None
        try:
            yield
        finally:
            self._restore(before)
            self._loaded = loaded

    def load(self) -> None:
        """Import what other packages bring, once; a broken one is a warning that names it."""
        if self._loaded or self.group is None:
            return
        self._loaded = True
        for point in metadata.entry_points(group=self.group):
            origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
            try:
                with self.adding(point.module, origin):
                    point.load()
            except (Exception, SystemExit) as error:
                # Another package's mistake must not take ours down, whatever it is: nobody asked
                # for that package by name, and a run that does not need it goes on.
                warnings.warn(
                    f"the entry point '{point.name}' of {origin} ({self.group}) could not be "
                    f"loaded: {in_words(error)}",
                    AblateWarning,
                    stacklevel=3,
                )

    def _state(self) -> tuple[dict[str, Any], ...]:
        return dict(self._values), dict(self._sources), dict(self._origins)

    def _restore(self, state: tuple[dict[str, Any], ...]) -> None:
        self._values, self._sources, self._origins = map(dict, state)


def import_all(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, by name: a new file in its folder is found."""
    for module in sorted(each.name for each in pkgutil.iter_modules(path)):
        import_module(f"{package}.{module}")


def _top(module: str) -> str:
    return module.partition(".")[0]
