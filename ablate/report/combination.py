"""A combination: one corpus, net, recipe and precision. A table or a figure shows exactly one."""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pandas as pd

from ablate.errors import AblateError

COMBINATION = ("corpus_digest", "net", "recipe", "precision")


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """The trials, curves and cells of one corpus, net, recipe and precision.

    `trials` as `ablate.results` gives them, `epochs` their learning curves, `cells` the names of
    all trials, finished or not. `slug` tells it from the study's other combinations in file names;
    it is empty where there is only one.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    cells: pd.DataFrame
    slug: str = ""

    @property
    def corpus(self) -> str:
        """The corpus's name; of one given as a folder, the folder's."""
        return PurePath(str(self.cells["corpus"].iloc[0])).name

    @property
    def corpus_digest(self) -> str:
        """The digest over vocabulary and tokens."""
        return str(self.cells["corpus_digest"].iloc[0])

    @property
    def precision(self) -> str:
        """The products' precision: fp32 or bf16."""
        return str(self.cells["precision"].iloc[0])

    @property
    def net(self) -> dict[str, Any]:
        """The net's numbers."""
        return json.loads(self.cells["net"].iloc[0])

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe's numbers."""
        return json.loads(self.cells["recipe"].iloc[0])

    @property
    def headline(self) -> str:
        """The epoch whose numbers count: "last" or "best"."""
        return str(self.recipe.get("headline", "last"))

    @property
    def title(self) -> str:
        """Corpus, net and precision in a few words: `ptb-tenth, LSTM 2 × 200, fp32`."""
        return f"{self.corpus}, {self.net_words}, {self.precision}"

    @property
    def net_words(self) -> str:
        """The net in a few words: `LSTM 2 × 200`."""
        net = self.net
        words = f"LSTM {net.get('layers', '?')} \N{MULTIPLICATION SIGN} {net.get('hidden', '?')}"
        embedding = net.get("embedding")
        return (
            words if embedding in (None, net.get("hidden")) else f"{words}, embedding {embedding}"
        )

    @property
    def recipe_words(self) -> str:
        """The recipe in one clause."""
        r = self.recipe
        known = {"unroll", "batch", "learning_rate", "epochs", "hold", "divide", "clip", "init"}
        if not known <= r.keys():
            return json.dumps(r, sort_keys=True)
        rate = f"SGD at rate {r['learning_rate']:g}"
        if r["epochs"] > r["hold"]:
            rate += f" for {r['hold']} epochs, then divided by {r['divide']:g} each epoch"
        return (
            f"{r['epochs']} epochs, {rate}, unroll {r['unroll']}, batch {r['batch']}, "
            f"gradient clipped at {r['clip']:g}, "
            f"parameters from U(\N{MINUS SIGN}{r['init']:g}, {r['init']:g})"
        )

    @property
    def missing(self) -> pd.DataFrame:
        """The cells that have not run yet."""
        return self.cells[~self.cells["key"].isin(self.trials["key"])]

    def count(self, status: str) -> int:
        """How many trials (keys, not names) have this status."""
        return self.trials.loc[self.trials["status"] == status, "key"].nunique()


def split(
    trials: pd.DataFrame, epochs: pd.DataFrame, cells: pd.DataFrame
) -> tuple[Combination, ...]:
    """Split a store's frames into its combinations, in the order of the study file.

    One of which no trial has run yet has empty `trials`.
    """
    parts: list[Combination] = []
    for values, named in cells.groupby(list(COMBINATION), sort=False):
        own = trials[_same(trials, values)]
        parts.append(Combination(own, epochs[epochs["key"].isin(own["key"])], named))
    parts.sort(key=lambda part: int(part.cells["position"].min()))
    if len(parts) < 2:
        return tuple(parts)
    slugs = _distinct([_slug(part) for part in parts])
    return tuple(
        Combination(part.trials, part.epochs, part.cells, slug)
        for part, slug in zip(parts, slugs, strict=True)
    )


def require_one(trials: pd.DataFrame) -> None:
    """Raise AblateError where a frame mixes combinations, or holds no trial."""
    if trials.empty:
        raise AblateError("there is nothing to show: the frame of trials is empty")
    mixed = [name for name in COMBINATION if trials[name].nunique(dropna=False) > 1]
    if mixed:
        raise AblateError(
            f"a table or figure shows one corpus, net, recipe and precision, and this frame has "
            f"several of: {', '.join(mixed)}; take one, e.g. "
            f"frame[frame.{mixed[0]} == frame.{mixed[0]}.iloc[0]]"
        )


def _same(trials: pd.DataFrame, values: Hashable) -> pd.Series:
    assert isinstance(values, tuple)
    same = pd.Series(True, index=trials.index)
    for name, value in zip(COMBINATION, values, strict=True):
        same &= trials[name] == value
    return same


def _slug(part: Combination) -> str:
    net = part.net
    text = f"{part.corpus}-{net.get('layers')}x{net.get('hidden')}-{part.precision}"
    return "".join(letter if letter.isalnum() else "-" for letter in text).strip("-").lower()


def _distinct(slugs: list[str]) -> list[str]:
    """Number the slugs that occur more than once."""
    seen: dict[str, int] = {}
    distinct = []
    for slug in slugs:
        seen[slug] = seen.get(slug, 0) + 1
        distinct.append(slug if slugs.count(slug) == 1 else f"{slug}-{seen[slug]}")
    return distinct
