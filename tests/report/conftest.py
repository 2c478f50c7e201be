"""Stores with plausible numbers: the reports' tests train nothing."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from written_stores import NET, QUICK, Point, write_study

from ablate.report.figures import PLOTS, Drawn
from ablate.store import Store


@pytest.fixture
def write() -> Callable[..., Store]:
    """`write_study`, for tests that need a store of their own."""
    return write_study


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: for what a report says in words."""
    monkeypatch.setattr("ablate.report.write.draw_figures", lambda part: ())


@pytest.fixture
def squares_for_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A square for each figure: for what becomes of the files, whatever they show."""
    square = '<svg width="1pt" height="1pt"><path d="M 0 0 H 1 V 1 H 0 z"/></svg>'
    plots = [plot for plot in PLOTS if plot.tells is None]
    drawn = tuple(
        Drawn(plot.name, plot.title, "A square.", square, b"square", "x\n1\n") for plot in plots
    )
    monkeypatch.setattr("ablate.report.write.draw_figures", lambda part: drawn)


@pytest.fixture
def write_few() -> Callable[..., Store]:
    """`write_study` with three placements, for tests that draw what they write."""
    return partial(write_study, points=QUICK[:3])


@pytest.fixture
def write_scheduled() -> Callable[..., Store]:
    """`write_study` with a placement that has a schedule."""
    return partial(write_study, points=(Point("none"), Point("morerio2017", {}, 130, 215)))


@pytest.fixture(scope="session")
def three_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: three seeds of which two diverged, one failed and three are to run."""
    folder = tmp_path_factory.mktemp("three")
    write_study(
        folder,
        seeds=3,
        diverged=((8, 2), (2, 1)),
        failed=((3, 1),),
        pending=((5, 3), (9, 3), (10, 3)),
    )
    return folder


@pytest.fixture(scope="session")
def two_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: the quick study as it is shipped, two seeds and a swept baseline."""
    folder = tmp_path_factory.mktemp("two")
    write_study(folder, baseline="zaremba2014 .5")
    return folder


@pytest.fixture(scope="session")
def one_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: a run that was stopped after eight trials of the first seed."""
    folder = tmp_path_factory.mktemp("one")
    pending = tuple((point, 1) for point in range(8, 14))
    write_study(folder, seeds=1, baseline="zaremba2014 .5", pending=pending)
    return folder


@pytest.fixture(scope="session")
def two_combinations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: one study on two nets, the second only begun with one seed."""
    folder = tmp_path_factory.mktemp("combinations")
    write_study(folder, points=QUICK[:3])
    write_study(folder, points=QUICK[:3], seeds=1, net={**NET, "hidden": 650})
    return folder


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: eight sweeps of five rates, more than a figure can name."""
    names = ("zaremba2014", "locked", "input", "output", "recurrent", "hidden", "cell", "naive")
    points = [Point("none", {}, 76, 262)]
    for index, name in enumerate(names):
        for rate in (0.1, 0.25, 0.4, 0.5, 0.65):
            valid = 212 + 4 * index + 200 * (rate - 0.3 - 0.03 * index) ** 2
            points.append(Point(name, {"rate": rate}, 90 + 150 * rate, valid))
    folder = tmp_path_factory.mktemp("sweeps")
    write_study(folder, points=tuple(points))
    return folder
