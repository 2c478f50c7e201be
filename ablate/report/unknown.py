"""Words that the training text lacks: how many targets they are, and what they cost.

A word that the vocabulary lacks is `<unk>`; where no `<unk>` was trained each costs some ten nats,
and perplexity over all words says more of the vocabulary than of the model.
"""

from dataclasses import dataclass

import pandas as pd

SPLITS = {"valid": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class UnknownTargets:
    """How many of a split's `targets` are words that the vocabulary lacks."""

    split: str
    count: int
    targets: int

    @property
    def words(self) -> str:
        """`905 of 7,376 validation targets (12.3 %)`."""
        share = f"{100 * self.count / self.targets:.2g}"
        return f"{self.count:,} of {self.targets:,} {SPLITS[self.split]} targets ({share} %)"


def unknown_targets(trials: pd.DataFrame) -> tuple[UnknownTargets, ...]:
    """The splits with such words, of one combination; none where nobody counted them."""
    found = []
    for split in SPLITS:
        counted = trials[[f"{split}_unknown", f"{split}_targets"]].dropna().astype(int)
        count, targets = counted.max() if len(counted) else (0, 0)
        if count and targets:
            found.append(UnknownTargets(split, int(count), int(targets)))
    return tuple(found)


def caption(found: tuple[UnknownTargets, ...]) -> str:
    """One sentence for below a table; empty where every word is known."""
    if not found:
        return ""
    counts = " and ".join(one.words for one in found)
    return (
        f"{counts} are words that the training vocabulary lacks; 'known' is the perplexity over "
        "all other words."
    )
