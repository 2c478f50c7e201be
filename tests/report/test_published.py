"""Published numbers: each row of the file, what fits a combination, and the panel beside it."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import written_stores
from drawing import seeded
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from read_stores import combinations_of
from tuned_stores import RATE
from written_stores import NET, Point

from ablate.report import published
from ablate.report.combination import Combination
from ablate.report.ensemble import ensemble_perplexity, tokens_of
from ablate.report.panels import panels_of
from ablate.report.published import SPLITS, Published, all_published, published_for, read_published
from ablate.stages import SEARCH, THEN
from ablate.store import Store
from ablate.training.recipe import PRESETS

SMALL = PRESETS["zaremba-small"].recipe.model_dump()
MEDIUM = PRESETS["zaremba-medium"].recipe.model_dump()
ROWS = all_published()
#: Two searches of one placement, and the learning rate that each drew.
TUNED = {"none": 0.7, "other": 0.5}


@pytest.fixture
def write_ptb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Store]:
    """`write_study` on the whole Penn Treebank, or another corpus."""
    rows_of = written_stores.trial_rows

    def write(*, corpus: str = "ptb", **given: Any) -> Store:
        def on_corpus(*arguments: Any) -> tuple[dict, dict]:
            cell, trial = rows_of(*arguments)
            return cell | {"corpus": corpus}, trial | {"corpus": corpus}

        monkeypatch.setattr(written_stores, "trial_rows", on_corpus)
        return written_stores.write_study(tmp_path, **{"net": NET, "recipe": SMALL} | given)

    return write


def part_of(store: Store) -> Combination:
    """The one combination of a store."""
    (part,) = combinations_of(store.folder.parents[1])
    return part


def rows_of(store: Store) -> pd.DataFrame:
    """The rows of the panel, which is the only one."""
    (panel,) = panels_of(part_of(store), store)
    assert panel.name == published.NAME
    return panel.rows


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.source}-{row.row}") for row in ROWS])
def test_every_published_row_can_be_trained_here(row: Published) -> None:
    """Its placement is one for its net, its perplexities are numbers, its source has an address."""
    row.placed.check(row.net.layers, row.net.of_cell)
    assert row.perplexities
    assert all(math.isfinite(value) for value in row.perplexities.values())
    assert row.paper.startswith(("arXiv:", "https://"))
    assert row.preset is None or PRESETS[row.preset].net == row.net


def test_no_result_stands_twice() -> None:
    """A row of a table is one result."""
    names = [(row.paper, row.table, row.row) for row in ROWS]
    assert len(set(names)) == len(names)


def test_the_ensembles_are_those_of_the_paper() -> None:
    """Table 1 of arXiv:1409.2329: each net alone and averaged; more models are better."""
    table = [row for row in ROWS if row.paper == "arXiv:1409.2329"]
    models = {hidden: [r.models for r in table if r.net.hidden == hidden] for hidden in (200, 650)}
    assert models == {200: [1, 2, 5, 10], 650: [1, 2, 5, 10]}
    for hidden in (200, 650, 1500):
        tests = [row.test for row in table if row.net.hidden == hidden]
        assert tests == sorted(tests, reverse=True)


ROW = """
[[result]]
source = "Somebody 2020"
paper = "arXiv:2001.00001"
table = "table 1"
row = "none"
corpus = "ptb"
net = {layers = 2, hidden = 200}
placement = {name = "zaremba2014", rate = 0.5}
preset = "zaremba-small"
read = "source"
valid = 100.0
"""


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        pytest.param('"zaremba2014"', '"zaremba2015"', id="strategy"),
        pytest.param("rate = 0.5", "rate = 1.5", id="rate"),
        pytest.param("rate = 0.5", "rte = 0.5", id="argument"),
        pytest.param('source = "Somebody 2020"\n', "", id="source"),
        pytest.param('paper = "arXiv:2001.00001"\n', 'paper = "somewhere"\n', id="address"),
        pytest.param("valid = 100.0", "valid = inf", id="infinite"),
        pytest.param("valid = 100.0", "valid = nan", id="nan"),
        pytest.param("valid = 100.0", "", id="no-number"),
        pytest.param("valid = 100.0", "valid = 0.5", id="below-one"),
        pytest.param('"ptb"', '"ptv"', id="corpus"),
        pytest.param('"zaremba-small"', '"zaremba-tiny"', id="preset"),
        pytest.param("hidden = 200", 'hidden = 200, cell = "lstn"', id="cell"),
        pytest.param('read = "source"', 'read = "heard"', id="read"),
        pytest.param("valid = 100.0", "running = 50.0\nmodels = 2", id="ensemble-in-training"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(line: str, instead: str, refused: Any) -> None:
    """The file is checked as a study file is: what, and in which result."""
    assert len(read_published(ROW)) == 1
    assert line in ROW
    with refused():
        read_published(ROW.replace(line, instead))


def test_a_part_of_a_corpus_has_no_panel(write_ptb: Callable[..., Store]) -> None:
    """Nobody published numbers of a tenth of the Penn Treebank."""
    store = write_ptb(corpus="ptb-tenth", points=(Point("none"),))
    assert panels_of(part_of(store), store) == ()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"net": {**NET, "hidden": 201}}, id="hidden"),
        pytest.param({"net": {**NET, "embedding": 100}}, id="embedding"),
        pytest.param({"net": {**NET, "cell": "gru"}}, id="cell"),
        pytest.param({"points": (Point("zaremba2014", {"rate": 0.5}),)}, id="placement"),
        pytest.param({"corpus": "./ptb"}, id="folder"),
    ],
)
def test_another_net_placement_or_text_fits_nothing(
    write_ptb: Callable[..., Store], other: dict
) -> None:
    """What is not the same is not set beside it."""
    store = write_ptb(**{"points": (Point("none"),)} | other)
    assert published_for(part_of(store)) == ()


def test_measured_stands_beside_published(write_ptb: Callable[..., Store]) -> None:
    """Mean and interval over seeds, the published number, and their difference."""
    store = write_ptb(points=(Point("none", {}, 43, 118),), seeds=3)
    part, rows = part_of(store), rows_of(store)
    alone = rows[(rows["models"] == 1) & (rows["paper"] == "arXiv:1409.2329")]
    assert alone["split"].tolist() == ["valid", "test"]
    assert alone["published"].tolist() == [120.7, 114.5]
    assert alone["n"].tolist() == [3, 3]
    means = [part.trials["valid_ppl"].mean(), part.trials["test_ppl"].mean()]
    assert alone["measured"].tolist() == pytest.approx(means)
    assert alone["difference"].tolist() == pytest.approx(np.array(means) - [120.7, 114.5])
    half = alone["measured_high"] - alone["measured"]
    assert (alone["difference_high"] - alone["difference"]).tolist() == pytest.approx(half.tolist())
    assert (alone["differs"] == "").all()


def test_training_with_dropout_on_stands_beside_the_same(write_ptb: Callable[..., Store]) -> None:
    """TensorFlow's train column is measured while it trains, and so is ours beside it."""
    store = write_ptb(points=(Point("none", {}, 43, 118),))
    rows = rows_of(store)
    (row,) = rows[rows["split"] == SPLITS["running"][0]].to_dict("records")
    assert row["published"] == 37.99
    assert row["measured"] == pytest.approx(np.exp(part_of(store).trials["running_nll"]).mean())


