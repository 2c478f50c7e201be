"""From the table that a study file holds to a frozen `Study`, or to every mistake in it."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ablate.cells import CELLS, LSTM, Cell
from ablate.errors import AblateError, did_you_mean, quoted
from ablate.strategies import names
from ablate.strategies.plugins import PluginFile, load_file
from ablate.study.corpus_path import CorpusPath
from ablate.study.grid import Choice, Mistake, Point, baseline_of, distinct, read_choice
from ablate.study.mistakes import refusal, value_mistakes
from ablate.study.schema import Head, Profile

_FOLDER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXAMPLE: Final = '{name = "zaremba2014", rate = 0.5}'


@dataclass(frozen=True, slots=True)
class Study:
    """A question, and the profiles, from quick to full, in which it is asked.

    `name` is the file's without its ending. `table` is what the file holds, as it was read, and
    `folder` where it lies. `plugins` are the files of strategies that it names, loaded; `typed` are
    the profiles whose corpus is not the file's but was typed on the command line.
    """

    name: str
    question: str
    default_profile: str
    profiles: Mapping[str, Profile]
    table: Mapping[str, Any] = field(repr=False)
    folder: Path = Path()
    plugins: tuple[PluginFile, ...] = ()
    typed: frozenset[str] = frozenset()

    def corpus_path(self, profile: str) -> CorpusPath:
        """Return where the path of that profile's corpus begins."""
        return _corpus_path(profile, self.folder, self.typed)

    def profile(self, name: str | None = None) -> Profile:
        """Return the profile called `name`, or the default one; AblateError if there is none."""
        name = self.default_profile if name is None else name
        if name not in self.profiles:
            raise AblateError(
                f"study '{self.name}' has no profile '{name}'{did_you_mean(name, self.profiles)}; "
                f"there are {', '.join(self.profiles)}"
            )
        return self.profiles[name]


def parse_study(
    table: Mapping[str, Any],
    *,
    name: str,
    where: str,
    folder: Path = Path(),
    typed: Set[str] = frozenset(),
    fit: bool = True,
) -> Study:
    """Return the study called `name` that `table` describes, with its plugins loaded.

    `folder` is where the paths of its plugins and corpora begin, but for the corpora of the
    profiles in `typed`, which were typed on the command line. Unless `fit`, whether placements fit
    the nets is left to `require_fit`. Raises AblateError that names every
    mistake, `where` being the table's name in the message.
    """
    mistakes: list[Mistake] = []
    if not _FOLDER_NAME.fullmatch(name):
        mistakes.append((("name",), _not_a_folder(name)))
    try:
        Head.model_validate(table)
    except ValidationError as error:
        mistakes += value_mistakes(Head, error)
    files = table.get("plugins", [])
    plugins, broken = _load_plugins(files, folder)
    mistakes += broken
    complete = isinstance(files, list) and len(plugins) == len(files)
    given = table.get("profiles")
    tables = given if isinstance(given, dict) else {}
    default = table.get("default_profile", Head.model_fields["default_profile"].default)
    if tables and isinstance(default, str) and default not in tables:
        near = did_you_mean(default, tables)
        words = f"there is no profile '{default}'{near}; there are {', '.join(tables)}"
        mistakes.append((("default_profile",), words))
    profiles = {}
    for key, own in tables.items():
        path = _corpus_path(key, folder, typed)
        profile, found = _read_profile(own, table.get("baseline"), path, complete=complete)
        if fit and profile is not None:
            found += dict.fromkeys(_misfits(profile))
        if not _FOLDER_NAME.fullmatch(key):
            found.insert(0, ((), _not_a_folder(key)))
        mistakes += [(("profiles", key, *path), words) for path, words in found]
        profiles[key] = profile
    if mistakes:
        raise refusal(where, mistakes)
    given = (name, table["question"], default, profiles, table, folder, plugins)
    return Study(*given, typed=frozenset(typed))


def _corpus_path(profile: str, folder: Path, typed: Set[str]) -> CorpusPath:
    return CorpusPath.typed(folder) if profile in typed else CorpusPath.in_file(folder)


def _load_plugins(given: Any, folder: Path) -> tuple[tuple[PluginFile, ...], list[Mistake]]:
    """Load the study's plugins, each whether or not another is broken: all mistakes at once."""
    plugins: list[PluginFile] = []
    mistakes: list[Mistake] = []
    for number, path in enumerate(given if isinstance(given, list) else ()):
        if not isinstance(path, str) or not path:
            continue
        try:
            plugins.append(load_file(folder / path))
        except AblateError as error:
            mistakes.append((("plugins", number), str(error)))
    return tuple(plugins), mistakes


