"""Study files: where they are found, and how they are read.

question = "Where should dropout be placed?"
baseline = "none"                   # a label or a strategy's name; a profile may have its own
plugins = ["mine.py"]               # files of strategies of your own, relative to this file

[profiles.quick]
corpus = "ptb-tenth"                # a built-in name or a folder's path, relative to this file
text = {min_count = 2}              # how it is read: also size, lowercase, normalize
preset = "zaremba-small"            # fills net and recipe
recipe.epochs = 8                   # a key of one's own goes before the preset's
seeds = 2                           # the seeds 1 and 2; or a list of them
strategies = [
    {name = "none"},
    {name = "zaremba2014", rate = [0.25, 0.5]},     # a list is a grid
]
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ablate.cells import CELLS, LSTM, Cell
from ablate.errors import AblateError, UnknownName, did_you_mean, quoted
from ablate.store.studies import all_studies, file_of
from ablate.strategies import names
from ablate.strategies.plugins import PluginFile, load_file
from ablate.study.corpus_path import CorpusPath
from ablate.study.points import (
    Choice,
    Mistake,
    Point,
    baseline_of,
    distinct,
    misfits,
    once,
    read_choice,
    unmade,
)
from ablate.study.schema import Factorial, Head, Profile, StudyMistakes, value_mistakes
from ablate.study.searches import search_mistakes, search_name

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
            raise UnknownName(f"profile of study '{self.name}'", name, self.profiles)
        return self.profiles[name]


def find_study(name: str) -> tuple[Study, Path]:
    """Return the study that `name` means, and its file.

    `name` is the path of a file, with its ending `.toml` or a folder, or else NAME of
    `./studies/NAME.toml`, or else that of a shipped study. Raises AblateError where there is none,
    and where the file has mistakes.
    """
    if path := file_of(name):
        return read_study(path), path
    known = all_studies()
    if name not in known:
        else_ = f"there are {', '.join(sorted(known))}, and any other is the path of a TOML file"
        if os.path.isfile(name):
            else_ += f", as './{name}' is"
        if Path(name).suffix != ".toml":
            raise UnknownName("study", name, sorted(known), else_=else_)
        near = did_you_mean(Path(name).stem, known) or f"; {else_}"
        sentence = f"there is no study file '{name}'{near}"
        raise AblateError(sentence, given=name, allowed=tuple(sorted(known)))
    return read_study(known[name]), known[name]


def read_study(path: Path) -> Study:
    """Read and check a study file, and load its plugins.

    Raises AblateError that names every mistake in it.
    """
    table, where = _read_table(path), f"the study file {path}"
    return parse_study(table, name=path.stem, where=where, folder=path.parent)


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
            found += _misfits(profile)
        if not _FOLDER_NAME.fullmatch(key):
            found.insert(0, ((), _not_a_folder(key)))
        mistakes += [(("profiles", key, *path), words) for path, words in found]
        profiles[key] = profile
    if mistakes:
        raise StudyMistakes(where, mistakes)
    given = (name, table["question"], default, profiles, table, folder, plugins)
    return Study(*given, typed=frozenset(typed))


def require_fit(profile: Profile, where: str) -> None:
    """Raise AblateError that names every placement of a profile that does not fit a net of it."""
    if mistakes := _misfits(profile):
        raise StudyMistakes(where, mistakes)


def _misfits(profile: Profile) -> list[Mistake]:
    """What does not fit, once each: nets often agree in it."""
    return list(dict.fromkeys(misfits(profile.strategies, profile.runs, profile.net.each)))


def _read_table(path: Path) -> dict[str, Any]:
    where, text = f"the study file {path}", ""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise AblateError(f"{where} is not text: byte {error.start} is not UTF-8") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AblateError(f"{where} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        point = _about_point(text, error)
        raise AblateError(f"{where} is not valid TOML: {error}{point}") from None


def _about_point(text: str, error: tomllib.TOMLDecodeError) -> str:
    """What to write where TOML stumbled over a number that begins with its point."""
    at = re.search(r"line (\d+), column (\d+)", str(error))
    if at is None:
        return ""
    line, column = map(int, at.groups())
    number = re.match(r"[+-]?(\.\d+)", text.split("\n")[line - 1][column - 1 :])
    return f"; TOML wants 0{number[1]} for {number[1]}" if number else ""


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
    """Read one profile; `baseline` is the study's, for a profile that names none.

    `corpus_path` says where its corpus is looked for.
    Where the strategies are not `complete`, since a plugin is broken, a name that is not known is
    no further mistake.
    """
    mistakes: list[Mistake] = []
    choices: tuple[Choice, ...] = ()
    if isinstance(table, dict):
        inherited = {"baseline": baseline} if isinstance(baseline, str) else {}
        table = inherited | table
        choices, mistakes = _read_strategies(table, complete=complete)
        name, runs = table.get("baseline"), _runs(table)
        points = once([*(runs or ()), *distinct(choices)])
        # A search is named as its row of the report is, and stands for its first point.
        drawn = {search_name(c): next(c.points()) for c in choices} if "tune" in table else {}
        point = None
        if isinstance(name, str):
            point = drawn.get(name) or baseline_of(name, points)
        if point:
            # Resolved before anything is filtered: a baseline must never move to another point.
            table["baseline"] = point.label
        elif isinstance(name, str) and complete and runs is not None and not mistakes:
            mistakes += _about_baseline(name, points, drawn)
        table["strategies"] = choices
    try:
        profile = Profile.model_validate(table, context=corpus_path)
    except ValidationError as error:
        unplaced = (found for cell in _cells(table) for found in unmade(choices, cell))
        return None, [*value_mistakes(Profile, error), *mistakes, *unplaced]
    return profile, [*mistakes, *search_mistakes(profile)]


def _read_strategies(
    table: Mapping[str, Any], *, complete: bool
) -> tuple[tuple[Choice, ...], list[Mistake]]:
    """Read a profile's `strategies`: the choices without a mistake, and all mistakes."""
    if "strategies" not in table and "factorial" in table:
        return (), []
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


def _runs(table: Mapping[str, Any]) -> list[Point] | None:
    """The runs of a profile's design, if it has one; None where that has mistakes."""
    if "factorial" not in table:
        return []
    try:
        return Factorial.model_validate(table["factorial"]).points
    except ValidationError:
        return None


def _about_baseline(
    name: str, points: Sequence[Point], searches: Mapping[str, Point]
) -> Iterator[Mistake]:
    """Say why `name` is the name of no one of all points, nor of a search."""
    several = [point.label for point in points if point.strategy.name == name]
    labels = [*searches] or [point.label for point in points]
    if several:
        yield ("baseline",), f"'{name}' may be {' or '.join(several)}; name one of them"
    else:
        near, kind = did_you_mean(name, labels), "searches" if searches else "points"
        words = f"no strategy here is called '{name}'{near}; the {kind} are {quoted(labels)}"
        yield ("baseline",), words


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