def test_another_recipe_is_said(write_ptb: Callable[..., Store]) -> None:
    """A number of another recipe is shown, and what differs beside it."""
    recipe = SMALL | {"epochs": 8, "hold": 5}
    rows = rows_of(write_ptb(points=(Point("none"),), recipe=recipe))
    assert set(rows["differs"]) == {"epochs 8, there 13; hold 5, there 4"}


def test_what_a_search_drew_of_the_recipe_is_said(write_ptb: Callable[..., Store]) -> None:
    """A tuned point was trained at its own learning rate, and is pooled with no other."""
    store = write_ptb(points=(Point("none", {}, 43, 118),), seeds=4)
    rows = store.cells().to_pylist()
    plan = [(name, rate, stage) for name, rate in TUNED.items() for stage in (SEARCH, THEN)]
    store.drop_names(rows)
    store.write_cells(
        row | {"arguments": json.dumps({RATE: rate}), "search": name, "number": 1, "stage": stage}
        for row, (name, rate, stage) in zip(rows, plan, strict=True)
    )
    alone = [match for match in published_for(part_of(store)) if match.published.preset]
    assert {(match.label, match.differs) for match in alone} == {
        ("none", "learning rate 0.7, there 1"),
        ("other", "learning rate 0.5, there 1"),
    }
    assert {len(match.trials) for match in alone} == {1}


