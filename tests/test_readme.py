"""What the README shows of the audit and of the mutants is what they say today."""

from pathlib import Path

import proof
import pytest
import torch
from click.testing import CliRunner

import ablate
from ablate.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_table_of_bugs_is_the_one_that_the_tests_make():
    """Every bug, where it shipped, what catches it."""
    assert proof.table() in README


def test_the_audit_of_the_stock_module_is_the_one_that_is_shown():
    """`print(ablate.audit(torch.nn.LSTM(6, 8, 2, dropout=0.5)))`."""
    assert str(ablate.audit(torch.nn.LSTM(6, 8, 2, dropout=0.5))) in README


@pytest.mark.parametrize("strategy", ["zaremba2014", "moon2015", "zoneout"])
def test_the_audits_of_strategies_are_those_that_are_shown(strategy):
    """`ablate audit STRATEGY`, in a terminal of 80 columns."""
    ran = CliRunner().invoke(main, ["audit", strategy], env={"COLUMNS": "80"})
    assert ran.exit_code == 0
    shown = "\n".join(line.rstrip() for line in ran.output.splitlines()).strip()
    assert f"$ ablate audit {strategy}\n{shown}\n" in README
