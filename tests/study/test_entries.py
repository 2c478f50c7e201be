"""Cells and their keys: everything that makes a trial, and no name."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.addresses import LIMITS
from ablate.data import load_corpus
from ablate.data.text import Text
from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.facts import canonical_json
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.schedules import CONSTANT, CURRICULUM, Schedule
from ablate.strategies import get
from ablate.study.entries import enumerate_trials, without_effect, without_place
from ablate.study.file import parse_study
from ablate.study.messages import about_edges
from ablate.study.schema import Profile
from ablate.training.recipe import PRESETS
from ablate.training.trial import Trial

RECIPE = PRESETS["zaremba-small"].recipe
TRIAL = Trial(
    corpus="toy",
    corpus_digest="d" * 64,
    net=Net(layers=2, hidden=16),
    recipe=RECIPE,
    placement=Placement({Edge.VERTICAL: Drop(0.5)}),
    seed=1,
)


def profile(*strategies: dict[str, Any], **changes: Any) -> Profile:
    own = {"corpus": "toy", "preset": "zaremba-small", "seeds": 2, "precision": "fp32"}
    own |= {"strategies": [*strategies]}
    table = {"question": "?", "profiles": {"quick": own | changes}}
    return parse_study(table, name="mine", where="here").profile()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"corpus_digest": "e" * 64}, id="corpus"),
        pytest.param({"net": Net(layers=1, hidden=16)}, id="layers"),
        pytest.param({"net": Net(layers=2, hidden=16, embedding=8)}, id="embedding"),
        pytest.param({"recipe": RECIPE.model_copy(update={"epochs": 14})}, id="epochs"),
        pytest.param({"recipe": RECIPE.model_copy(update={"divide": 1.2})}, id="schedule"),
        pytest.param({"placement": Placement()}, id="placement"),
        pytest.param({"placement": Placement({Edge.VERTICAL: Drop(0.25)})}, id="rate"),
        pytest.param(
            {"placement": Placement({Edge.VERTICAL: Drop(0.5, Sharing(time=ALL))})}, id="sharing"
        ),
        pytest.param({"seed": 2}, id="seed"),
    ],
)
def test_a_key_has_all_that_makes_a_trial(change: dict[str, Any]) -> None:
    """Whatever would change the trial changes its key, and that of its pair."""
    other = replace(TRIAL, **change)
    assert other.key != TRIAL.key
    assert other.pair_key != TRIAL.pair_key


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"corpus": "/home/me/text"}, id="how-the-corpus-was-asked-for"),
        pytest.param({"folder": Path("/home/me/text")}, id="where-the-corpus-lies"),
        pytest.param({"text": Text(min_count=2)}, id="what-the-digest-has"),
        pytest.param({"net": Net(layers=2, hidden=16, embedding=16)}, id="default-written-out"),
        pytest.param(
            {"placement": Placement({Edge.VERTICAL: Drop(0.5, Sharing(time=1))})},
            id="default-sharing-written-out",
        ),
        pytest.param(
            {"placement": Placement({edge: Drop(0.5) for edge in reversed(list(Edge.VERTICAL))})},
            id="order-of-edges",
        ),
    ],
)
def test_a_key_has_nothing_else(change: dict[str, Any]) -> None:
    """Another way to write the same trial down has the same key."""
    assert replace(TRIAL, **change).key == TRIAL.key


def test_a_pair_differs_in_precision_alone() -> None:
    """`pair_key` finds the same trial at another precision."""
    other = replace(TRIAL, precision="bf16")
    assert other.key != TRIAL.key
    assert other.pair_key == TRIAL.pair_key


def test_semantics_are_part_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the meaning of masks changes, no old result is taken for a new one."""
    before = TRIAL.key
    monkeypatch.setattr("ablate.training.trial.SEMANTICS", -1)
    assert replace(TRIAL).key != before


def test_a_key_is_the_same_tomorrow() -> None:
    """A pinned key: results kept on disk are found again only while it stands."""
    assert TRIAL.key == "24c1b30bb2fba300f640"
    assert pickle.loads(pickle.dumps(TRIAL)).key == TRIAL.key


