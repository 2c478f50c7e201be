"""A bench's JSON: written whole, read with a sentence for what is not one."""

import json
from pathlib import Path

from ablate.errors import AblateError
from bench.run import SCHEMA, Report


def write(report: Report, path: Path) -> None:
    """Write a report; raises AblateError where the file cannot be written."""
    try:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise AblateError(f"--json {path} cannot be written: {error.strerror}") from error


def read(path: Path) -> Report:
    """The report of an earlier run; raises AblateError where the file holds none."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AblateError(f"--from {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise AblateError(
            f"--from {path} is no JSON: {error}; give what `bench --json FILE` wrote"
        ) from error
    if not isinstance(report, dict) or "machine" not in report or "schema" not in report:
        raise AblateError(f"--from {path} is no bench; give what `bench --json FILE` wrote")
    if report["schema"] != SCHEMA:
        raise AblateError(
            f"--from {path} is of schema {report['schema']} and this ablate reads {SCHEMA}; run "
            "the bench again"
        )
    return report
