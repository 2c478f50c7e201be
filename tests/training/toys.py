"""A small corpus and trial for the tests of training: odd sizes, seeded, nothing alike."""

from typing import Any

import numpy as np

from ablate.data.corpora import Corpus
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.training.recipe import Recipe
from ablate.training.trial import Trial

VOCABULARY = 23


def corpus(train: int = 2003, valid: int = 53, test: int = 59) -> Corpus:
    """A word that mostly follows from the one before; lengths are primes, which nothing divides."""
    draw = np.random.default_rng(1409)

    def text(length: int) -> np.ndarray:
        words = [0]
        while len(words) < length:
            follows = draw.random() < 0.8
            words.append((5 * words[-1] + 3) % VOCABULARY if follows else draw.integers(VOCABULARY))
        return np.array(words, dtype=np.int32)

    words = tuple(f"w{number}" for number in range(VOCABULARY))
    return Corpus(
        name="toys",
        digest="0" * 64,
        vocabulary=words,
        eos=0,
        train=text(train),
        valid=text(valid),
        test=text(test),
        unknown={split: np.array([], np.int64) for split in ("train", "valid", "test")},
    )


def recipe(**changes: Any) -> Recipe:
    """Batch 3 and unroll 7: a loss that confuses them shows."""
    values = {
        "unroll": 7, "batch": 3, "learning_rate": 0.5, "epochs": 3, "hold": 1, "divide": 2.0,
        "clip": 5.0, "init": 0.5, "evaluation_streams": 4,
    }  # fmt: skip
    return Recipe(**(values | changes))


def trial(**changes: Any) -> Trial:
    """Two layers in float32 without dropout, but for what is given."""
    values: dict[str, Any] = {
        "corpus": "toys",
        "corpus_digest": "0" * 64,
        "net": Net(layers=2, hidden=13, embedding=5),
        "recipe": recipe(),
        "placement": Placement(),
        "seed": 7,
    }
    return Trial(**(values | changes))
