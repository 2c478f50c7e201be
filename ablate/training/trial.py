"""A trial: one training run, under a key that says all of it and nothing else."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.addresses import SEMANTICS
from ablate.data.text import PLAIN, Text
from ablate.facts import canonical_json, facts, facts_text
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class Trial:
    """A net trained by a recipe, with a placement and a seed, on a corpus.

    `corpus` is how the corpus was asked for, which another machine may spell otherwise, `folder`
    where it lies (None for a built-in one) and `text` how it is read; the key has its digest.
    """

    corpus: str
    corpus_digest: str
    net: Net
    recipe: Recipe
    placement: Placement
    seed: int
    precision: str = "fp32"
    text: Text = PLAIN
    folder: Path | None = None

    @functools.cached_property
    def key(self) -> str:
        """20 hexadecimal digits: equal for trials whose results would be equal, bit for bit."""
        return _hash(self._facts() | {"precision": self.precision})

    @property
    def pair_key(self) -> str:
        """The key without the precision: equal for trials that differ in nothing else."""
        return _hash(self._facts())

    def columns(self) -> dict[str, Any]:
        """What the trial is, in the columns that the store's tables `trials` and `cells` share."""
        return {
            "key": self.key,
            "seed": self.seed,
            "corpus": self.corpus,
            "corpus_digest": self.corpus_digest,
            "text": canonical_json(changed) if (changed := self.text.changed()) else None,
            "net": facts_text(self.net),
            "recipe": facts_text(self.recipe),
            "precision": self.precision,
        }

    def _facts(self) -> dict[str, Any]:
        return {
            # Written out, an embedding as wide as the layers is the one that is left out.
            "net": facts(self.net) | {"embedding": self.net.inputs},
            "corpus": self.corpus_digest,
            "recipe": facts(self.recipe),
            "placement": self.placement.text,
            "seed": self.seed,
            "semantics": SEMANTICS,
        }


def _hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:20]
