"""Changes to a study from the command line: `--set`, `--seeds`, `--data` and `--strategies`."""

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ablate.data.text import Text
from ablate.errors import AblateError, UnknownName, WrongValue, quoted
from ablate.strategies import STRATEGIES, get, names
from ablate.study.file import Study, parse_study
from ablate.study.points import Choice, distinct
from ablate.study.schema import DESIGNED, Factorial, Nets, Profile, Recipes, Tune
from ablate.study.searches import search_name

_TABLES: Final = {
    "text": Text,
    "net": Nets,
    "recipe": Recipes,
    "tune": Tune,
    "factorial": Factorial,
}
# Tables that a preset never fills, so that `--set` may give them whole.
_WHOLE: Final = ("text", "tune", "factorial")
#: What `--set` may change: the keys of a profile, those of its tables with a dot.
KEYS: Final = tuple(
    path
    for key in Profile.model_fields
    for path in (
        *([key] if key in _WHOLE or key not in _TABLES else []),
        *([f"{key}.{inner}" for inner in _TABLES[key].model_fields] if key in _TABLES else []),
    )
)


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Read texts such as `recipe.epochs=3` as `{"recipe.epochs": 3}`; the last of a key rules.

    A value is read as TOML (and `.5` as 0.5), or as the text that it is: `corpus=ptb`. Raises
    AblateError for a text without `=`.
    """
    changes = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise WrongValue("--set", "KEY=VALUE, such as recipe.epochs=3", setting)
        changes[key.strip()] = _value(text.strip())
    return changes


def change(study: Study, profile: str, changes: Mapping[str, Any], *, fit: bool = True) -> Study:
    """Return `study` with `changes` made to one of its profiles, checked anew.

    Each key is one of `KEYS`, such as `recipe.epochs` or `corpus`. The path of a changed corpus
    begins at the working directory. Unless `fit`, whether placements fit the nets is left to
    `file.require_fit`. Raises AblateError for a key or a value that is not allowed, for a search
    of a profile that is not tuned, and for an unknown profile.
    """
    tuned = study.profile(profile).tune is not None
    table: dict[str, Any] = copy.deepcopy(dict(study.table))
    for path, value in changes.items():
        if path not in KEYS:
            raise UnknownName("setting", path, KEYS)
        if not tuned and path.partition(".")[0] == "tune":
            raise _untuned(study, profile, path)
        outer, _, inner = path.rpartition(".")
        own = table["profiles"][profile]
        if outer:
            own = own.setdefault(outer, {})
        # What is no table stays, and is found to be a mistake.
        if isinstance(own, dict):
            own[inner] = value
    shown = ", ".join(f"{path}={value}" for path, value in changes.items())
    where = f"study '{study.name}' with {shown}"
    typed = study.typed | ({profile} if "corpus" in changes else set())
    return parse_study(
        table, name=study.name, where=where, folder=study.folder, typed=typed, fit=fit
    )


def _untuned(study: Study, profile: str, path: str) -> AblateError:
    """What to say where a search is changed that a profile does not have.

    Its seeds would have to go, and lists of its strategies: that is another profile.
    """
    tuned = tuple(name for name, own in study.profiles.items() if own.tune)
    instead = f"tuned are {quoted(tuned)}" if tuned else "no profile of it is tuned"
    return AblateError(
        f"{path} changes searches, and profile '{profile}' of study '{study.name}' has none; "
        f"{instead}; a study file tunes a profile by `tune`, in place of `seeds`",
        given=path,
        allowed=tuned,
    )


def select(profile: Profile, wanted: Sequence[str]) -> Profile:
    """Return `profile` with just the strategies that `wanted` names, in the order of the file.

    A name stands for all points of that strategy, a label (`zaremba2014 .5`) for one; `free` is the
    whole of a design, and each of its runs has its label. Of a tuned profile, which has no points
    of its own, a label is refused, and a search has its name. A strategy that the profile does not
    list joins after the others at its default point. The baseline stays only if it is wanted;
    without it there are no differences. Raises AblateError for a name that nothing has.
    """
    runs = [run.alone for run in profile.runs]
    tables = [*runs, *profile.strategies]
    names_of = {choice: _names_of(profile, choice) for choice in tables}
    known = [name for own in names_of.values() for name in own]
    listed = {choice.name for choice in tables}
    for name in wanted:
        if name not in known and name not in names():
            raise _unknown(profile, name, known)
    design = profile.factorial if DESIGNED in wanted else None
    kept: list[Choice] = []
    for choice, own in names_of.items():
        if design and choice in runs:
            continue
        if choice.name in wanted:
            kept.append(choice)
        else:
            kept += [part for name, part in own.items() if name in wanted]
    joined = [Choice(get(name).name) for name in wanted if name not in listed.union(known)]
    if not kept and not joined and not design:
        words = "searches" if profile.tune else "points"
        raise AblateError(
            f"no strategy is named; the {words} are {quoted(known)}", allowed=tuple(known)
        )
    strategies = tuple(dict.fromkeys([*kept, *joined]))
    return profile.model_copy(update={"strategies": strategies, "factorial": design})


def _names_of(profile: Profile, choice: Choice) -> dict[str, Choice]:
    """What parts of a table are called, beside its strategy: its search, or else its points."""
    if profile.tune:
        return {search_name(choice): choice}
    return {point.label: point.alone for point in distinct([choice])}


def _unknown(profile: Profile, name: str, known: Sequence[str]) -> AblateError:
    drawn = [
        choice
        for choice in profile.strategies
        if any(point.label == name for point in choice.points())
    ]
    if profile.tune and drawn:
        return AblateError(
            f"'{name}' is one point, and this profile is tuned: each of its searches draws its own "
            f"points; name the search, '{search_name(drawn[0])}'",
            given=name,
            allowed=tuple(known),
        )
    return STRATEGIES.unknown(name, known)


def _value(text: str) -> Any:
    # Rates are written .5 everywhere but in TOML.
    text = f"0{text}" if re.fullmatch(r"\.\d+", text) else text
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break in the text could have brought keys of its own.
    return table["value"] if len(table) == 1 else text
