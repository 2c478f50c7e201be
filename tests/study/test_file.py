"""Study files: what they mean, and every mistake named at once, in words."""

import contextlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import AblateError, UnknownName
from ablate.model.net import Net
from ablate.store.studies import name_of, shipped_folder
from ablate.study.file import Study, find_study, parse_study, read_study
from ablate.study.points import distinct
from ablate.study.schema import Profile, StudyMistakes
from ablate.training.recipe import PRESETS

Refused = Callable[..., Any]

HEAD = 'question = "Does it help?"\nbaseline = "none"\n'
QUICK = """
[profiles.quick]
corpus = "toy"
preset = "zaremba-small"
seeds = 2
strategies = [{name = "none"}, {name = "zaremba2014", rate = [0.25, 0.5]}]
"""

TEN_MISTAKES = """
question = 7
default_profile = "quik"
colour = "red"

[profiles.quick]
corpus = "ptb-tent"
preset = "zaremba-tiny"
seeds = 0
strategies = [
    {name = "gall2016"},
    {name = "zaremba2014", rate = [0.5, 1.0]},
    {name = "recurrent", share = "window"},
]
recipe = {epochs = "three", headline = "lst", moment = 0.9}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(folder: Path, text: str, name: str = "mine") -> Study:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return read_study(path)


def labels(profile: Profile) -> list[str]:
    return [point.label for point in distinct(profile.strategies)]


def test_a_study_is_what_its_file_says(here: Path) -> None:
    """Question, profile, corpus, preset, seeds, precision and strategies come as written."""
    study = read(here, HEAD + QUICK)
    profile = study.profile()
    assert (study.name, study.question, study.default_profile) == (
        "mine",
        "Does it help?",
        "quick",
    )
    assert (profile.corpus, profile.seeds, profile.precision) == ("toy", (1, 2), "auto")
    assert profile.net.each == (PRESETS["zaremba-small"].net,)
    assert profile.recipe.of(*profile.net.each) == PRESETS["zaremba-small"].recipe
    assert profile.baseline == "none"
    assert labels(profile) == ["none", "zaremba2014 .25", "zaremba2014 .5"]


def test_own_keys_go_before_the_presets(here: Path) -> None:
    """A key of `net` or `recipe` replaces just that one of the preset; whole numbers are rates."""
    own = "net.hidden = 32\nrecipe = {epochs = 3, learning_rate = 2}\n"
    profile = read(here, HEAD + QUICK + own).profile()
    preset = PRESETS["zaremba-small"]
    assert profile.net.each == (Net(layers=2, hidden=32),)
    own = preset.recipe.model_copy(update={"epochs": 3, "learning_rate": 2.0})
    assert profile.recipe.of(*profile.net.each) == own


def test_seeds_may_be_listed(here: Path) -> None:
    """A list stands for itself, 0 included."""
    profile = read(here, HEAD + QUICK.replace("seeds = 2", "seeds = [7, 0]")).profile()
    assert profile.seeds == (7, 0)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_a_precision_is_kept_as_written(here: Path, precision: str) -> None:
    """`auto` is settled by the machine that runs the study, not by who reads its file."""
    text = HEAD + QUICK + f'precision = "{precision}"\n'
    assert read(here, text).profile().precision == precision


@pytest.mark.parametrize(
    ("own", "label"),
    [
        pytest.param("", "none", id="the-studys"),
        pytest.param('baseline = "zaremba2014 .25"\n', "zaremba2014 .25", id="label"),
        pytest.param('baseline = "zaremba2014"\n', "zaremba2014 .5", id="default-point"),
    ],
)
def test_a_baseline_is_resolved_to_a_label(here: Path, own: str, label: str) -> None:
    """A profile has its own baseline or the study's, and it is one point."""
    assert read(here, HEAD + QUICK + own).profile().baseline == label


def test_a_study_may_have_no_baseline(here: Path) -> None:
    """Without a baseline there are no differences, and that is no mistake."""
    assert read(here, 'question = "?"\n' + QUICK).profile().baseline is None


def test_a_study_is_frozen(here: Path) -> None:
    """Nothing of a study that was read can be assigned."""
    study = read(here, HEAD + QUICK)
    with pytest.raises(AttributeError):
        study.name = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        study.profile().corpus = "ptb"


def test_an_unknown_profile_is_refused(here: Path, refused: Refused) -> None:
    """Another profile's name is answered by those that there are."""
    with refused(UnknownName, given="quik", allowed=("quick",)):
        read(here, HEAD + QUICK).profile("quik")


