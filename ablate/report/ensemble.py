"""Ensembles: the perplexity of several models' mean probability, from the tokens of a store."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ablate.quantities import perplexity
from ablate.store import Store
from ablate.store.schema import ATTEMPT_TABLES

#: Of the trials of these keys that kept their tokens: key -> split -> log-probabilities [N].
Tokens = Callable[[tuple[str, ...]], Mapping[str, Mapping[str, NDArray[np.float64]]]]


def ensemble_perplexity(log_probs_KN: Sequence[NDArray[np.float64]]) -> float:
    """Perplexity of the mean over K models of the probability of each of N tokens.

    Log-probabilities are in nats. One model is its own ensemble; of several the perplexity is at
    most the geometric mean of theirs (Jensen).
    """
    stacked = np.asarray(log_probs_KN, dtype=np.float64)
    mixed_N = np.logaddexp.reduce(stacked, axis=0) - np.log(len(stacked))
    return float(perplexity(-mixed_N.mean()))


def tokens_of(store: Store) -> Tokens:
    """What reads the tokens of `store`; a trial without tokens, or with damaged ones, is left out.

    Most tables below `results/reference` were kept without tokens.
    """

    # Several published ensembles are of the same trials.
    @cache
    def read(keys: tuple[str, ...]) -> dict[str, dict[str, NDArray[np.float64]]]:
        frame = store.whole(ATTEMPT_TABLES).tokens(keys).to_pandas(use_threads=False)
        found: dict[str, dict[str, NDArray[np.float64]]] = {}
        for (key, split), own in frame.groupby(["key", "split"], observed=True, sort=False):
            ordered = own.sort_values("position")["log_prob"]
            found.setdefault(str(key), {})[str(split)] = ordered.to_numpy(dtype=np.float64)
        return found

    return read
