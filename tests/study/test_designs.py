"""Designs in a study file: a bundle less its edges, and the runs of a factorial."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import write_file

from ablate.cells import LSTM
from ablate.data import load_corpus
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.placement import Placement
from ablate.stages import FACTORIAL
from ablate.store import Store
from ablate.strategies import get
from ablate.study.changes import change, select
from ablate.study.entries import enumerate_trials, register
from ablate.study.file import find_study, read_study
from ablate.study.listed import Listed
from ablate.study.points import Point, distinct, read_choice
from ablate.study.schema import Profile, StudyMistakes

WHOLE = get("merity2017").place()


def _points(**table: Any) -> list[Point]:
    choice, mistakes = read_choice({"name": "merity2017", **table})
    assert mistakes == []
    assert choice is not None
    return distinct([choice])


def _profile(folder: Path, **profile: str) -> Profile:
    return read_study(write_file(folder / "mine.toml", "toy", **profile)).profile()


def test_each_edge_is_left_out_in_turn():
    """The whole comes first, then the whole less each edge that it drops at."""
    first, *others = _points(without="each")
    assert first.place(LSTM) == WHOLE
    assert [point.place(LSTM) for point in others] == [WHOLE - edge for edge in WHOLE]
    assert [point.label for point in others[:2]] == [
        "merity2017 .4 without embedding",
        "merity2017 .4 without input",
    ]


def test_named_edges_are_left_out():
    """One a point; several of them together as one word."""
    points = _points(without=["weight", "input|output"])
    assert [point.without for point in points] == [
        Edge(0),
        Edge.WEIGHT,
        Edge.INPUT | Edge.OUTPUT,
    ]
    assert points[2].place(LSTM) == WHOLE - (Edge.INPUT | Edge.OUTPUT)


@pytest.mark.parametrize(
    ("word", "edges"),
    [
        ("vertical", Edge.VERTICAL),
        ("VERTICAL|recurrent", Edge.VERTICAL | Edge.RECURRENT),
        ("input|vertical", Edge.VERTICAL),
    ],
)
def test_a_union_with_a_name_is_left_out(word: str, edges: Edge):
    """The documents call it an edge; a store keeps its edges."""
    choice, mistakes = read_choice({"name": "naive", "without": [word]})
    assert mistakes == []
    assert choice is not None
    _, point = choice.points()
    assert point.without == edges
    assert Point.of("naive", point.facts) == point


@pytest.mark.parametrize("without", ["each", "input", ["weight", "input|output"]])
def test_a_point_is_read_from_what_a_store_keeps(without: Any):
    """Its facts are all that it is called by."""
    for point in _points(without=without, output=[0.2, 0.4]):
        facts = json.loads(json.dumps(point.facts))
        assert Point.of("merity2017", facts) == point


def test_a_point_is_chosen_by_its_label(tmp_path: Path):
    """`--strategies` takes one without its whole."""
    profile = _profile(
        tmp_path, strategies='[{name = "none"}, {name = "merity2017", without = "each"}]'
    )
    chosen = select(profile, ["merity2017 .4 without input"])
    assert [point.label for point, _ in chosen.points] == ["merity2017 .4 without input"]
    assert len(select(profile, ["merity2017"]).points) == 6


DESIGN = {"free": "free", "input": "free input=step", "both": "free input=step output=step"}
WITH_DESIGN = {
    "factorial": '{edges = ["input", "output"]}',
    "strategies": '[{name = "none"}, {name = "locked", rate = [0.25, 0.5]}]',
}


@pytest.mark.parametrize(
    ("wanted", "labels", "whole"),
    [
        pytest.param(["locked"], ["locked .25", "locked .5"], False, id="strategy"),
        pytest.param(["locked .5", "none"], ["none", "locked .5"], False, id="label"),
        pytest.param(["naive"], ["naive .25"], False, id="not-listed"),
        pytest.param(["none", DESIGN["input"]], [DESIGN["input"], "none"], False, id="run"),
        pytest.param([DESIGN["both"]], [DESIGN["both"]], False, id="run-alone"),
        pytest.param(["free"], [*DESIGN.values(), "free output=step"], True, id="design"),
        pytest.param(
            ["free", "none", DESIGN["input"]],
            [*DESIGN.values(), "free output=step", "none"],
            True,
            id="design-and-run",
        ),
    ],
)
def test_a_profile_with_a_design_is_selected_from(
    tmp_path: Path, wanted: list[str], labels: list[str], whole: bool
):
    """Only what is named: a design by `free`, a run of it by its label."""
    selected = select(_profile(tmp_path, **WITH_DESIGN), wanted)
    assert sorted(point.label for point, _ in selected.points) == sorted(labels)
    assert [stage for _, stage in selected.points].count(FACTORIAL) == (4 if whole else 0)


@pytest.mark.parametrize("wanted", [[DESIGN["input"]], ["none"], ["free"], ["naive"]])
def test_a_run_of_a_design_stays_one(tmp_path: Path, wanted: list[str]):
    """Effects are estimated from it, whichever part of the profile was run alone."""
    profile, store = _profile(tmp_path, **WITH_DESIGN), Store.of(tmp_path, "mine", "quick")
    for part in (profile, select(profile, wanted)):
        register(enumerate_trials(part, load_corpus("toy")), store, Listed.of(profile))
    rows = [row for row in store.cells().to_pylist() if row["stage"] == FACTORIAL]
    assert {row["label"] for row in rows} == {*DESIGN.values(), "free output=step"}
    assert sorted(row["position"] for row in rows) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("strategy", "without"),
    [
        ('name = "recurrent"', '"input"'),
        ('name = "zaremba2014", rate = [0, 0.5]', '["input", "output|cell"]'),
        ('name = "free", input = "step"', '"output"'),
        ('name = "none"', '"each"'),
        ('name = "recurrent", rate = 0', '"recurrent"'),
    ],
)
def test_an_edge_where_nothing_drops_is_not_left_out(
    tmp_path: Path, refused: Any, strategy: str, without: str
):
    """The point would claim an ablation, and be the whole again."""
    with refused(StudyMistakes, paths=("profiles.quick.strategies[0].without",)):
        _profile(tmp_path, strategies=f"[{{{strategy}, without = {without}}}]")


@pytest.mark.parametrize("without", ['"inputt"', "3", '["input", "gate"]', '""', '["input", "|"]'])
def test_an_edge_that_does_not_exist_has_its_words(tmp_path: Path, refused: Any, without: str):
    """With the edges that there are."""
    with refused(AblateError):
        _profile(tmp_path, strategies=f'[{{name = "merity2017", without = {without}}}]')


def test_a_design_is_points_of_free(tmp_path: Path):
    """The first drops nowhere; all have the stage of a design, those of strategies none."""
    profile = _profile(
        tmp_path,
        factorial='{edges = ["input", "weight", "cell"], rate = 0.3, sharing = "window"}',
        strategies='[{name = "naive"}]',
        net="{layers = 2, hidden = 4}",
    )
    assert [stage for _, stage in profile.points] == [FACTORIAL] * 8 + [None]
    placements = [point.place(LSTM) for point, _ in profile.points[:8]]
    assert placements[0] == Placement()
    assert len(set(placements)) == 8
    drops = get("input").place(rate=0.3, sharing="window") | get("weight").place(rate=0.3)
    assert placements[-1] == drops | get("cell").place(rate=0.3, sharing="window")
    entries = enumerate_trials(profile, load_corpus("toy"))
    assert [entry.stage for entry in entries] == [FACTORIAL] * 8 + [None]


def test_a_design_stands_alone(tmp_path: Path):
    """A profile with a design needs no strategies; its baseline may be a run."""
    path = write_file(tmp_path / "mine.toml", "toy", factorial='{edges = ["input", "output"]}')
    lines = [line for line in path.read_text().splitlines() if not line.startswith("strategies")]
    at = lines.index("[profiles.quick]") + 1
    path.write_text("\n".join([*lines[:at], 'baseline = "free input=step"', *lines[at:]]))
    profile = read_study(path).profile()
    assert (profile.strategies, profile.baseline) == ((), "free input=step")
    assert len(profile.points) == 4


@pytest.mark.parametrize(
    "factorial",
    [
        '{edges = ["input"]}',
        '{edges = ["input", "input"]}',
        '{edges = ["input", "outputt"]}',
        '{edges = "input"}',
        '{edges = ["input", "output"], resolution = 7}',
        '{edges = ["input", "output"], rate = 1.0}',
        '{edges = ["input", "output"], sharing = "epoch"}',
        '{edge = ["input", "output"]}',
        "{}",
    ],
)
def test_a_mistake_in_a_design_has_its_words(tmp_path: Path, refused: Any, factorial: str):
    """What is allowed, and what was given."""
    with refused(AblateError):
        _profile(tmp_path, factorial=factorial)


@pytest.mark.parametrize(
    ("factorial", "cells", "path"),
    [
        pytest.param('edges = ["input", "hidden"]', '["gru", "lstm"]', "", id="fill"),
        pytest.param('edges = ["input", "cell"], rate = 1e-12', '"lstm"', ".rate", id="rate"),
    ],
)
def test_what_does_not_fit_in_a_design_is_a_mistake_of_the_file(
    tmp_path: Path, refused: Any, factorial: str, cells: str, path: str
):
    """In the design's words, once, whatever the number of runs and nets."""
    net = f"{{layers = 1, hidden = 4, cell = {cells}}}"
    with refused(StudyMistakes, paths=(f"profiles.quick.factorial{path}",)):
        _profile(tmp_path, factorial=f"{{{factorial}}}", net=net)


