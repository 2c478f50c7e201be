"""What the README and docs/audit.md show of audits and mutants is what they say today."""

import re
from pathlib import Path

import proof
import torch
from click.testing import CliRunner

import ablate
from ablate.cli import main
from ablate.study.file import find_study
from ablate.study.points import distinct

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
AUDIT = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")


def test_the_table_of_bugs_is_the_one_that_the_tests_make():
    """Every bug, where it shipped, what catches it."""
    assert proof.table() in AUDIT


def test_the_audit_of_the_stock_module_is_the_one_that_is_shown():
    """`print(ablate.audit(torch.nn.LSTM(6, 8, 2, dropout=0.5)))`."""
    assert str(ablate.audit(torch.nn.LSTM(6, 8, 2, dropout=0.5))) in README


def test_the_audit_of_a_strategy_is_the_one_that_is_shown():
    """`ablate audit zoneout`, in a terminal of 80 columns."""
    ran = CliRunner().invoke(main, ["audit", "zoneout"], env={"COLUMNS": "80"})
    assert ran.exit_code == 0
    shown = "\n".join(line.rstrip() for line in ran.output.splitlines()).strip()
    assert f"$ ablate audit zoneout\n{shown}\n" in AUDIT


def test_the_study_and_the_plugin_that_are_shown_work(tmp_path, own_strategies):
    """The plugin's file and the study's, as a reader copies them."""
    for name, language in (("sandwich.py", "python"), ("mine.toml", "toml")):
        block = re.search(rf"```{language}\n(# {re.escape(name)}.*?)```", README, re.DOTALL)
        (tmp_path / name).write_text(block[1], encoding="utf-8")
    ran = CliRunner().invoke(main, ["cite", "--study", str(tmp_path / "mine.toml")])
    assert ran.exit_code == 0, ran.output
    study, _ = find_study(str(tmp_path / "mine.toml"))
    labels = [point.label for point in distinct(study.profile().strategies)]
    assert labels == ["none", "zaremba2014 .5", "sandwich .1", "sandwich .3"]
