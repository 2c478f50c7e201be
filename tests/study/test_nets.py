"""`net.cell`: a study names its cells, each is a net of its own, and keys of LSTM trials stay."""

import pytest
import tiny

from ablate.cells import CELLS
from ablate.compiling import eagerly
from ablate.edges import Edge
from ablate.facts import facts
from ablate.model.net import Net
from ablate.report.telling import net_words
from ablate.store import Store
from ablate.study.file import Study, parse_study
from ablate.study.points import distinct
from ablate.study.schema import StudyMistakes

TIMES = "\N{MULTIPLICATION SIGN}"
RECIPE = {
    "unroll": 10, "batch": 10, "learning_rate": 1.0, "epochs": 2, "hold": 2, "divide": 2.0,
    "clip": 5.0, "init": 0.1,
}  # fmt: skip


def study(cell: object, *strategies: dict[str, object], **more: object) -> Study:
    profile = {
        "corpus": "toy", "net": {"layers": 2, "hidden": 8, "cell": cell}, "recipe": RECIPE,
        "seeds": 2, "precision": "fp32", "strategies": list(strategies), **more,
    }  # fmt: skip
    table = {"question": "?", "profiles": {"quick": profile}}
    return parse_study(table, name="tiny", where="study 'tiny'")


def test_the_cell_that_is_left_out_is_the_lstm_and_enters_no_key():
    """So every trial that is stored is found again."""
    assert facts(Net(layers=2, hidden=8)) == {"layers": 2, "hidden": 8, "embedding": None}
    assert Net(layers=2, hidden=8, cell="lstm") == Net(layers=2, hidden=8)
    assert facts(Net(layers=2, hidden=8, cell="gru"))["cell"] == "gru"


@pytest.mark.parametrize("names", [["gru"], ["lstm", "rnn", "gru"], list(CELLS)])
def test_each_cell_of_a_list_is_a_net(names):
    """In the order of the list; a name alone is a list of one."""
    given = names[0] if len(names) == 1 else names
    profile = study(given, {"name": "none"}).profile()
    assert [net.cell for net in profile.net.each] == names
    assert {(net.layers, net.hidden) for net in profile.net.each} == {(2, 8)}


@pytest.mark.parametrize(
    ("cell", "path"),
    [
        pytest.param("grue", "net.cell[0]", id="misspelt"),
        pytest.param(["lstm", "rn"], "net.cell[1]", id="second"),
        pytest.param(["gru", "gru"], "net.cell", id="twice"),
        pytest.param([], "net.cell", id="none"),
        pytest.param(3, "net.cell", id="number"),
    ],
)
def test_what_is_no_cell_is_a_mistake_with_its_path(cell, path, refused):
    """What, allowed, given."""
    with refused(StudyMistakes, paths=(f"profiles.quick.{path}",)):
        study(cell, {"name": "none"})


def test_a_placement_that_a_cell_has_no_place_for_is_a_mistake(refused):
    """Each with its cell, all at once, in the file and before anything runs."""
    with refused(StudyMistakes, paths=("profiles.quick.strategies",) * 3):
        study(["lstm", "gru", "rnn"], {"name": "moon2015"}, {"name": "update"})


def test_everywhere_takes_what_each_cell_has():
    """One table of a study is another placement in each net."""
    profile = study(["lstm", "gru", "rnn"], {"name": "everywhere"}).profile()
    edges = {
        net.cell: point.place(net.of_cell).edges
        for net in profile.net.each
        for point in distinct(profile.strategies)
    }
    outside = Edge.EMBEDDING | Edge.VERTICAL | Edge.RECURRENT
    inside = Edge.HIDDEN | Edge.UPDATE | Edge.CELL | Edge.CARRY
    assert edges["lstm"] == outside | inside
    assert edges["gru"] == outside | Edge.UPDATE
    assert edges["rnn"] == outside | Edge.HIDDEN


def test_a_cell_may_have_its_own_learning_rate(refused):
    """Where it has none it has the recipe's; unknown cells and wrong rates are mistakes."""
    profile = study(
        ["lstm", "gru"], {"name": "none"}, recipe=RECIPE | {"learning_rates": {"gru": 0.5}}
    )
    rates = [profile.profile().recipe.of(net).learning_rate for net in profile.profile().net.each]
    assert rates == [1.0, 0.5]
    rates = "profiles.quick.recipe.learning_rates"
    wrong = {"gru": 0.0, "grue": 1.0, "lstm": 1e39}
    with refused(StudyMistakes, paths=tuple(f"{rates}.{cell}" for cell in wrong)):
        study("gru", {"name": "none"}, recipe=RECIPE | {"learning_rates": wrong})


def test_a_study_of_several_cells_runs_and_has_a_table_for_each(tmp_path):
    """Trials of all, in order; cells train apart; the report names each net."""
    file = tiny.write_study(tmp_path)
    file.write_text(file.read_text().replace("hidden = 4", 'hidden = 4, cell = ["lstm", "gru"]'))
    with eagerly():
        ran = tiny.run(file)
    assert ran.exit_code == 0, ran.output
    assert "gru zaremba2014 .25, seed 1: finished" in ran.output
    store = Store(tmp_path / "results" / "tiny" / "quick")
    cells = store.cells().to_pylist()
    assert len(cells) == 6
    assert {row["label"] for row in cells} == {"none", "zaremba2014 .25", "zaremba2014 .5"}
    reported = tiny.ablate("report", "--study", "tiny", "--results", tmp_path / "results")
    assert reported.exit_code == 0, reported.output
    for cell in ("LSTM", "GRU"):
        assert f"{cell} 1 {TIMES} 4" in reported.output


def test_a_net_in_words_names_its_cell():
    """What an older store wrote has no cell; what a later one writes stands as it is."""
    assert net_words({"layers": 2, "hidden": 8}) == f"LSTM 2 {TIMES} 8"
    assert net_words({"layers": 2, "hidden": 8, "cell": "rnn_relu"}) == f"RNN RELU 2 {TIMES} 8"
    assert net_words({"layers": 2, "hidden": 8, "cell": "xlstm"}) == f"xlstm 2 {TIMES} 8"


def test_what_is_chosen_alone_must_fit_another_cell(tmp_path):
    """A study's other placements may have no place there; a chosen one that has none is named."""
    file = tiny.write_study(tmp_path)
    file.write_text(file.read_text().replace('{name = "none"}', '{name = "none"}, {name = "cell"}'))
    chosen = tiny.run(file, "--set", "net.cell=gru", "--strategies", "none", "--dry-run")
    assert chosen.exit_code == 0, chosen.output
    assert "gru none" in chosen.output
    whole = tiny.run(file, "--set", "net.cell=gru")
    assert whole.exit_code == 2
    words = "  strategies: cell .25: a net of GRU cells has no edge CELL"
    assert "study 'tiny' with net.cell=gru has a mistake:" in whole.output + whole.stderr
    assert words in whole.output + whole.stderr
