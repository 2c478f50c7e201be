"""What combinations are called: what differs from the neighbours, and nothing more."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from written_stores import NET, QUICK, RECIPE

from ablate.errors import AblateError
from ablate.report import build, results
from ablate.report.combination import require_one, split
from ablate.report.frame import read_cells, read_epochs, read_trials
from ablate.report.statistics import Summary
from ablate.report.telling import name_all
from ablate.store import Store

Write = Callable[..., Store]


def row(**changed: object) -> dict[str, object]:
    """A row of `cells`, as far as it says what its combination is."""
    known = {
        "corpus": "toy", "corpus_digest": "5f0c" * 16, "text": None, "precision": "fp32",
        "net": {"layers": 1, "hidden": 8}, "recipe": {"epochs": 2, "learning_rate": 1.0},
    }  # fmt: skip
    known |= changed
    return known | {part: json.dumps(known[part]) for part in ("net", "recipe")}


TIMES = "\N{MULTIPLICATION SIGN}"
HEAD = f"toy, LSTM 1 {TIMES} 8, fp32"


@pytest.mark.parametrize(
    ("other", "names"),
    [
        pytest.param(
            {"recipe": {"epochs": 1, "learning_rate": 0.5}},
            [f"{HEAD}, epochs 2, learning rate 1", f"{HEAD}, epochs 1, learning rate 0.5"],
            id="recipe",
        ),
        pytest.param(
            {"net": {"layers": 2, "hidden": 8}}, [HEAD, HEAD.replace("LSTM 1", "LSTM 2")], id="net"
        ),
        pytest.param({"precision": "bf16"}, [HEAD, HEAD.replace("fp32", "bf16")], id="precision"),
        pytest.param(
            {"corpus": "/somewhere/toy", "corpus_digest": "ab12" * 16},
            [f"{HEAD}, corpus 5f0c5f0c", f"{HEAD}, corpus ab12ab12"],
            id="text of equal name",
        ),
        pytest.param(
            {"text": '{"min_count":2,"lowercase":true}', "corpus_digest": "ab12" * 16},
            [HEAD, HEAD.replace("toy", "toy (lowercase, min_count 2)")],
            id="options of the text",
        ),
        pytest.param(
            {"recipe": {"epochs": 2, "learning_rate": 1.0, "headline": "best"}},
            [HEAD, f"{HEAD}, headline best"],
            id="a field that only one has",
        ),
        pytest.param(
            {"recipe": {"epochs": 2, "learning_rate": 1.0000000001}},
            [f"{HEAD}, learning rate 1", f"{HEAD}, learning rate 1.0000000001"],
            id="hardly another rate",
        ),
    ],
)
def test_a_name_says_what_differs(other: dict[str, object], names: list[str]):
    """Two combinations have two names, and two names of files."""
    found, slugs = name_all([row(), row(**other)])
    assert found == names
    assert len(set(slugs)) == 2
    assert all(slug.replace("-", "").isalnum() for slug in slugs)


def test_one_combination_is_not_told_from_others():
    """The only one has the short name, and no prefix to its files."""
    assert name_all([row()]) == ([HEAD], [""])


@pytest.fixture
def three_recipes(write: Write, tmp_path: Path) -> Path:
    """One study under three recipes, the last of which was run first."""
    for epochs, started in ((2, "2026-03-01"), (1, "2026-03-03"), (4, "2026-02-01")):
        recipe = {**RECIPE, "epochs": epochs}
        also = {"started_at": f"{started}T08:00:00+00:00"}
        write(tmp_path, points=QUICK[:2], seeds=1, recipe=recipe, also=also)
    return tmp_path


@pytest.mark.usefixtures("without_figures")
def test_headings_differ_and_the_newest_is_first(three_recipes: Path):
    """Text, page and its contents name each combination, with the date of its first trial."""
    [report] = build(three_recipes)
    heads = [line for line in report.text.splitlines() if line.startswith("placement (quick)")]
    assert [line.split("epochs ")[1][0] for line in heads] == ["1", "2", "4"]
    assert "first trial 2026-03-03 08:00 UTC" in heads[0]
    page = report.page.read_text(encoding="utf-8")
    for epochs in (1, 2, 4):
        assert page.count(f"fp32, epochs {epochs}, first trial") == 2
    tables = sorted(path.name for path in report.page.parent.glob("*.csv"))
    assert tables == [f"ptb-tenth-2x200-fp32-epochs-{epochs}-table.csv" for epochs in (1, 2, 4)]


def test_one_label_in_three_combinations_is_three_groups(three_recipes: Path):
    """The frame has a column to group by, so that nothing is pooled."""
    frame = results("placement", results=three_recipes)
    counts = frame.groupby(["combination", "label"]).valid_ppl.agg(["mean", "count"])
    assert len(counts) == 6
    assert (counts["count"] == 1).all()


def test_the_mend_of_a_mixed_frame_runs(three_recipes: Path, refused):
    """What the error tells a user to write takes one combination."""
    frame = results("placement", results=three_recipes)
    with refused(AblateError, given=("recipe",)) as raised:
        require_one(frame)
    mend = str(raised.value).partition("e.g. ")[2]
    assert Summary()(eval(mend))["n"].tolist() == [1, 1]


def test_one_combination_has_one_value(write: Write, tmp_path: Path):
    """A study that was run with one recipe has one name in its column."""
    write(tmp_path, points=QUICK[:2])
    frame = results("placement", results=tmp_path)
    assert frame["combination"].unique().tolist() == [f"ptb-tenth, LSTM 2 {TIMES} 200, fp32"]


@pytest.mark.parametrize(
    ("net", "recipe"),
    [
        pytest.param({**NET, "embedding": 200}, RECIPE, id="a width written out"),
        pytest.param({"layers": 2, "hidden": 200}, RECIPE, id="a width left out"),
        pytest.param(NET, {**RECIPE, "evaluation_streams": 20}, id="a field of a later version"),
    ],
)
def test_one_key_is_one_combination_however_it_is_spelled(
    net: dict, recipe: dict, write: Write, tmp_path: Path
):
    """Cells that a later run writes anew keep the trials that an earlier one stored."""
    store = write(tmp_path, points=QUICK[:2], seeds=2)
    texts = {"net": json.dumps(net), "recipe": json.dumps(recipe)}
    store.write_cells([row | texts for row in store.cells().to_pylist()[:2]])
    cells = read_cells(store)
    [part] = split(read_trials(store), read_epochs(store), cells)
    assert len(part.trials) == 4
    assert part.missing.empty