def _read_profile(
    table: Any, baseline: Any, corpus_path: CorpusPath, *, complete: bool
) -> tuple[Profile | None, list[Mistake]]:
    """Read one profile; `baseline` is the study's, for a profile that has none of its own.

    `corpus_path` says where its corpus is looked for.
    Where the strategies are not `complete`, since a plugin is broken, a name that is not known is
    no mistake of its own.
    """
    mistakes: list[Mistake] = []
    choices: tuple[Choice, ...] = ()
    if isinstance(table, dict):
        inherited = {"baseline": baseline} if isinstance(baseline, str) else {}
        table = inherited | table
        choices, mistakes = _read_strategies(table, complete=complete)
        name, points = table.get("baseline"), distinct(choices)
        point = baseline_of(name, points) if isinstance(name, str) else None
        if point:
            # Resolved before anything is filtered: a baseline must never move to another point.
            table["baseline"] = point.label
        elif isinstance(name, str):
            mistakes += _about_baseline(name, points, whole=complete and not mistakes)
        table["strategies"] = choices
    try:
        profile = Profile.model_validate(table, context=corpus_path)
    except ValidationError as error:
        unmade = (mistake for cell in _cells(table) for mistake in _unmade(choices, cell))
        return None, [*value_mistakes(Profile, error), *mistakes, *unmade]
    return profile, mistakes


def _read_strategies(
    table: Mapping[str, Any], *, complete: bool
) -> tuple[tuple[Choice, ...], list[Mistake]]:
    """Read a profile's `strategies`: the choices without a mistake, and all mistakes."""
    if "strategies" not in table:
        return (), [(("strategies",), f"is missing: a list of tables such as {_EXAMPLE}")]
    given = table["strategies"]
    if not isinstance(given, list) or not given:
        words = f"must be a list of tables such as {_EXAMPLE}, got {given!r}"
        return (), [(("strategies",), words)]
    choices: list[Choice] = []
    mistakes: list[Mistake] = []
    for number, own in enumerate(given):
        choice, found = None, [((), f"must be a table such as {_EXAMPLE}, got {own!r}")]
        if isinstance(own, dict):
            if not complete and own.get("name") not in names():
                continue
            choice, found = read_choice(own)
        mistakes += [(("strategies", number, *path), words) for path, words in found]
        choices += [choice] if choice and not found else []
    return tuple(choices), mistakes


def _about_baseline(name: str, points: Sequence[Point], *, whole: bool) -> Iterator[Mistake]:
    """Say why `name` is the name of no one point; `whole`: no strategy was left out of `points`."""
    several = [point.label for point in points if point.strategy.name == name]
    labels = [point.label for point in points]
    if several:
        yield ("baseline",), f"'{name}' may be {' or '.join(several)}; name one of them"
    elif whole:
        near = did_you_mean(name, labels)
        words = f"no strategy here is called '{name}'{near}; the points are {quoted(labels)}"
        yield ("baseline",), words


def require_fit(profile: Profile, where: str) -> None:
    """Raise AblateError that names every placement of a profile that does not fit a net of it."""
    if mistakes := list(dict.fromkeys(_misfits(profile))):
        raise refusal(where, mistakes)


def _misfits(profile: Profile) -> Iterator[Mistake]:
    """Yield a mistake for each placement that there is none of, or that does not fit a net."""
    for net in profile.net.each:
        unmade = list(_unmade(profile.strategies, net.of_cell))
        yield from unmade
        for point in () if unmade else distinct(profile.strategies):
            try:
                point.place(net.of_cell).check(net.layers, net.of_cell)
            except AblateError as error:
                yield ("strategies",), f"{point.label}: {error}"


def _unmade(choices: Sequence[Choice], cell: Cell) -> Iterator[Mistake]:
    """Yield the first point of each table at which a strategy, a plugin's, makes no placement."""
    for number, choice in enumerate(choices):
        for point in choice.points():
            try:
                point.place(cell)
            except AblateError as error:
                yield ("strategies", number), str(error)
                break


def _cells(table: Any) -> list[Cell]:
    """The cells that a profile with mistakes names, or else the one that it has by default."""
    net = table.get("net") if isinstance(table, dict) else None
    given = net.get("cell") if isinstance(net, dict) else None
    named = given if isinstance(given, list) else [given]
    return [CELLS[name] for name in named if isinstance(name, str) and name in CELLS] or [LSTM]


def _not_a_folder(name: str) -> str:
    return (
        "results are kept in a folder of this name: it begins with a letter or a digit and has "
        f"only letters, digits, '.', '_' and '-', got {name!r}"
    )