def test_a_recipe_that_is_no_preset_is_said_in_words(write_ptb: Callable[..., Store]) -> None:
    """Flipout's rows fit the medium net, and never its recipe."""
    net = {**NET, "hidden": 650}
    points = (Point("none"), Point("zaremba2014", {"rate": 0.5}))
    rows = rows_of(write_ptb(points=points, net=net, recipe=MEDIUM))
    none = rows[rows["label"] == "none"]
    assert none["published"].tolist() == [132.23, 128.97]
    assert none["differs"].str.contains("100 epochs").all()
    alone = rows[(rows["models"] == 1) & (rows["split"] == "valid")]
    zaremba = alone[alone["label"] == "zaremba2014 .5"]
    assert zaremba["published"].tolist() == [86.2, 86.16, 80.40]
    assert zaremba["differs"].tolist()[:2] == ["", ""]
    assert "decays by .8" in zaremba["departs"].tolist()[1]


def test_ensembles_are_of_the_first_seeds(write_ptb: Callable[..., Store]) -> None:
    """Two and five of six seeds; ten there are not."""
    store = write_ptb(points=(Point("none"),), seeds=6)
    rows = rows_of(store)
    several = rows[rows["models"] > 1]
    assert several["models"].tolist() == [2, 2, 5, 5]
    assert several["published"].tolist() == [100.4, 96.1, 87.9, 84.1]
    log_probs = [written_stores._tokens(seed)["valid"] for seed in (1, 2)]
    mixed = np.exp(log_probs).mean(axis=0)
    assert several["measured"].tolist()[0] == pytest.approx(np.exp(-np.log(mixed).mean()), rel=1e-5)


def test_without_tokens_there_is_no_ensemble(write_ptb: Callable[..., Store]) -> None:
    """Tables that were copied without tokens have single models alone."""
    store = write_ptb(points=(Point("none"),), seeds=2)
    for file in (store.folder / "tokens").iterdir():
        trial = file.stem.rpartition("-")[0]
        written_stores.rewrite(store, "tokens", trial, lambda row: {"split": "train"})
    assert (rows_of(store)["models"] == 1).all()
    (panel,) = panels_of(part_of(store))
    assert (panel.rows["models"] == 1).all()


def test_a_damaged_file_of_tokens_is_left_out(write_ptb: Callable[..., Store]) -> None:
    """The report is made without that model."""
    store = write_ptb(points=(Point("none"),), seeds=3)
    first = min(store.trials().to_pylist(), key=lambda row: row["seed"])["key"]
    (store.folder / "tokens" / f"{first}-1.parquet").write_bytes(b"torn")
    found = tokens_of(store)(tuple(part_of(store).trials["key"]))
    assert len(found) == 2
    assert rows_of(store)["models"].tolist().count(2) == 2


def test_a_trial_that_was_lost_is_in_no_mean(write_ptb: Callable[..., Store]) -> None:
    """Diverged and failed ones have no number; without any other there is no panel."""
    lost = {"diverged": ((0, 1),), "failed": ((0, 2),)}
    store = write_ptb(points=(Point("none"),), seeds=3, **lost)
    assert set(rows_of(store)["n"]) == {1}


def test_the_panel_in_every_form(write_ptb: Callable[..., Store]) -> None:
    """Numbers in full as CSV, and entries to read with source and mark."""
    store = write_ptb(points=(Point("none", {}, 43, 118),), seeds=3)
    (panel,) = panels_of(part_of(store), store)
    assert panel.title == published.TITLE
    assert "Zaremba et al. 2014, table 1 (quoted)" in panel.markdown()
    assert "Quoted, and not read in the source itself: Zaremba et al. 2014." in panel.caption
    assert "recipe" not in panel.text()
    assert max(map(len, panel.text(100).splitlines())) <= 100
    assert panel.csv().splitlines()[0].startswith("label,split,models,n,measured,")


LOG_PROBS = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=st.floats(-30, 0)
)


@seeded(60)
@given(LOG_PROBS)
def test_an_ensemble_is_at_most_the_geometric_mean_of_its_models(log_probs: np.ndarray) -> None:
    """Jensen's inequality; of equal models it is each of them; the order of models is nothing."""
    found = ensemble_perplexity(list(log_probs))
    models = [ensemble_perplexity([own]) for own in log_probs]
    assert models == pytest.approx(np.exp(-log_probs.mean(axis=1)))
    assert found <= np.exp(np.log(models).mean()) * (1 + 1e-9)
    assert ensemble_perplexity(list(log_probs[::-1])) == pytest.approx(found)
    assert ensemble_perplexity([log_probs[0]] * 3) == pytest.approx(models[0])
