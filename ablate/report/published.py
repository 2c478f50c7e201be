"""Published perplexities beside measured ones.

`published.toml` has what papers report, each result with its source and with how it was read. A
result fits trials of the same corpus, net and placement. The recipe may be another: how it differs
is said in the table, and nothing is left out for it.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from ablate.data.corpora import CORPORA
from ablate.errors import AblateError
from ablate.facts import canonical_json
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.quantities import perplexity as perplexity_of
from ablate.report.columns import Column, Entry, measured
from ablate.report.combination import Combination
from ablate.report.ensemble import Tokens, ensemble_perplexity
from ablate.report.numbers import perplexity, signed
from ablate.report.panel import Panel
from ablate.report.statistics import seed_mean
from ablate.report.telling import differing
from ablate.report.tuned import drawn_of, shown
from ablate.status import Status
from ablate.study.points import Point
from ablate.training.recipe import PRESETS

NAME: Final = "published"
TITLE: Final = "Beside published numbers"

#: The splits of a result, as the table calls them, and the column of `trials` to read beside each.
SPLITS: Final = {
    "valid": ("valid", "valid_nll"),
    "test": ("test", "test_nll"),
    "running": ("train", "running_nll"),
}

# What decides neither a net's weights nor its perplexity over every token.
_NO_TRAINING: Final = frozenset({"train_eval_tokens", "evaluation_streams"})


class Published(BaseModel):
    """One published result: a row of a table, with its perplexities.

    `source` names the paper in two or three words and `paper` is its address, `table` and `row` say
    where in it. `placement` is a table as in a study file: a strategy and its arguments. The
    recipe is that of a `preset`, or `recipe` says in words what it is; `departs` says what else in
    the source is not what the preset and the placement say. `models` is how many models' mean
    probability was scored. `read` is "source" where somebody read the number in it, and "quoted"
    where another text that quotes the row was read. `valid` and `test` are perplexities in
    evaluation, `running` is the training perplexity of the last epoch with dropout on.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    source: str = Field(min_length=1)
    paper: str = Field(pattern=r"^(arXiv:\d{4}\.\d{4,5}|https://\S+)$")
    table: str = Field(min_length=1)
    row: str = Field(min_length=1)
    corpus: str
    net: Net
    placement: dict[str, Any]
    preset: str | None = None
    recipe: str | None = None
    departs: str | None = None
    models: int = Field(default=1, ge=1)
    read: Literal["source", "quoted"]
    valid: float | None = Field(default=None, ge=1)
    test: float | None = Field(default=None, ge=1)
    running: float | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _checked(self) -> "Published":
        try:
            self.placed  # noqa: B018  (raises for a strategy or an argument that there is not)
            if self.corpus not in CORPORA:
                raise CORPORA.unknown(self.corpus)
        except AblateError as error:
            raise PydanticCustomError("ablate", "{words}", {"words": str(error)}) from None
        if words := self._mistake():
            raise PydanticCustomError("ablate", "{words}", {"words": words})
        return self

    def _mistake(self) -> str:
        """What of the fields does not go together; empty where nothing."""
        if (self.preset is None) == (self.recipe is None) or self.preset not in (None, *PRESETS):
            one = f"one of preset ({', '.join(PRESETS)}) and recipe (in words)"
            return f"takes {one}, got {self.preset!r} and {self.recipe!r}"
        if not self.perplexities:
            return f"takes a perplexity, one of {', '.join(SPLITS)} at least"
        if self.models > 1 and self.running is not None:
            return f"running is the perplexity of one model in training, got {self.models} models"
        return ""

    @property
    def placed(self) -> Placement:
        """The placement itself, for the net.

        Raises AblateError for an unknown strategy, an argument that it does not take, and a
        placement that does not fit the net.
        """
        facts = dict(self.placement)
        point = Point.of(str(facts.pop("name", "")), facts)
        placement = point.place(self.net.of_cell)
        placement.check(self.net.layers, self.net.of_cell)
        return placement

    @property
    def perplexities(self) -> dict[str, float]:
        """The perplexity of each split that the source reports."""
        given = {split: getattr(self, split) for split in SPLITS}
        return {split: value for split, value in given.items() if value is not None}

    @property
    def citation(self) -> str:
        """`Zaremba et al. 2014, table 1`, and whether it was read there."""
        quoted = " (quoted)" if self.read == "quoted" else ""
        return f"{self.source}, {self.table}{quoted}"

    def differs(self, recipe: Mapping[str, Any]) -> str:
        """How `recipe` and the source's differ, in words; empty where they do not."""
        if self.preset is None:
            return f"there {self.recipe}"
        theirs = PRESETS[self.preset].recipe.model_dump()
        ours = {name: value for name, value in recipe.items() if name not in _NO_TRAINING}
        theirs = {name: value for name, value in theirs.items() if name not in _NO_TRAINING}
        return "; ".join(
            f"{what} {here}, there {there}" for what, here, there in differing(ours, theirs)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A published result, and the finished trials of one placement that it fits, by seed.

    `differs` says how the recipe here is not the source's; empty where it is, but for what the
    source says that it `departs` in.
    """

    published: Published
    label: str
    trials: pd.DataFrame
    differs: str


def read_published(text: str) -> tuple[Published, ...]:
    """The results of a TOML text; raises AblateError that names each mistake and its result."""
    try:
        tables = tomllib.loads(text).get("result", [])
    except tomllib.TOMLDecodeError as error:
        raise AblateError(f"published results: {error}") from error
    found, mistakes = list[Published](), list[str]()
    for number, table in enumerate(tables, 1):
        try:
            found.append(Published.model_validate(table))
        except ValidationError as error:
            for each in error.errors():
                where = ".".join(["result", str(number), *map(str, each["loc"])])
                # Of what is missing, or of fields that do not go together, it is the whole table.
                given = "" if isinstance(each["input"], dict) else f", got {each['input']!r}"
                mistakes.append(f"{where}: {each['msg']}{given}")
    if mistakes:
        raise AblateError("published results: " + "; ".join(mistakes), given=tuple(mistakes))
    return tuple(found)


@cache
def all_published() -> tuple[Published, ...]:
    """The results that come with ablate, in the order of their file."""
    return read_published(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def published_for(part: Combination) -> tuple[Match, ...]:
    """Every published result that fits finished trials of a combination, in the file's order.

    It fits where corpus, net and placement are the same, under whatever name. None for a text that
    was read with options, and for a part of a corpus. Trials for which searches drew two recipes
    are two matches.
    """
    view = shown(part)
    finished = view.trials[view.trials["status"] == Status.OK]
    drawn = finished["arguments"].map(lambda text: canonical_json(drawn_of(str(text))))
    return tuple(
        Match(
            one,
            str(own["label"].iloc[0]),
            own.drop_duplicates("key").sort_values("seed"),
            one.differs(part.recipe | json.loads(str(recipe))),
        )
        for one in all_published()
        if _same_text(part, one) and _same_net(part, one.net)
        for recipe, own in finished[finished["placement"] == one.placed.text].groupby(
            drawn, sort=False
        )
    )


def panels(part: Combination, tokens: Tokens | None = None) -> tuple[Panel, ...]:
    """The measured numbers beside those that were published; none where nothing fits.

    `tokens` reads log-probabilities, from which ensembles are computed; without it there are none.
    """
    rows = [row for match in published_for(part) for row in _rows(match, tokens)]
    if not rows:
        return ()
    frame = pd.DataFrame(rows)
    columns = [
        Column("placement", "", lambda row: Entry(str(row["label"])), left=True),
        Column("split", "", lambda row: Entry(str(row["split"])), left=True),
        Column("models", "averaged", lambda row: Entry(str(row["models"]))),
        Column("measured", "ppl", measured("measured", perplexity)),
        Column("n", "seeds", lambda row: Entry(str(row["n"]))),
        Column("published", "ppl", lambda row: Entry(perplexity(row["published"]))),
        Column("difference", "ppl", measured("difference", signed)),
        # In a terminal the table's place would cost the intervals theirs.
        Column(
            "source", "", lambda row: Entry(str(row["source"])), left=True, page=False, files=False
        ),
        Column("source", "", lambda row: Entry(str(row["citation"])), left=True, terminal=False),
    ]
    if ((frame["differs"] != "") | (frame["departs"] != "")).any():
        columns.append(Column("recipe", "", _recipe, left=True))
    return (Panel(NAME, TITLE, frame, tuple(columns), _caption(frame), dropout_on=True),)


def _same_text(part: Combination, published: Published) -> bool:
    # A folder's name may be the corpus's too; only the corpus itself has no path.
    return bool((part.cells["corpus"] == published.corpus).all()) and not part.text


def _same_net(part: Combination, net: Net) -> bool:
    ours = part.net
    return (
        (ours.get("cell"), ours.get("layers"), ours.get("hidden"))
        == (net.cell, net.layers, net.hidden)
    ) and (ours.get("embedding") or net.hidden) == net.inputs


def _rows(match: Match, tokens: Tokens | None) -> list[dict[str, Any]]:
    """A row for each perplexity of a result that was measured too."""
    one = match.published
    rows = []
    for split, published in one.perplexities.items():
        words, column = SPLITS[split]
        if one.models == 1:
            values = [float(value) for value in perplexity_of(match.trials[column].dropna())]
            seeds = len(values)
        else:
            values, seeds = _ensemble(match, split, tokens), one.models
        if not values:
            continue
        mean, change = seed_mean(values), seed_mean([value - published for value in values])
        rows.append(
            {
                "label": match.label,
                "split": words,
                "models": one.models,
                "n": seeds,
                "measured": mean.mean,
                "measured_low": mean.low,
                "measured_high": mean.high,
                "measured_values": mean.values,
                "published": published,
                "difference": change.mean,
                "difference_low": change.low,
                "difference_high": change.high,
                "difference_values": change.values,
                "source": one.source,
                "citation": one.citation,
                "row": one.row,
                "paper": one.paper,
                "differs": match.differs,
                "departs": one.departs or "",
            }
        )
    return rows


def _ensemble(match: Match, split: str, tokens: Tokens | None) -> list[float]:
    """The perplexity of the first seeds' mean probability; empty where there are too few."""
    models = match.published.models
    if tokens is None or len(match.trials) < models:
        return []
    keys = tuple(map(str, match.trials["key"]))
    known = tokens(keys)
    kept = [known[key][split] for key in keys if split in known.get(key, {})][:models]
    return [ensemble_perplexity(kept)] if len(kept) == models else []


def _caption(rows: pd.DataFrame) -> str:
    sentences = ["Difference is measured minus published."]
    if np.isfinite(rows["measured_low"]).any():
        sentences.append(
            "Intervals are of the measured mean over seeds (95 % Student-t); the published number "
            "is taken as it stands."
        )
    if (rows["models"] > 1).any():
        sentences.append("Several models: the mean of the first seeds' probabilities, scored once.")
    quoted = rows.loc[rows["citation"].str.endswith("(quoted)"), "source"].unique()
    if len(quoted):
        listed = ", ".join(map(str, quoted))
        sentences.append(f"Quoted, and not read in the source itself: {listed}.")
    if (rows["split"] == SPLITS["running"][0]).any():
        sentences.append(
            "Train is measured with dropout on, over the last epoch while the weights change."
        )
    return " ".join([*sentences, *_recipes(rows)])


def _recipes(rows: pd.DataFrame) -> Iterator[str]:
    """How each source's recipe is another, and what of a row is not what its name says."""
    for source, own in rows.groupby("source", sort=False):
        for words in filter(None, own["differs"].unique()):
            yield f"{source}, recipe: {words}."
        for row, departs in own[["row", "departs"]].drop_duplicates().itertuples(index=False):
            if departs:
                yield f"{source}, {row}: there {departs}."


def _recipe(row: pd.Series) -> Entry:
    return Entry("other" if row["differs"] or row["departs"] else "same")
