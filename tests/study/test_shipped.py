"""The shipped studies: what each asks, and the matrix that it is."""

from pathlib import Path

import pytest

from ablate.model.net import Net
from ablate.store.studies import all_studies, shipped_folder
from ablate.strategies import all_strategies, get
from ablate.study.file import find_study
from ablate.study.points import distinct
from ablate.study.schema import Profile
from ablate.training.recipe import PRESETS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def labels(profile: Profile) -> list[str]:
    return [point.label for point in distinct(profile.strategies)]


@pytest.mark.parametrize("name", sorted(path.stem for path in shipped_folder().glob("*.toml")))
def test_shipped_studies_are_read_and_start_quick(name: str, here: Path) -> None:
    """Every shipped study is without mistake, asks a question, and is quick unless told."""
    study, path = find_study(name)
    assert path == all_studies()[name]
    assert study.question.endswith(("?", "anything."))
    assert study.default_profile == "quick"


def test_placement_quick_is_six_of_the_placements_of_tenth(here: Path) -> None:
    """The default run has 18 trials, each of which the larger run has too; Zaremba's come first."""
    study = find_study("placement")[0]
    quick, tenth = study.profile("quick"), study.profile("tenth")
    assert labels(quick) == [
        "none",
        "zaremba2014 .5",
        "locked .5",
        "recurrent window .25",
        "naive .25",
        "zoneout .5",
    ]
    assert set(labels(quick)) < set(labels(tenth))
    assert (quick.corpus, quick.net, quick.recipe) == (tenth.corpus, tenth.net, tenth.recipe)
    assert len(labels(quick)) * len(quick.seeds) == 18


def test_placement_tenth_is_the_matrix_of_42_trials(here: Path) -> None:
    """The run behind the README's figure: fourteen points, three seeds each."""
    profile = find_study("placement")[0].profile("tenth")
    assert labels(profile) == [
        "none",
        "zaremba2014 .25",
        "zaremba2014 .5",
        "zaremba2014 .75",
        "locked .5",
        "recurrent .25",
        "recurrent .5",
        "recurrent window .25",
        "naive .25",
        "gal2016 .5",
        "semeniuta2016 .5",
        "moon2015 .25",
        "zoneout .5",
        "merity2017 .4",
    ]
    assert len(labels(profile)) * len(profile.seeds) == 42
    assert profile.corpus == "ptb-tenth"
    assert profile.net.each == (Net(layers=2, hidden=200),)
    assert profile.recipe.model_dump(include={"unroll", "batch", "epochs", "hold"}) == {
        "unroll": 20,
        "batch": 20,
        "epochs": 8,
        "hold": 5,
    }
    assert [profile.recipe.rate_of(epoch) for epoch in (1, 5, 6, 8)] == [1.0, 1.0, 0.5, 0.125]
    assert (profile.recipe.init, profile.recipe.clip, profile.recipe.headline) == (0.1, 5.0, "last")


def test_placement_full_has_every_strategy_along_its_dial() -> None:
    """No built-in strategy is forgotten, each with a dial at five rates, three seeds each."""
    profile = find_study("placement")[0].profile("full")
    points = distinct(profile.strategies)
    built_in = [strategy for strategy in all_strategies() if strategy.origin.startswith("ablate")]
    # Which has twenty arguments and no dial: a search or a design fills them in.
    built_in.remove(get("free"))
    for strategy in built_in:
        dials = {point.dial_value for point in points if point.strategy.name == strategy.name}
        assert len(dials) == (5 if strategy.dial else 1), strategy.name
    assert (profile.corpus, len(profile.seeds)) == ("ptb", 3)
    preset = PRESETS["zaremba-medium"]
    (net,) = profile.net.each
    assert (net, profile.recipe.of(net)) == (preset.net, preset.recipe)


@pytest.mark.parametrize(
    ("profile", "label", "seeds"),
    [
        pytest.param("small", "none", 10, id="small"),
        pytest.param("medium", "zaremba2014 .5", 10, id="medium"),
        pytest.param("large", "zaremba2014 .65", 38, id="large"),
    ],
)
def test_zaremba2014_has_the_seeds_of_the_papers_ensembles(
    profile: str, label: str, seeds: int
) -> None:
    """Each size is its preset on the whole corpus, with as many seeds as table 1 averages."""
    found = find_study("zaremba2014")[0].profile(profile)
    assert labels(found) == [label]
    assert (found.corpus, len(found.seeds)) == ("ptb", seeds)
    assert found.recipe.of(*found.net.each) == PRESETS[f"zaremba-{profile}"].recipe
    (point,) = distinct(found.strategies)
    assert (point.dial_value or 0.0) == PRESETS[f"zaremba-{profile}"].rate


def test_smoke_needs_nothing_installed() -> None:
    """The study for CI runs on the generated corpus."""
    assert find_study("smoke")[0].profile().corpus == "toy"
