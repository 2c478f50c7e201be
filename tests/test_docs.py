"""What README and `docs/` show is what there is: commands, edges, columns, objects, links."""

import re
from pathlib import Path

import click
import proof
import pytest
import reference
import torch
from click.testing import CliRunner
from model import tagger
from reference import columns, commands, edges, keys, objects, strategies
from snippets import PAGES, README, ROOT, anchors, links

import ablate
from ablate.cells import CELLS, LSTM
from ablate.cli import main
from ablate.compiling import eagerly
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies import all_strategies
from ablate.testing.case import make_case, window_of
from ablate.testing.paths import assert_paths_equal

GUIDE = ROOT / "docs/guide"
BUGS = ROOT / "docs/evidence/bugs.md"
AUDIT = (GUIDE / "audit.md").read_text(encoding="utf-8")
CELLS_PAGE = (GUIDE / "cells.md").read_text(encoding="utf-8")
LONGEST_README = 150


def test_the_readme_is_one_page():
    """What is longer has its place in docs."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    """To a file, or to a page that is made from code; to a heading that the file has."""
    made = {(ROOT / f"docs/reference/{name}.md").resolve() for name in reference.PAGES}
    for target, anchor in links(page):
        if target not in made:
            assert target.exists(), target
            assert not anchor or anchor in anchors(target), f"{target}#{anchor}"


def test_the_table_of_bugs_is_the_one_that_the_tests_make():
    """Every bug, where it shipped, what catches it."""
    assert proof.table() in BUGS.read_text(encoding="utf-8")


def test_the_audit_of_the_stock_module_is_the_one_that_is_shown():
    """`print(ablate.audit(torch.nn.LSTM(6, 8, 2, dropout=0.5)))`."""
    assert str(ablate.audit(torch.nn.LSTM(6, 8, 2, dropout=0.5))) in AUDIT


@pytest.mark.slow
def test_the_audit_of_a_strategy_is_the_one_that_is_shown():
    """`ablate audit zoneout`, in a terminal of 80 columns."""
    ran = CliRunner().invoke(main, ["audit", "zoneout"], env={"COLUMNS": "80"})
    assert ran.exit_code == 0
    shown = "\n".join(line.rstrip() for line in ran.output.splitlines()).strip()
    assert f"$ ablate audit zoneout\n{shown}\n" in AUDIT


def test_the_tagger_is_the_one_that_is_shown_and_it_learns():
    """Word for word; after some updates it tags better than by guessing."""
    page = (GUIDE / "your-model.md").read_text(encoding="utf-8")
    assert f"```python\n{Path(tagger.__file__).read_text()}```" in page
    train, _ = tagger.accuracies(tagger.PLACEMENT, 1, updates=60)
    assert train > 0.5


@pytest.mark.slow
def test_the_tagger_with_dropout_tags_new_sentences_better():
    """For each of three seeds; what is learnt by heart is less."""
    for seed in (1, 2, 3):
        (train, new), (train_dropped, new_dropped) = (
            tagger.accuracies(placement, seed) for placement in (Placement(), tagger.PLACEMENT)
        )
        assert new_dropped > new + 0.02
        assert train_dropped < train


def test_the_cell_that_is_shown_is_a_cell():
    """Every path runs it, under every edge that it has."""
    shown = re.search(r"```python\n([^`]*def step.*?)```", CELLS_PAGE, re.DOTALL)[1]
    with CELLS.isolated():
        exec(compile(shown, "noo.py", "exec"), {"__name__": "noo"})
        cell = CELLS["noo"]
    assert cell.has == LSTM.has
    case = make_case(cell=cell)
    with eagerly():
        assert_paths_equal(case, Placement(), window_of(case))
        for edge in cell.has & ~Edge.EMBEDDING:
            for fill in cell.rule(edge).fills:
                assert_paths_equal(case, Placement({edge: Drop(0.3, fill=fill)}), window_of(case))


@pytest.mark.parametrize("name", main.commands)
def test_the_reference_has_every_option(name: str):
    """Of every command, as `--help` spells it."""
    page = commands.page()
    assert f"## ablate {name}\n" in page
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in page


def test_the_reference_has_every_edge_of_every_cell():
    """And what a cell lacks."""
    page = edges.page()
    assert "| EMBEDDING | " + " | ".join(["ZERO (TRAIN or TEST)"] * len(CELLS)) + " |" in page
    assert "| HIDDEN | ZERO (TRAIN or TEST), HOLD | HOLD | " in page
    assert "| CELL | ZERO (TEST), HOLD | - | - | - |" in page
    assert "| WEIGHT | source 1, unit 1, gate 1, update 1 | any |" in page


def test_the_reference_has_every_strategy():
    """With all of its docstring's first line, and its arguments."""
    page = strategies.page()
    for strategy in all_strategies():
        if strategy.plugin is None:
            section = page.partition(f"\n## {strategy.name}\n")[2].partition("\n## ")[0]
            assert section.strip().startswith(strategy.summary)
            assert all(f"`{name}`" in section for name in strategy.parameters)


@pytest.mark.parametrize("table", columns.TABLES)
def test_every_column_has_a_meaning(table: str):
    """In the store's design note, from which the reference takes it."""
    page = columns.page()
    for field in columns.TABLES[table]:
        assert columns.meaning(table, field.name), field.name
        assert f"| `{field.name}` | " in page


def test_the_reference_has_every_key_of_a_study_file():
    """With its values and its default."""
    page = keys.page()
    for _, (model, _) in keys.PARTS.items():
        assert all(f"| `{name}` | " in page for name in model.model_fields)
    assert "| `trials` | a whole number, at least 1, at most 10,000 | `16` |" in page
    assert "| `precision` | `auto`, `fp32`, `bf16` | `auto` |" in page


def test_the_reference_has_every_public_object_once():
    """Each where `objects.md` marks it."""
    page = (ROOT / "docs/reference/objects.md").read_text(encoding="utf-8")
    assert sorted(objects.MARK.findall(page)) == sorted(ablate.__all__)
    expanded = objects.expanded(page)
    assert ":::" not in expanded
    assert "| `masks(edge, *, time=None, " in expanded
    # An address in memory would be another one in the next build.
    assert " at 0x" not in expanded
