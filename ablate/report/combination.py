"""A combination: one corpus, net, recipe and precision. A table or a figure shows exactly one."""

import json
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from ablate.errors import AblateError
from ablate.report.statistics import PLACEMENT
from ablate.report.telling import corpus_words, name_all, net_words, text_words
from ablate.status import Status

COMBINATION = ("corpus_digest", "net", "recipe", "precision")


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """The trials, curves and cells of one corpus, net, recipe and precision.

    `trials` as `ablate.results` gives them, `epochs` their learning curves, `cells` the names of
    all trials, finished or not: those that the study file asks for. `others` are the trials of the
    same combination that it does not ask for. `name` and `slug` tell it from the study's other
    combinations, on the page and in file names; the slug is empty where there is only one.
    `asked_baseline` is the label to which differences are asked for, whether or not it has run.
    """

    trials: pd.DataFrame
    epochs: pd.DataFrame
    cells: pd.DataFrame
    name: str
    slug: str = ""
    others: pd.DataFrame = field(default_factory=pd.DataFrame)
    asked_baseline: str | None = None

    @property
    def corpus(self) -> str:
        """The corpus's name, and how its text was read where that is not as it is."""
        return corpus_words(self._row)

    @property
    def corpus_digest(self) -> str:
        """The digest over vocabulary and tokens."""
        return str(self._row["corpus_digest"])

    @property
    def text(self) -> str:
        """The options under which the corpus was read, in words; empty for none."""
        return text_words(self._row.get("text"))

    @property
    def precision(self) -> str:
        """The products' precision: fp32 or bf16."""
        return str(self._row["precision"])

    @property
    def net(self) -> dict[str, Any]:
        """The net's numbers."""
        return json.loads(self._row["net"])

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe's numbers."""
        return json.loads(self._row["recipe"])

    @property
    def _row(self) -> dict[str, Any]:
        return {str(name): value for name, value in self.cells.iloc[0].items()}

    @property
    def headline(self) -> str:
        """The epoch whose numbers count: "last" or "best"."""
        return str(self.recipe.get("headline", "last"))

    @property
    def began(self) -> str:
        """When its first trial was begun: `2026-01-01 08:00 UTC`; empty where unknown."""
        known = self.trials["started_at"].dropna()
        return "" if known.empty else f"{str(known.min())[:16].replace('T', ' ')} UTC"

    @property
    def heading(self) -> str:
        """Its name, and when it was begun where the study has several combinations."""
        dated = self.slug and self.began
        return f"{self.name}, first trial {self.began}" if dated else self.name

    @property
    def net_words(self) -> str:
        """The net in a few words: `LSTM 2 × 200`."""
        return net_words(self.net)

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

    def count(self, status: Status) -> int:
        """How many trials (keys, not names) have this status."""
        return self.trials.loc[self.trials["status"] == status, "key"].nunique()


def split(
    trials: pd.DataFrame, epochs: pd.DataFrame, cells: pd.DataFrame, baseline: str | None = None
) -> tuple[Combination, ...]:
    """Split a store's frames into its combinations, the one with the latest trial first.

    Those that differ in the cell, and what is a cell's own, stand together, in the file's order.
    `baseline` is the label that the study file gives, where it is known to give one.
    Combinations of which no trial has run yet have empty `trials` and come last, in the order of
    the study file. Where nothing that the file asks for has run, the rest stands in its place.
    """
    names, slugs = combination_names(cells)
    parts: list[Combination] = []
    for values, own in cells.groupby(list(COMBINATION), sort=False):
        marked = own.loc[own["baseline"].astype(bool), "label"]
        part = Combination(
            trials[_same(trials, values)],
            epochs,
            own,
            names[values],
            slugs[values],
            asked_baseline=baseline or next(iter(marked), None),
        )
        parts.append(_as_asked(part))
    parts.sort(key=lambda part: int(part.cells["position"].min()))
    latest: dict[Hashable, tuple[bool, str]] = {}
    for part in parts:
        latest[_family(part)] = max(latest.get(_family(part), (False, "")), _latest(part))
    parts.sort(key=lambda part: latest[_family(part)], reverse=True)
    return tuple(parts)


def combination_names(cells: pd.DataFrame) -> tuple[dict[Hashable, str], dict[Hashable, str]]:
    """For each combination of a store's cells its name, and what it is called in file names."""
    # By value and not by row, so that a name depends on what there is and on no order.
    rows = cells.drop_duplicates(list(COMBINATION)).sort_values(list(COMBINATION))
    keys = list(rows[list(COMBINATION)].itertuples(index=False, name=None))
    named_rows = [{str(name): value for name, value in row.items()} for _, row in rows.iterrows()]
    names, slugs = name_all(named_rows)
    return dict(zip(keys, names, strict=True)), dict(zip(keys, slugs, strict=True))


def require_one(trials: pd.DataFrame) -> None:
    """Raise AblateError where a frame mixes combinations, or holds no trial."""
    if trials.empty:
        raise AblateError("there is nothing to show: the frame of trials is empty")
    mixed = [name for name in COMBINATION if trials[name].nunique(dropna=False) > 1]
    if mixed:
        raise AblateError(
            f"a table or figure shows one corpus, net, recipe and precision, and this frame has "
            f"several of: {', '.join(mixed)}; take one, e.g. "
            "frame[frame.combination == frame.combination.iloc[0]]",
            given=tuple(mixed),
        )


def _as_asked(part: Combination) -> Combination:
    """A combination whose trials and cells are those that the study file asks for."""
    points = part.cells.groupby(list(PLACEMENT))["asked"].transform("any")
    keep = part.cells[points]
    names = pd.MultiIndex.from_frame(part.trials[list(PLACEMENT)])
    asked = names.isin(pd.MultiIndex.from_frame(keep[list(PLACEMENT)]))
    trials, others = part.trials[asked], part.trials[~asked]
    cells = keep
    if trials.empty and len(others):
        trials, others, cells = others, trials, part.cells
    if cells.empty:
        cells = part.cells
    curves = part.epochs[part.epochs["key"].isin(trials["key"])]
    return replace(part, trials=trials, others=others, cells=cells, epochs=curves)


def _family(part: Combination) -> Hashable:
    """What a combination shares with those that differ in the cell and its learning rate alone."""
    shared = (part.net | {"cell": None}, part.recipe | {"learning_rate": None})
    return part.corpus_digest, part.precision, json.dumps(shared, sort_keys=True)


def _latest(part: Combination) -> tuple[bool, str]:
    began = pd.concat([part.trials, part.others])["started_at"].dropna()
    return len(part.trials) > 0, "" if began.empty else str(began.max())


def _same(trials: pd.DataFrame, values: Hashable) -> pd.Series:
    assert isinstance(values, tuple)
    same = pd.Series(True, index=trials.index)
    for name, value in zip(COMBINATION, values, strict=True):
        same &= trials[name] == value
    return same