def test_seeds_are_outermost() -> None:
    """A run that stops early has as many seeds of each placement as it can."""
    entries = enumerate_trials(
        profile({"name": "none"}, {"name": "zaremba2014", "rate": [0.5, 0.25]}),
        load_corpus("toy"),
    )
    assert [(entry.trial.seed, entry.position, entry.label) for entry in entries] == [
        (1, 0, "none"),
        (1, 1, "zaremba2014 .5"),
        (1, 2, "zaremba2014 .25"),
        (2, 0, "none"),
        (2, 1, "zaremba2014 .5"),
        (2, 2, "zaremba2014 .25"),
    ]
    assert len({entry.trial.key for entry in entries}) == 6


def test_an_entry_names_its_cell() -> None:
    """Strategy, full arguments, label and dial stand beside the trial."""
    corpus = load_corpus("toy")
    given = profile({"name": "gal2016", "vertical": 0.25}, baseline="gal2016", seeds=[7])
    (entry,) = enumerate_trials(given, corpus)
    assert (entry.strategy, entry.label, entry.baseline) == ("gal2016", "gal2016 .25", True)
    assert (entry.dial, entry.dial_value) == ("vertical", 0.25)
    assert entry.arguments == {
        "vertical": 0.25,
        "recurrent": 0.15,
        "embedding": 0.15,
        "gates": "apart",
    }
    assert (entry.trial.corpus, entry.trial.corpus_digest) == ("toy", corpus.digest)
    assert (entry.trial.seed, entry.trial.precision) == (7, "fp32")


def test_a_cell_has_the_texts_options(tmp_path: Path) -> None:
    """They are in its columns, sorted, and None where a text is read as it is."""
    given = profile({"name": "none"}, seeds=1, text={"size": 99, "min_count": 2})
    (entry,) = enumerate_trials(given, load_corpus("toy", given.text))
    assert entry.trial.text == Text(min_count=2, size=99)
    assert entry.trial.columns()["text"] == '{"min_count":2,"size":99}'
    (plain,) = enumerate_trials(profile({"name": "none"}, seeds=1), load_corpus("toy"))
    assert plain.trial.columns()["text"] is None
    assert plain.trial.key != entry.trial.key


@pytest.mark.parametrize("name", ["gal2016", "embedding"])
def test_more_words_than_masks_have_addresses_for_are_refused_before_anything_runs(
    name: str, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., Any]
) -> None:
    """With both numbers, the point and what to set; where no word decides, any number is read."""
    corpus = load_corpus("toy")
    monkeypatch.setitem(LIMITS, "word", len(corpus.vocabulary))
    assert enumerate_trials(profile({"name": name}), corpus)
    monkeypatch.setitem(LIMITS, "word", len(corpus.vocabulary) - 1)
    with refused():
        enumerate_trials(profile({"name": "none"}, {"name": name}), corpus)
    assert enumerate_trials(profile({"name": "zaremba2014"}, {"name": "token"}), corpus)


def test_one_placement_under_two_names_is_one_cell() -> None:
    """A silent edge is `none`, and `zaremba2014` is what a plugin may call otherwise."""
    given = profile({"name": "none"}, {"name": "input", "rate": 0.0}, seeds=1, baseline="none")
    one, other = enumerate_trials(given, load_corpus("toy"))
    assert (one.label, other.label) == ("none", "input 0")
    assert one.trial == other.trial
    assert one.trial.key == other.trial.key
    assert (one.baseline, other.baseline) == (True, False)


@pytest.mark.parametrize("schedule", [CONSTANT, CURRICULUM], ids=lambda s: s.name)
@pytest.mark.parametrize("name", ["interlayer", "gaussian"])
def test_what_acts_nowhere_in_a_net_is_none(name: str, schedule: Schedule) -> None:
    """Between the layers of one layer is nothing: the trial is that of `none`."""
    noise = get(name).place()[Edge.INTERLAYER].noise
    asked = Placement({Edge.INTERLAYER: Drop(0.5, noise=noise)}, schedule)
    assert asked.within(1) == Placement()
    assert asked.within(2) == asked
    choice = {"name": "interlayer", "rate": [0.25, 0.5]}
    for layers, keys in ((1, 1), (2, 3), (3, 3)):
        given = profile({"name": "none"}, choice, seeds=1, net={"layers": layers})
        entries = enumerate_trials(given, load_corpus("toy"))
        assert len({entry.trial.key for entry in entries}) == keys
        assert [entry.label for entry in entries] == ["none", "interlayer .25", "interlayer .5"]