@pytest.mark.parametrize(
    ("baseline", "factorial", "strategies", "path"),
    [
        ("free", '{edges = ["input"]}', '[{name = "none"}]', "factorial"),
        ("free input=step", "{}", '[{name = "none"}]', "factorial.edges"),
        ("free", '{edges = "input"}', '[{name = "free", input = ["step", "window"]}]', ".edges"),
        ("zaremba2014", "", '[{name = "zaremba2014", rate = [0.1, 0.2, 2]}]', "strategies[0].rate"),
    ],
)
def test_a_baseline_beside_another_mistake_is_no_second_one(
    tmp_path: Path, baseline: str, factorial: str, strategies: str, path: str
):
    """Which points there will be is not known yet."""
    given = {"baseline": f'"{baseline}"', "strategies": strategies}
    with pytest.raises(StudyMistakes) as raised:
        _profile(tmp_path, **given, **({"factorial": factorial} if factorial else {}))
    (found,) = raised.value.paths
    assert path in found


@pytest.mark.parametrize("own", ["{}", '{input = "step"}', '{output = ["off", "window"]}'])
@pytest.mark.parametrize("baseline", ["free", "free input=step input_rate=.5"])
def test_a_run_that_is_listed_too_is_one_point(tmp_path: Path, own: str, baseline: str):
    """It has one label, which may be the baseline's."""
    table = own.replace("{", '{name = "free", input_rate = 0.5, ', 1).replace(", }", "}")
    profile = _profile(
        tmp_path,
        baseline=f'"{baseline}"',
        factorial='{edges = ["input", "output"], rate = 0.5}',
        strategies=f'[{{name = "free"}}, {table}]',
    )
    labels = [point.label for point, _ in profile.points]
    assert profile.baseline == baseline
    assert len(set(labels)) == len(labels)


