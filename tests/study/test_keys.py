"""Keys of stored trials: each stands, whatever is added to a net, a recipe or a corpus later."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.model.net import Net
from ablate.noise import BERNOULLI, GAUSSIAN
from ablate.placement import Placement
from ablate.schedules import ANNEALED, CONSTANT, CURRICULUM
from ablate.training.recipe import Recipe
from ablate.training.trial import Trial

# Twenty keys as they were given when nets had three fields and recipes eleven.
KEPT = json.loads((Path(__file__).parent / "golden_keys.json").read_text())

_NOISES = {noise.name: noise for noise in (BERNOULLI, GAUSSIAN)}
_SCHEDULES = {schedule.name: schedule for schedule in (CONSTANT, CURRICULUM, ANNEALED)}


def _drop(table: dict[str, Any]) -> Drop:
    rate = tuple(table["rate"]) if isinstance(table["rate"], list) else table["rate"]
    sharing = {axis: ALL if n == "ALL" else n for axis, n in table["sharing"].items()}
    fill, scale = Fill(table["fill"]), Scale(table["scale"])
    return Drop(rate, Sharing(**sharing), fill, _NOISES[table["noise"]], scale)


def _trial(given: dict[str, Any], net: type[Net] = Net, recipe: type[Recipe] = Recipe) -> Trial:
    drops = {Edge[edge]: _drop(table) for edge, table in given["drops"].items()}
    return Trial(
        corpus="anywhere",
        corpus_digest=given["corpus_digest"],
        net=net(**given["net"]),
        recipe=recipe(**given["recipe"]),
        placement=Placement(drops, _SCHEDULES[given["schedule"]]),
        seed=given["seed"],
        precision=given["precision"],
    )


class TiedNet(Net):
    """A net with a field that came later, between those that it had."""

    tied: bool = False
    places: tuple[int, ...] = Field(default_factory=tuple)


class AveragedRecipe(Recipe):
    """A recipe with fields that came later."""

    average: float | None = None
    beta: float = 0.9


class RequiredRecipe(Recipe):
    """A recipe with a field that everybody must give."""

    momentum: float


@pytest.mark.parametrize("kept", KEPT, ids=[kept["key"] for kept in KEPT])
def test_a_stored_key_is_found_again(kept: dict[str, Any]) -> None:
    """Key, pair and the texts that group results are what they were."""
    trial = _trial(kept["given"])
    assert (trial.key, trial.pair_key, trial.placement.text) == (
        kept["key"],
        kept["pair_key"],
        kept["placement"],
    )
    shown = trial.columns()
    assert (shown["net"], shown["recipe"]) == (kept["net"], kept["recipe"])


def test_the_kept_keys_differ() -> None:
    """Twenty trials, none of which is another."""
    assert len({kept["key"] for kept in KEPT}) == len(KEPT) == 20


@pytest.mark.parametrize("kept", KEPT[:6], ids=[kept["key"] for kept in KEPT[:6]])
def test_a_field_that_came_later_enters_no_key_at_its_default(kept: dict[str, Any]) -> None:
    """Neither the key nor the texts change where a new field is as if it were not there."""
    trial = _trial(kept["given"], TiedNet, AveragedRecipe)
    assert (trial.key, trial.pair_key) == (kept["key"], kept["pair_key"])
    shown = trial.columns()
    assert (shown["net"], shown["recipe"]) == (kept["net"], kept["recipe"])


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("net", {"tied": True}),
        ("net", {"places": (1, 2)}),
        ("recipe", {"average": 0.5}),
        ("recipe", {"beta": 0.0}),
    ],
)
def test_a_field_that_came_later_enters_the_key_where_it_is_given(
    part: str, change: dict[str, Any]
) -> None:
    """Another value is another trial, with its own key, pair and text."""
    trial = _trial(KEPT[1]["given"], TiedNet, AveragedRecipe)
    other = replace(trial, **{part: getattr(trial, part).model_copy(update=change)})
    assert other.key != trial.key
    assert other.pair_key != trial.pair_key
    ((name, value),) = change.items()
    stated = json.loads(other.columns()[part])
    assert stated[name] == (list(value) if isinstance(value, tuple) else value)
    assert json.loads(trial.columns()[part]) == {k: v for k, v in stated.items() if k != name}


def test_a_field_without_a_default_is_always_stated() -> None:
    """There is no value at which it could be left out."""
    given = KEPT[1]["given"]
    trials = [
        replace(_trial(given), recipe=RequiredRecipe(**given["recipe"], momentum=momentum))
        for momentum in (0.0, 0.9)
    ]
    assert len({KEPT[1]["key"], *(trial.key for trial in trials)}) == 3


@pytest.mark.parametrize("model", [Net, Recipe])
def test_founding_fields_are_fields(model: type[Net] | type[Recipe]) -> None:
    """A founding field that is renamed or removed would orphan every key."""
    assert model.founding <= model.model_fields.keys()