def test_a_placement_of_which_a_part_acts_keeps_its_key() -> None:
    """zaremba2014 in a net of one layer is stored with its INTERLAYER, and is found again."""
    given = profile({"name": "zaremba2014", "rate": 0.25}, seeds=1, net={"layers": 1})
    (entry,) = enumerate_trials(given, load_corpus("toy"))
    assert entry.trial.placement == Placement({Edge.VERTICAL: Drop(0.25)})
    assert entry.trial.placement.within(1) == Placement({Edge.INPUT | Edge.OUTPUT: Drop(0.25)})


def test_points_without_a_place_are_found_by_what_is_left_of_them() -> None:
    """By the edges that the net does not have, and whether the point acts anywhere else."""
    strategies = [
        {"name": "none"}, {"name": "recurrent"}, {"name": "interlayer", "rate": [0.25, 0.5]},
        {"name": "zaremba2014"},
    ]  # fmt: skip
    assert without_place(profile(*strategies, net={"layers": 2})) == {}
    assert without_place(profile(*strategies, net={"layers": 1})) == {
        (Edge.INTERLAYER, False): ["interlayer .25", "interlayer .5"],
        (Edge.INTERLAYER, True): ["zaremba2014 .5"],
    }


@pytest.mark.parametrize(
    ("table", "net", "found"),
    [
        pytest.param(
            {"name": "recurrent", "without": "each"},
            {},
            {False: ["recurrent .25 without recurrent"]},
            id="all",
        ),
        pytest.param(
            {"name": "zaremba2014", "without": ["interlayer", "input|output"]},
            {"layers": 1},
            {True: ["zaremba2014 .5 without interlayer"],
             False: ["zaremba2014 .5 without input|output"]},
            id="no-place",
        ),
        pytest.param(
            {"name": "recurrent", "rate": [0.0, 0.5], "without": "recurrent"},
            {},
            {False: ["recurrent 0 without recurrent", "recurrent .5 without recurrent"]},
            id="rate-0",
        ),
        pytest.param(
            {"name": "free", "input": "step", "cell": "step", "without": "cell"},
            {"cell": ["lstm", "gru"]},
            {True: ["gru free input=step cell=step without cell"]},
            id="another-cell",
        ),
        pytest.param({"name": "merity2017", "without": "each"}, {}, {}, id="each-has-an-effect"),
    ],
)  # fmt: skip
def test_points_that_leave_out_nothing_or_everything_are_found(
    table: dict[str, Any], net: dict[str, Any], found: dict[bool, list[str]]
) -> None:
    """The first repeat the whole, the others are `none`: neither says what an edge does."""
    given = profile({"name": "none"}, table, net=net)
    assert without_effect(given) == found
    lines = list(about_edges(given))
    assert sum("out nothing" in line or "out all" in line for line in lines) == len(found)


def test_a_corpus_too_short_is_refused_before_anything_runs(refused: Callable[..., Any]) -> None:
    """Less than one training window is a mistake of the study, not of each of its trials."""
    given = profile({"name": "none"}, recipe={"batch": 5_000})
    with refused():
        enumerate_trials(given, load_corpus("toy"))


def test_a_precision_must_be_settled() -> None:
    """A key says what was trained: `auto` would be another trial on another machine."""
    with pytest.raises(ValueError, match="precision is still 'auto'"):
        enumerate_trials(profile({"name": "none"}, precision="auto"), load_corpus("toy"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"b": 1, "a": [1.0, None]}, '{"a":[1.0,null],"b":1}', id="sorted"),
        pytest.param("é", '"\\u00e9"', id="ascii"),
    ],
)
def test_canonical_json_is_one_text(value: Any, text: str) -> None:
    """Keys are sorted, nothing is spaced, and the text reads back as the value."""
    assert canonical_json(value) == text
    assert json.loads(text) == value


@pytest.mark.parametrize("make", [pytest.param(float, id="nan")])
def test_canonical_json_refuses_what_json_has_not(make: Callable[[str], float]) -> None:
    """NaN has no JSON, and a key must not depend on what a parser makes of it."""
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(make("nan"))