def test_a_design_within_a_search_is_refused(tmp_path: Path, refused: Any):
    """None of the two is passed over in silence."""
    path = write_file(
        tmp_path / "mine.toml", "toy", tune="{trials = 3}", factorial='{edges = ["input", "cell"]}'
    )
    text = path.read_text().replace("rate = [0.25, 0.5]", "rate = 0.5")
    path.write_text(text.replace("seeds = 1\n", ""))
    with refused(AblateError):
        read_study(path)


def test_the_shipped_profiles_have_their_sizes():
    """48 runs of a design, a bundle of five edges with `none`, and searches of 16 points."""
    study = find_study("placement")[0]
    sizes = {name: len(study.profile(name).points) for name in ("factorial", "without", "tuned")}
    assert sizes == {"factorial": 16, "without": 7, "tuned": 7}
    tune = study.profile("tuned").tune
    assert tune is not None
    assert (tune.trials, tune.then, study.profile("tuned").seeds) == (16, 3, (1, 2, 3, 4))


def test_a_search_is_changed_from_the_command_line():
    """`--set` reaches its keys."""
    study = change(find_study("placement")[0], "tuned", {"tune.trials": 32, "tune.then": 5})
    tune = study.profile("tuned").tune
    assert tune is not None
    assert (tune.trials, tune.then, tune.sampler) == (32, 5, "random")
