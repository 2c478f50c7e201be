"""Changes to a study from the command line."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ablate.data.text import PLAIN, Text
from ablate.errors import AblateError, UnknownName, WrongValue
from ablate.study.changes import KEYS, change, read_settings, select
from ablate.study.file import Study, parse_study
from ablate.study.points import distinct
from ablate.study.schema import Profile, StudyMistakes


@pytest.fixture
def study() -> Study:
    """A study of two profiles, one of them by a preset."""
    strategies = [{"name": "none"}, {"name": "zaremba2014", "rate": [0.25, 0.5]}]
    small = {"corpus": "toy", "preset": "zaremba-small", "seeds": 2, "strategies": strategies}
    table = {"question": "?", "baseline": "zaremba2014", "profiles": {}}
    table["profiles"] = {"quick": small, "full": small | {"preset": "zaremba-medium"}}
    return parse_study(table, name="mine", where="here")


def labels(profile: Profile) -> list[str]:
    return [point.label for point in distinct(profile.strategies)]


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        pytest.param(["recipe.epochs=3"], {"recipe.epochs": 3}, id="whole"),
        pytest.param(["recipe.clip = .5"], {"recipe.clip": 0.5}, id="no-zero"),
        pytest.param(["recipe.clip = 0.5"], {"recipe.clip": 0.5}, id="space"),
        pytest.param(["corpus=ptb"], {"corpus": "ptb"}, id="bare-text"),
        pytest.param(['corpus="a=b"'], {"corpus": "a=b"}, id="quoted"),
        pytest.param(["corpus=/a=b"], {"corpus": "/a=b"}, id="second-equals"),
        pytest.param(["seeds=[3, 4]"], {"seeds": [3, 4]}, id="list"),
        pytest.param(["corpus=1\nseeds=3"], {"corpus": "1\nseeds=3"}, id="no-second-key"),
        pytest.param(["seeds=3", "seeds=4"], {"seeds": 4}, id="last-rules"),
    ],
)
def test_settings_are_read_as_toml(settings: list[str], changes: dict[str, Any]) -> None:
    """A value has TOML's type, or is the text that it is."""
    assert read_settings(settings) == changes


def test_a_setting_without_a_value_is_refused(refused: Callable[..., Any]) -> None:
    """The message shows how it is written."""
    with refused(WrongValue, name="--set", given="recipe.epochs"):
        read_settings(["recipe.epochs"])


def test_a_change_touches_one_key_of_one_profile(study: Study) -> None:
    """The rest of the profile, the other profile and the study that was given stay."""
    changed = change(study, "quick", {"recipe.epochs": 3, "net.hidden": 8, "seeds": 5})
    before, after = study.profile("quick"), changed.profile("quick")
    assert after.recipe == before.recipe.model_copy(update={"epochs": 3})
    assert after.net == before.net.model_copy(update={"hidden": 8})
    assert after.seeds == (1, 2, 3, 4, 5)
    assert after.strategies == before.strategies
    assert changed.profile("full") == study.profile("full")
    assert before.recipe.epochs == 13


@pytest.mark.parametrize("tuned", [(), ("search",)])
@pytest.mark.parametrize("setting", ["tune.trials=2", "tune={trials = 2}", "tune.over={}"])
def test_searches_are_changed_where_there_are_some(
    study: Study, setting: str, tuned: tuple[str, ...], refused: Callable[..., Any]
) -> None:
    """A profile with seeds is another one; those that are tuned are named."""
    table = copy.deepcopy(dict(study.table))
    for name in tuned:
        own = {key: value for key, value in table["profiles"]["quick"].items() if key != "seeds"}
        table["profiles"][name] = own | {"strategies": [{"name": "zaremba2014"}], "tune": {}}
    study = parse_study(table, name="mine", where="here")
    changes = read_settings([setting])
    with refused(AblateError, allowed=tuned):
        change(study, "quick", changes)
    for name in tuned:
        assert change(study, name, changes).profile(name).tune is not None


def test_changes_add_up(study: Study) -> None:
    """A study that was changed can be changed again."""
    once = change(study, "quick", {"corpus": "toy", "recipe.epochs": 3})
    twice = change(once, "quick", {"preset": "zaremba-medium"})
    assert (twice.profile("quick").recipe.epochs, twice.profile("quick").recipe.unroll) == (3, 35)


