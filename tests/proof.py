"""The table of bugs in docs/audit.md: what catches each in our code, and in one of the field."""

import re

from auditing.field.table import SUBJECTS, WORDS
from mutants.bugs import rows

HEAD = ("", "bug", "where it shipped", "planted in ablate, caught by", "`ablate audit` says")


def table() -> str:
    """The table in Markdown, a row a bug; the audit's sentence is that of the first such module."""
    said: dict[str, str] = {}
    for subject in (*SUBJECTS, *WORDS):
        said.setdefault(re.match(r"\d+", subject.bug)[0], subject.sentence)
    lines = [HEAD, tuple("---" for _ in HEAD)]
    lines += [
        (number, what, where, _names(tests), said.get(number, "a trainer's bug, in no module"))
        for number, what, where, tests in rows()
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _names(tests: str) -> str:
    """The law tests without their cases."""
    return re.sub(r" \([^)]*\)", "", tests)