def test_all_mistakes_are_named_at_once(here: Path, refused: Refused) -> None:
    """Twelve mistakes give twelve lines: the path, what is allowed, what was given."""
    quick = [
        *("corpus", "preset", "recipe.epochs", "recipe.headline", "recipe.moment", "seeds"),
        *("strategies[0].name", "strategies[1].rate[1]", "strategies[2].share"),
    ]
    head = ["question", "colour", "default_profile"]
    with refused(StudyMistakes, paths=(*head, *(f"profiles.quick.{path}" for path in quick))):
        read(here, TEN_MISTAKES)


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        pytest.param(("corpus =", "corpuss ="), "corpus corpuss", id="misspelt-key"),
        pytest.param(
            ("seeds = 2", "seeds = 2\ntext = {min_counts = 2}"), "text.min_counts", id="text-key"
        ),
        pytest.param(
            ("seeds = 2", "seeds = 2\ntext = {min_count = 0}"), "text.min_count", id="text-count"
        ),
        pytest.param(("seeds = 2", "seeds = 2\ntext = {size = 1}"), "text.size", id="text-size"),
        pytest.param(
            ("seeds = 2", 'seeds = 2\ntext = {normalize = "nfc"}'), "text.normalize", id="text-form"
        ),
        pytest.param(
            ("seeds = 2", 'seeds = 2\ntext = {lowercase = "yes"}'), "text.lowercase", id="text-case"
        ),
        pytest.param(("seeds = 2", "seeds = 2\ntext = 2"), "text", id="text"),
        pytest.param(("seeds = 2", "seeds = true"), "seeds", id="bool"),
        pytest.param(("seeds = 2", "seeds = []"), "seeds", id="no-seed"),
        pytest.param(("seeds = 2", "seeds = 10001"), "seeds", id="many"),
        pytest.param(("seeds = 2", "seeds = [1, 2, 1]"), "seeds", id="seed-twice"),
        pytest.param(("seeds = 2", "seeds = [1, -1]"), "seeds[1]", id="negative-seed"),
        pytest.param(("seeds = 2", "seeds = [1.0]"), "seeds[0]", id="float"),
        pytest.param(('preset = "zaremba-small"', ""), "net recipe", id="neither-preset-nor-net"),
        pytest.param(("preset =", "recipe ="), "net recipe", id="preset-for-a-recipe"),
        pytest.param(("seeds = 2", "seeds = 2\nnet = 3"), "net", id="net-no-table"),
        pytest.param(("seeds = 2", "seeds = 2\nnet.layers = 0"), "net.layers", id="no-layer"),
        pytest.param(("seeds = 2", "seeds = 2\nrecipe.init = nan"), "recipe.init", id="nan"),
        pytest.param(("seeds = 2", 'seeds = 2\nprecision = "fp16"'), "precision", id="precision"),
        pytest.param(
            ("seeds = 2", 'seeds = 2\nbaseline = "zaremba2014 .2"'), "baseline", id="baseline"
        ),
        pytest.param(
            ("[0.25, 0.5]}]", '[0.1, 0.2]}]\nbaseline = "zaremba2014"'),
            "baseline",
            id="which-baseline",
        ),
        pytest.param(('{name = "none"}', "3"), "strategies[0]", id="strategy-no-table"),
        pytest.param(
            ("strategies = [", "strategie = ["), "strategie strategies", id="no-strategies"
        ),
    ],
)
def test_a_mistake_in_a_profile_has_its_words(
    here: Path, change: tuple[str, str], paths: str, refused: Refused
) -> None:
    """Each mistake is named by its path within the profile, with what may stand there."""
    with refused(StudyMistakes, paths=tuple(f"profiles.quick.{path}" for path in paths.split())):
        read(here, HEAD + QUICK.replace(*change))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param(HEAD, "profiles", id="no-profiles"),
        pytest.param(HEAD + "profiles = {}", "profiles", id="empty"),
        pytest.param(HEAD + "profiles = 3", "profiles", id="no-table"),
        pytest.param(HEAD + "profiles.quick = 3", "profiles.quick", id="number"),
        pytest.param(QUICK, "question", id="no-question"),
        pytest.param('question = ""\n' + QUICK, "question", id="no-words"),
        pytest.param(
            HEAD + QUICK.replace("profiles.quick", "profiles.full"),
            "default_profile",
            id="no-quick",
        ),
        pytest.param(
            HEAD + QUICK + QUICK.replace("profiles.quick", 'profiles."../quick"'),
            "profiles.'../quick'",
            id="no-folder",
        ),
    ],
)
def test_a_mistake_in_the_head_has_its_words(
    here: Path, text: str, path: str, refused: Refused
) -> None:
    """What is around the profiles is checked like what is in them."""
    with refused(StudyMistakes, paths=(path,)):
        read(here, text)


