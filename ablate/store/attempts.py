"""An attempt at a trial, and the name that its files share in every table."""

import re
from typing import Final, NamedTuple, Self

_FILE: Final = re.compile(r"(?P<key>[^.].*)-(?P<number>[1-9][0-9]*)\.parquet")


class Attempt(NamedTuple):
    """The `number`-th attempt, from 1, at the trial of this key."""

    key: str
    number: int

    @property
    def file(self) -> str:
        """The name of this attempt's file in each table."""
        return f"{self.key}-{self.number}.parquet"

    @classmethod
    def parse(cls, file: str) -> Self | None:
        """The attempt that a file's name states; None where it states none."""
        found = _FILE.fullmatch(file)
        return cls(found["key"], int(found["number"])) if found else None
