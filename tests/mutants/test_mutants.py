"""Every dropout bug of the field, planted in our code, is caught by a law test that ships."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutants.bugs import BUGS, MUTANTS, rows
from mutants.mutant import planted

from ablate.engine import looped, reference

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of each law test under each mutant, from a process of their own."""
    saved = tmp_path_factory.mktemp("mutants") / "outcomes.json"
    done = subprocess.run(
        [sys.executable, "-m", "mutants.run", str(saved)],
        cwd=TESTS.parent,
        env=os.environ | {"PYTHONPATH": str(TESTS), "ABLATE_COMPILE": "0"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return json.loads(saved.read_text())


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=f"{name}-{MUTANTS[name].what}") for name in MUTANTS]
)
def test_a_mutant_is_caught(name, outcomes):
    """Each law test that is named for it fails, by an assertion and not by a crash."""
    assert outcomes[name] == dict.fromkeys(MUTANTS[name].caught_by, "failed")


@pytest.mark.parametrize("when", ["before", "after"])
def test_without_a_mutant_the_same_tests_pass(when, outcomes):
    """What fails above fails of the mutant, and no mutant outlives its turn."""
    assert set(outcomes[when].values()) == {"passed"}
    assert set(outcomes[when]) == {node for m in MUTANTS.values() for node in m.caught_by}


def test_all_fifteen_bugs_are_planted():
    """Each has a mutant, each mutant a test, and each row of the table a number."""
    assert [bug.number for bug in BUGS] == list(range(1, 16))
    assert all(bug.mutants for bug in BUGS)
    assert all(mutant.caught_by for mutant in MUTANTS.values())
    assert [row[0] for row in rows()] == [str(number) for number in range(1, 16)]


def test_a_mutant_is_planted_wherever_the_function_is_held():
    """Names that other modules imported change with it, and change back."""
    mutant = MUTANTS["3"]
    assert looped.masked is reference.masked is mutant.shipped
    with planted(mutant):
        assert looped.masked is reference.masked is not mutant.shipped
    assert looped.masked is reference.masked is mutant.shipped