@pytest.mark.parametrize(
    ("key", "value", "mistake"),
    [
        pytest.param("recipe.epoch", 3, None, id="unknown-key"),
        pytest.param("recipe", {}, None, id="whole-table"),
        pytest.param("qqq", 3, None, id="far"),
        pytest.param("recipe.epochs", 0, "profiles.quick.recipe.epochs", id="bad-value"),
        pytest.param("corpus", "ptb-tent", "profiles.quick.corpus", id="corpus"),
    ],
)
def test_a_change_that_is_not_allowed_is_refused(
    study: Study, key: str, value: Any, mistake: str | None, refused: Callable[..., Any]
) -> None:
    """A key or value that a study file could not have is answered in the same words."""
    unknown = UnknownName, {"given": key, "allowed": KEYS}
    kind, fields = (StudyMistakes, {"paths": (mistake,)}) if mistake else unknown
    with refused(kind, **fields):
        change(study, "quick", {key: value})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        pytest.param(["text.min_count=2"], {"min_count": 2}, id="one"),
        pytest.param(["text.size=99", "text.normalize=NFC"], {"size": 99, "normalize": "NFC"}),
        pytest.param(["text={min_count = 2, size = 9}"], {"min_count": 2, "size": 9}, id="table"),
        pytest.param(["text={size = 9}", "text.size=8"], {"size": 8}, id="key-of-a-table"),
        pytest.param(["text={}"], {}, id="none"),
    ],
)
def test_a_texts_options_are_set_one_by_one_or_as_a_table(
    study: Study, settings: list[str], text: dict[str, Any]
) -> None:
    """Both are read, and what is left out has its default."""
    changed = change(study, "quick", read_settings(settings)).profile("quick")
    assert changed.text == Text.model_validate(text)
    assert study.profile("quick").text == PLAIN


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        pytest.param(["text=2", "text.size=3"], "text", id="no-table"),
        pytest.param(["text={sise = 3}"], "text.sise", id="key"),
        pytest.param(["text.size=1"], "text.size", id="value"),
    ],
)
def test_mistakes_in_a_texts_options_are_named(
    study: Study, settings: list[str], path: str, refused: Callable[..., Any]
) -> None:
    """By their path within the profile, in the words of every other mistake."""
    with refused(StudyMistakes, paths=(f"profiles.quick.{path}",)):
        change(study, "quick", read_settings(settings))


def test_a_change_to_an_unknown_profile_is_refused(
    study: Study, refused: Callable[..., Any]
) -> None:
    """The profile is looked up like everywhere."""
    with refused(UnknownName, given="quik"):
        change(study, "quik", {})


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        pytest.param(["zaremba2014"], ["zaremba2014 .25", "zaremba2014 .5"], id="strategy"),
        pytest.param(["zaremba2014 .25"], ["zaremba2014 .25"], id="label"),
        pytest.param(["zaremba2014 .5", "none"], ["none", "zaremba2014 .5"], id="files-order"),
        pytest.param(["gal2016", "none"], ["none", "gal2016 .5"], id="not-listed"),
        pytest.param(["none", "none"], ["none"], id="twice"),
    ],
)
def test_strategies_are_selected_by_name_or_label(
    study: Study, wanted: list[str], kept: list[str]
) -> None:
    """A name keeps its points, a label one, and a strategy not in the file joins at its default."""
    assert labels(select(study.profile("quick"), wanted)) == kept


def test_a_baseline_never_moves_to_another_point(study: Study) -> None:
    """With its point filtered out the baseline is nobody's, though its strategy is still there."""
    selected = select(study.profile("quick"), ["zaremba2014 .25"])
    assert selected.baseline == "zaremba2014 .5"
    assert selected.baseline not in labels(selected)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("zaremba2013", id="near"),
        pytest.param("qqq", id="far"),
        pytest.param("zaremba2014 .3", id="label"),
    ],
)
def test_an_unknown_selection_is_refused(
    study: Study, name: str, refused: Callable[..., Any]
) -> None:
    """The nearest name or label is given, or else all names."""
    with refused(UnknownName, kind="strategy", given=name):
        select(study.profile("quick"), ["none", name])


def test_no_selection_is_refused(study: Study, refused: Callable[..., Any]) -> None:
    """What could be selected is named."""
    with refused(allowed=("none", "zaremba2014 .25", "zaremba2014 .5")):
        select(study.profile("quick"), [])