def test_a_baseline_that_could_not_be_read_is_one_mistake(here: Path, refused: Refused) -> None:
    """Where the baseline's own table has the mistake, the baseline is not called unknown too."""
    text = 'question = "?"\n' + QUICK.replace("0.5]", "1.5]") + 'baseline = "zaremba2014 .5"\n'
    with refused(StudyMistakes, paths=("profiles.quick.strategies[1].rate[1]",)):
        read(here, text)


keys = st.sampled_from(
    "question baseline default_profile profiles quick corpus text preset net recipe seeds "
    "strategies precision name rate self layers epochs size lowercase normalize".split()
)
scalars = (
    st.booleans()
    | st.integers(-1, 2**70)
    | st.floats()
    | st.dates()
    | st.sampled_from(["", "toy", "quick", "none", "zaremba2014", "zaremba-small", "auto", "\0/"])
)
tables = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)
)


@given(head=st.dictionaries(keys, tables, max_size=4), own=st.dictionaries(keys, tables))
def test_whatever_a_table_holds_is_read_or_refused(
    head: dict[str, Any], own: dict[str, Any]
) -> None:
    """No table, however odd, ends in anything but a study or the one error that users see."""
    quick = tomllib.loads(QUICK)["profiles"]["quick"]
    for table in (head, {"question": "?", "profiles": {"quick": quick | own}}):
        with contextlib.suppress(AblateError):
            assert parse_study(table, name="mine", where="here").question


def test_bad_toml_is_one_message_with_its_line(here: Path, refused: Refused) -> None:
    """A slip of syntax is named with its line, and nothing else is guessed."""
    with refused():
        read(here, 'question = "?"\nbaseline = none\n')


@pytest.mark.parametrize(
    "own",
    [
        pytest.param("[0.25, .5]", id="in-a-list"),
        pytest.param("[\n  .25,\n]", id="on-a-line"),
        pytest.param("half .5", id="another-slip"),
    ],
)
def test_a_rate_that_begins_with_its_point_is_told(here: Path, own: str, refused: Refused) -> None:
    """Rates are written .5 elsewhere, and TOML wants the zero."""
    with refused():
        read(here, HEAD + QUICK.replace("[0.25, 0.5]", own))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe"), id="bin"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(here: Path, make: Any, refused: Refused) -> None:
    """What is no text file is refused with its path and the reason."""
    path = here / "mine.toml"
    make(path)
    with refused():
        read_study(path)


def test_a_study_is_found_by_path_then_here_then_shipped(here: Path) -> None:
    """A path is taken as it is; a name is looked for in ./studies before the shipped ones."""
    (here / "studies").mkdir()
    read(here, HEAD + QUICK, "other")
    assert find_study("smoke")[1] == shipped_folder() / "smoke.toml"
    read(here / "studies", HEAD + QUICK, "smoke")
    assert find_study("smoke")[1] == Path("studies/smoke.toml")
    assert find_study("other.toml")[1] == Path("other.toml")
    assert find_study(str(here / "other.toml"))[0].name == "other"


def test_results_have_the_name_of_the_file(here: Path) -> None:
    """A path stands for the study that it names, though the file may be gone."""
    read(here, HEAD + QUICK, "other")
    (here / "other.toml").rename(here / "other.study")
    assert name_of("./other.study") == "other"
    assert name_of("other.study") == "other.study"
    assert name_of("studies/mine.toml") == "mine"
    assert name_of("mine") == "mine"
    assert name_of("mine.2") == "mine.2"


@pytest.mark.parametrize("name", ["placment", "studies/placment.toml", "qqq", ""])
def test_a_missing_study_is_answered_by_those_there_are(
    here: Path, name: str, refused: Refused
) -> None:
    """The nearest name and all names are given, one's own studies among them."""
    (here / "studies").mkdir()
    read(here / "studies", HEAD + QUICK)
    known = ("cells", "mine", "placement", "smoke", "zaremba2014")
    with refused(given=name, allowed=known):
        find_study(name)
