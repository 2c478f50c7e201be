"""What a cohort's trials are worth: the points of their curves, and the final measurements.

A curve's train is a prefix of the training text as long as the validation split, since the two are
looked at side by side after each epoch. The whole sample of the recipe is scored where the tables
look: once, with the weights of the last and of the best epoch.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablate.data.corpora import Corpus
from ablate.model.parameters import stacked
from ablate.quantities import perplexity
from ablate.training.cohort import Seat, updates_of
from ablate.training.curve import best_epoch
from ablate.training.evaluation import LONGER, Evaluated, Evaluation
from ablate.training.recipe import Recipe


class Measured(NamedTuple):
    """A trial's final measurements as columns of `trials`, and each token's log-probability."""

    columns: dict[str, Any]
    tokens: dict[str, NDArray[np.float32]]

    @property
    def finite(self) -> bool:
        """Whether each perplexity is a number, so that it may enter a mean."""
        names = (f"{split}_nll_{at}" for split in _Scored._fields for at in ("last", "best"))
        return all(math.isfinite(perplexity(self.columns[name])) for name in names)


class _Scored(NamedTuple):
    """A trial at one epoch: the sample of the training text, and every token of the others."""

    train: Evaluated
    valid: Evaluated
    test: Evaluated


def curve_tokens(corpus: Corpus, recipe: Recipe) -> int:
    """The training tokens, the text's first, on which a curve's train is measured."""
    return min(sample_tokens(corpus, recipe), len(corpus.valid))


def sample_tokens(corpus: Corpus, recipe: Recipe) -> int:
    """The training tokens, the text's first, on which the final train is measured."""
    return min(len(corpus.train), recipe.train_eval_tokens)


def curve_points(
    evaluation: Evaluation, places: Sequence[Seat], corpus: Corpus
) -> list[dict[str, float]]:
    """`train_nll` and `valid_nll` of each trial that is evaluated, after its epoch."""
    recipe = places[0].trial.recipe
    epochs = [place.epoch for place in places]
    texts = {
        "train_nll": corpus.train[: curve_tokens(corpus, recipe)],
        "valid_nll": corpus.valid,
    }
    found = {
        name: _scored(evaluation, text, places, corpus, epochs, streams=recipe.evaluation_streams)
        for name, text in texts.items()
    }
    return [{name: each[k].nll for name, each in found.items()} for k in range(len(places))]


def headlines(places: Sequence[Seat], corpus: Corpus) -> list[Measured]:
    """The final measurements of each trial, at the last and at the best epoch."""
    last = _final(places, corpus, [place.state.epochs for place in places])
    best_epochs = {place.trial.key: best_epoch(place.state.rows) for place in places}
    earlier = [place for place in places if best_epochs[place.trial.key] != place.state.epochs]
    best = _final(earlier, corpus, [best_epochs[place.trial.key] for place in earlier])
    return [
        _headline(place, corpus, {"last": last[at], "best": best.get(at, last[at])})
        for place in places
        for at in (place.trial.key,)
    ]


def _scored(
    evaluation: Evaluation,
    tokens: NDArray[np.int32],
    places: Sequence[Seat],
    corpus: Corpus,
    epochs: Sequence[int],
    *,
    streams: int,
) -> list[Evaluated]:
    """Score `tokens` by each trial as it stood after its number of `epochs`."""
    recipe = places[0].trial.recipe
    # As many targets a window at any number of streams: the softmax's products stay large.
    unroll = LONGER * recipe.unroll * max(1, recipe.evaluation_streams // streams)
    return evaluation(
        tokens,
        streams=streams,
        unroll=unroll,
        eos=corpus.eos,
        updates=[
            updates_of(place.trial, corpus, done)
            for place, done in zip(places, epochs, strict=True)
        ],
    )


def _final(places: Sequence[Seat], corpus: Corpus, epochs: Sequence[int]) -> dict[str, _Scored]:
    """The scores by the key of the trial, as it stood after its number of `epochs`.

    Valid and test are in one stream; the training text, of which there is more, is in several.
    """
    if not places:
        return {}
    parameters = stacked(
        [
            place.state.parameters if epoch == place.state.epochs else place.state.best
            for place, epoch in zip(places, epochs, strict=True)
        ]
    )
    evaluation = Evaluation.of(parameters, [place.planned for place in places])
    recipe = places[0].trial.recipe
    sample = corpus.train[: sample_tokens(corpus, recipe)]
    texts = ((sample, recipe.evaluation_streams), (corpus.valid, 1), (corpus.test, 1))
    found = [
        _scored(evaluation, text, places, corpus, epochs, streams=streams)
        for text, streams in texts
    ]
    return {
        place.trial.key: _Scored(*own)
        for place, own in zip(places, zip(*found, strict=True), strict=True)
    }


def _headline(place: Seat, corpus: Corpus, scored: dict[str, _Scored]) -> Measured:
    """The columns of the final measurements, and the log-probabilities of the headline epoch."""
    rows, recipe = place.state.rows, place.trial.recipe
    columns: dict[str, Any] = {"best_epoch": best_epoch(rows)}
    for at, (train, valid, test) in scored.items():
        columns |= {
            f"train_nll_{at}": train.nll,
            f"valid_nll_{at}": valid.nll,
            f"test_nll_{at}": test.nll,
            f"gap_{at}": valid.nll - train.nll,
            f"valid_known_nll_{at}": _known_nll(valid, corpus.unknown["valid"]),
            f"test_known_nll_{at}": _known_nll(test, corpus.unknown["test"]),
        }
    last, running = scored["last"], rows[-1]["running_nll"]
    columns |= {f"{split}_targets": own.targets for split, own in last._asdict().items()}
    columns |= {"running_nll": running, "gap_running": last.valid.nll - running}
    headline = scored[recipe.headline]
    tokens = {"valid": headline.valid.log_probs_N, "test": headline.test.log_probs_N}
    return Measured(columns, tokens)


def _known_nll(scored: Evaluated, unknown_U: NDArray[np.int64]) -> float | None:
    """Nats per target over the words that the vocabulary has; None where it has none of them."""
    known = Evaluated(np.delete(scored.log_probs_N, unknown_U))
    return known.nll if known.targets else None
