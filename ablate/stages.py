"""What a trial of a plan is there for: the words of the column `stage`."""

from typing import Final

#: The sampler whose points are drawn independently.
RANDOM: Final = "random"

#: A point that a search tries, on one seed.
SEARCH: Final = "search"
#: The point that a search chose, on a later seed.
THEN: Final = "then"
#: A run of a two-level design.
FACTORIAL: Final = "factorial"
