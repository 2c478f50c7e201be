"""Run the law tests of each mutant in one process, and of none before and after.

python -m mutants.run FILE        saves {mutant: {node id: outcome}} as JSON
"""

import json
import sys
from pathlib import Path

import pytest
from mutants.bugs import MUTANTS
from mutants.mutant import planted

ALL = tuple(dict.fromkeys(node for mutant in MUTANTS.values() for node in mutant.caught_by))


class Outcomes:
    """What became of each test: passed, failed (an assertion did not hold), or the error."""

    def __init__(self) -> None:
        self.by_node: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash else str(report.longrepr or "")
        held = report.when == "call" and message.startswith(("assert", "AssertionError", "Failed"))
        outcome = report.outcome if report.passed or held else f"{report.when}: {message}"
        self.by_node[report.nodeid] = outcome


def outcomes(nodes: tuple[str, ...]) -> dict[str, str]:
    """Run the tests of these node ids; raises RuntimeError where pytest itself stumbles."""
    seen = Outcomes()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *nodes], plugins=[seen])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code!r} on {nodes}")
    return seen.by_node


def main(path: str) -> None:
    """Run everything and save what came out."""
    found = {"before": outcomes(ALL)}
    for name, mutant in MUTANTS.items():
        with planted(mutant):
            found[name] = outcomes(mutant.caught_by)
    found["after"] = outcomes(ALL)
    Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
