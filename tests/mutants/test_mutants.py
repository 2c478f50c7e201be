"""Every dropout bug of the field, planted in our code, is caught by a law test that ships."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mutants import seams
from mutants.bugs import BUGS, MUTANTS, rows
from mutants.mutant import Seam, planted

from ablate.cells import LSTM
from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine import step
from ablate.engine.layers import looped, reference
from ablate.engine.sites import site_of

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


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, id=f"{name}-{MUTANTS[name].what}") for name in MUTANTS]
)
def test_a_mutant_is_caught(name, outcomes):
    """Each law test that is named for it fails, by an assertion and not by a crash."""
    assert outcomes[name] == dict.fromkeys(MUTANTS[name].caught_by, "failed")


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_without_a_mutant_the_same_tests_pass(when, outcomes):
    """What fails above fails of the mutant, and no mutant outlives its turn."""
    assert set(outcomes[when].values()) == {"passed"}
    assert set(outcomes[when]) == {node for m in MUTANTS.values() for node in m.caught_by}


def test_every_bug_is_planted():
    """Each has a mutant, each mutant a test, and each row of the table a number."""
    assert [bug.number for bug in BUGS] == list(range(1, 19))
    assert all(bug.mutants for bug in BUGS)
    assert all(mutant.caught_by for mutant in MUTANTS.values())
    assert [row[0] for row in rows()] == [str(number) for number in range(1, 19)]


def test_a_mutant_is_planted_wherever_the_function_is_held():
    """Names that other modules imported change with it, and change back."""
    shipped = reference.masked
    assert looped.masked is shipped
    with planted(MUTANTS["3"]):
        assert looped.masked is reference.masked is not shipped
    assert looped.masked is reference.masked is shipped


def test_a_mutant_is_planted_in_the_class_of_its_method():
    """A method is another within, a class method still one of its class; both are put right."""
    for name in ("10", "1"):
        seam = MUTANTS[name].seam
        shipped = seam.held
        with planted(MUTANTS[name]):
            assert seam.held is not shipped
            assert type(seam.held) is type(shipped)
        assert seam.held is shipped


def test_kernels_are_traced_anew_for_a_mutant():
    """A step's kernel that was made before does not outlive the function it was traced from."""
    kind = step.KernelSpec(LSTM, (site_of(Edge.CARRY, Fill.HOLD),), bias=False)

    def cell() -> torch.Tensor:
        """c_t of one unit whose old cell is 1, is held, and whose gates are all open halfway."""
        kernel = step.kernels(kind)
        zeros, one = torch.zeros(1, 1, 4, 1), torch.ones(1, 1, 1)
        made = kernel.forward(zeros, zeros, torch.zeros(1, 1, 1), one, torch.zeros(1, 1, 1))
        return made[kernel.places[1]]

    assert cell().item() == 1.0
    with planted(MUTANTS["11c"]):
        assert cell().item() == 0.5
    assert cell().item() == 1.0


def test_every_seam_has_a_mutant():
    """Where no bug is planted there is no seam, and no two are one place."""
    named = [value for value in vars(seams).values() if isinstance(value, Seam)]
    assert set(named) == {mutant.seam for mutant in MUTANTS.values()}
    assert len(set(named)) == len(named)
