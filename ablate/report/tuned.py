"""A tuned profile: what each search tried, which point validation chose, and what that came to.

A search trains its points on one seed; the point of lowest headline validation is trained on later
seeds, and those alone are the method's result. A table of the points would show a hundred
one-seed numbers whose lowest is low by selection, so the main table has a row a search.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ablate.errors import AblateError
from ablate.report.columns import Column, Entry, counted
from ablate.report.combination import Combination
from ablate.report.names import names_of
from ablate.report.numbers import NOTHING, perplexity, seeds, signed
from ablate.report.panel import Panel
from ablate.report.statistics import PLACEMENT
from ablate.report.table import Table, make_table
from ablate.stages import SEARCH, THEN
from ablate.status import Status
from ablate.study.points import Point
from ablate.study.searches import lowest

#: What a search has tried: a failed trial says nothing of its point.
TRIED = (Status.OK, Status.DIVERGED, Status.PRUNED)

# No status of a trial: a row that names a point and has no seed in any mean.
_NO_SEED = "no seed"
DEFAULT = "the default point"
_RECIPE = "recipe."


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """One search: its points, one a row in the order of their numbers, and the later seeds.

    `ended` are the rows of stage SEARCH, with all `facts` of each point, `tried` those of them that
    did not fail, `then` the rows of stage THEN of the point that is chosen now, `cells` the names
    of all its trials, finished or not.
    """

    name: str
    ended: pd.DataFrame
    then: pd.DataFrame
    cells: pd.DataFrame

    @property
    def tried(self) -> pd.DataFrame:
        """The points of which something is known."""
        return self.ended[self.ended["status"].isin(TRIED)]

    @property
    def chosen(self) -> pd.Series | None:
        """The point that the search chose so far; None where none ended well."""
        done = self.tried[self.tried["status"] == Status.OK]
        place = lowest(dict(enumerate(done["valid_nll"])))
        return None if place is None else done.iloc[place]

    @property
    def default(self) -> pd.Series | None:
        """The default point, number 0; None where it has not ended."""
        found = self.tried[self.tried["number"] == 0]
        return None if found.empty else found.iloc[0]

    @property
    def keeps_default(self) -> bool:
        """Whether the chosen point is the default one."""
        return self.chosen is not None and self.chosen["number"] == 0

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds on which it tried its points: one."""
        return tuple(sorted({int(seed) for seed in self.tried["seed"]}))

    @property
    def sampled(self) -> pd.DataFrame:
        """The points tried less the default one."""
        return self.tried[self.tried["number"] != 0]

    def count(self, status: Status) -> int:
        """How many of the points tried ended so."""
        return int((self.tried["status"] == status).sum())

    @property
    def position(self) -> int:
        """Its place in the study file."""
        return int(self.cells["position"].min())


def searches_of(part: Combination) -> tuple[Search, ...]:
    """The searches of a combination that the study file asks for, in its order."""
    if not is_tuned(part):
        return ()
    found = [_search(str(name), part) for name in _of(part.cells, SEARCH)["search"].unique()]
    return tuple(sorted(found, key=lambda search: search.position))


def is_tuned(part: Combination) -> bool:
    """Whether the combination has a search."""
    return "stage" in part.cells and bool((part.cells["stage"] == SEARCH).any())


def shown(part: Combination) -> Combination:
    """The combination as the main table and the standard figures show it.

    Of a tuned one the chosen points' later seeds, under their searches' names, and what belongs to
    no plan; any other is as it is.
    """
    if not is_tuned(part):
        return part
    searches = searches_of(part)
    trials, cells = [_unplanned(part.trials)], [_unplanned(part.cells)]
    for search in searches:
        chosen = search.chosen
        if chosen is None:
            continue
        place = {"label": search.name, "position": search.position}
        trials.append(search.then.assign(**place))
        later = _of(search.cells, THEN)
        cells.append(later[later["number"] == chosen["number"]].assign(**place))
    kept = pd.concat(trials).sort_values(["position", "seed"], kind="stable", ignore_index=True)
    named = pd.concat(cells)
    return replace(
        part,
        trials=kept,
        # Whatever has run or not, the cells say what corpus and net it is.
        cells=named if len(named) else part.cells,
        epochs=part.epochs[part.epochs["key"].isin(kept["key"])],
        others=_beside(part),
        asked_baseline=_asked_baseline(part, searches),
    )


def tuned_table(part: Combination, *, show_test: bool = False) -> Table:
    """The main table of any combination; of a tuned one a row a search, and its default point's.

    `show_test` shows the test of rows that validation did not choose within a sweep.

    A default point's row has its validation on the seed of the search and no test: test is shown
    of what validation chose, and of nothing else.
    """
    if not is_tuned(part):
        return make_table(part, show_test=show_test)
    view, searches = shown(part), searches_of(part)
    named = _named_rows(view, searches)
    trials = pd.concat([view.trials, *(row["trial"] for row in named)])
    known = _named_columns(named)
    ordered = replace(view, trials=trials.sort_values("position", kind="stable"))
    table = make_table(ordered, show_test=True)
    rows = table.rows.merge(known, on=list(PLACEMENT), how="left")
    words = _caption(searches)
    return replace(
        table,
        rows=rows,
        caption=f"{words} {table.caption}".strip(),
        naming=(
            Column("search", "", _named, left=True),
            Column("points", "tried", _tried),
            Column(
                "search seed", "valid ppl", lambda row: Entry(perplexity(row["search_valid_ppl"]))
            ),
        ),
    )


def panels(part: Combination) -> tuple[Panel, ...]:
    """What each search tried and chose; none of a combination without a search."""
    searches = [search for search in searches_of(part) if len(search.tried)]
    if not searches:
        return ()
    rows = pd.DataFrame([_row(search) for search in searches])
    on = seed_words(searches)
    lost = [name for name in ("diverged", "pruned") if rows[name].any()]
    return (
        Panel(
            "tried",
            "What was tried",
            rows,
            (
                Column("search", "", lambda row: Entry(row["search"]), left=True),
                Column("points", "tried", lambda row: Entry(str(row["tried"]))),
                *(Column(name, "", counted(name)) for name in lost),
                Column("default", "valid ppl", lambda row: Entry(perplexity(row["default_ppl"]))),
                Column("chosen", "valid ppl", lambda row: Entry(perplexity(row["chosen_ppl"]))),
                Column("difference", "ppl", lambda row: Entry(signed(row["difference"]))),
                Column("chosen point", "", lambda row: Entry(row["chosen_point"]), left=True),
            ),
            f"All on {on}. The chosen point has the lowest validation of those tried on it, and is "
            "low by selection there: what it is worth stands in the main table, on other seeds. "
            "Difference is chosen minus default. Diverged and pruned points count as tried.",
        ),
    )


def findings(part: Combination) -> list[str]:
    """What the searches did, in sentences; empty for a combination without one."""
    searches = [search for search in searches_of(part) if len(search.tried)]
    if not searches:
        return []
    sentences = [_extent(searches), _order(searches)]
    kept = [search.name for search in searches if search.keeps_default]
    if kept:
        sentences.append(
            f"Nothing that was tried is better than the default point: {names_of(kept)}."
        )
    lost = [
        f"{count} {status}"
        for status in (Status.DIVERGED, Status.PRUNED)
        if (count := sum(search.count(status) for search in searches))
    ]
    if lost:
        sentences.append(f"Of the points tried, {' and '.join(lost)}: counted, never chosen.")
    old = sum(_old(search, part) for search in searches)
    if old:
        sentences.append(
            f"{old} trial{'' if old == 1 else 's'} of points that were chosen before more were "
            "tried stand in no row."
        )
    return [sentence for sentence in sentences if sentence]


def words_of(row: pd.Series, names: Iterable[str]) -> str:
    """A point's values of `names` in words, nuisances last: `rate .51, learning_rate .8`."""
    facts = row["facts"]
    ordered = sorted((name for name in names if name in facts), key=lambda name: "." in name)
    words = [f"{name.removeprefix(_RECIPE)} {short(facts[name])}" for name in ordered]
    return ", ".join(words) or "no arguments"


def varied(search: Search) -> list[str]:
    """The arguments and nuisances that differ among the points tried, in their order."""
    facts = list(search.tried["facts"])
    names = dict.fromkeys(name for point in facts for name in point)
    known = point_of(search.tried.iloc[0]) if facts else None
    # As the strategy has them; JSON has them by the alphabet.
    names = dict.fromkeys([*(known.facts if known else ()), *names])
    return [name for name in names if len({json.dumps(point.get(name)) for point in facts}) > 1]


def short(value: object) -> str:
    """A value in three digits: `.512`, `true`, `window`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}".removeprefix("0") or "0"
    return str(value)


def seed_words(searches: Iterable[Search]) -> str:
    """`seed 1`."""
    found = sorted({seed for search in searches for seed in search.seeds})
    return f"seed{'' if len(found) == 1 else 's'} {', '.join(map(str, found))}"


def point_of(row: pd.Series) -> Point | None:
    """The point of a row; None where its strategy is not known by now."""
    try:
        return Point.of(str(row["strategy"]), json.loads(row["arguments"]))
    except AblateError:
        return None


def drawn_of(arguments: str) -> dict[str, Any]:
    """What a search drew of the recipe for a point of these arguments, by the recipe's names."""
    return {
        name.removeprefix(_RECIPE): value
        for name, value in json.loads(arguments).items()
        if name.startswith(_RECIPE)
    }


def _search(name: str, part: Combination) -> Search:
    trials, cells = (
        frame[(frame["search"] == name) & frame["stage"].isin([SEARCH, THEN])]
        for frame in (part.trials, part.cells)
    )
    ended = _of(trials, SEARCH).sort_values("number", kind="stable")
    ended = ended.assign(facts=pd.Series(_facts(ended), index=ended.index, dtype=object))
    search = Search(name, ended, trials.iloc[:0], cells)
    chosen = search.chosen
    if chosen is None:
        return search
    then = _of(trials, THEN)
    return replace(search, then=then[then["number"] == chosen["number"]])


def _facts(points: pd.DataFrame) -> list[dict[str, Any]]:
    """What each point is called by; a nuisance that is the recipe's own is no part of its name."""
    given = [json.loads(arguments) for arguments in points["arguments"]]
    nuisances = {name for facts in given for name in facts if name.startswith(_RECIPE)}
    recipes = {text: json.loads(text) for text in points["recipe"].unique()}
    return [
        {name: recipes[recipe][name.removeprefix(_RECIPE)] for name in nuisances} | facts
        for facts, recipe in zip(given, points["recipe"], strict=True)
    ]


def _of(frame: pd.DataFrame, stage: str) -> pd.DataFrame:
    return frame[frame["stage"] == stage]


def _unplanned(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["stage"].isna()]


def _beside(part: Combination) -> pd.DataFrame:
    """What the study file does not ask for, less what a search of it tried on one seed."""
    others = part.others
    return others if others.empty else others[others["stage"].isna() | (others["stage"] == THEN)]


def _asked_baseline(part: Combination, searches: tuple[Search, ...]) -> str | None:
    marked = [search.name for search in searches if search.cells["baseline"].any()]
    return next(iter(marked), part.asked_baseline)


def _named_rows(view: Combination, searches: tuple[Search, ...]) -> list[dict[str, Any]]:
    """The rows of the table: each search's chosen point, then its default point.

    `trial` is a row without a seed where a point has none in `view`, and empty where it has.
    """
    rows = list[dict[str, Any]]()
    seen = set(view.trials[list(PLACEMENT)].itertuples(index=False, name=None))
    for search in searches:
        for point, words in _points(search):
            name = (point["strategy"], point["arguments"])
            is_chosen = words is not None
            trial = pd.DataFrame([point]).head(0 if name in seen else 1)
            seen.add(name)
            rows.append(
                {
                    **dict(zip(PLACEMENT, name, strict=True)),
                    "search": search.name,
                    "point": words or words_of(point, varied(search)),
                    "chosen": is_chosen,
                    "search_valid_ppl": point["valid_ppl"],
                    "tried": len(search.tried) if is_chosen else None,
                    "tried_lost": _lost(search) if is_chosen else "",
                    "trial": trial.assign(
                        status=_NO_SEED,
                        label=search.name if is_chosen else f"{search.name}, default",
                        position=search.position,
                        baseline=trial["baseline"].astype(bool) & is_chosen,
                    ),
                }
            )
    return rows


def _named_columns(named: list[dict[str, Any]]) -> pd.DataFrame:
    """What the table says of each point beside its seeds: one row a point."""
    names = [*PLACEMENT, "search", "point", "search_valid_ppl", "tried", "tried_lost", "chosen"]
    known = pd.DataFrame([{name: row[name] for name in names} for row in named], columns=names)
    return known.drop_duplicates(list(PLACEMENT))


def _points(search: Search) -> Iterator[tuple[pd.Series, str | None]]:
    """The chosen point with its words, or any where none finished; then the default one."""
    chosen, default = search.chosen, search.default
    if chosen is None:
        for _, row in search.ended.head(1).iterrows():
            yield row, "no point finished"
        return
    words = words_of(chosen, varied(search))
    yield chosen, f"{DEFAULT}: {words}" if search.keeps_default else words
    if default is not None and not search.keeps_default:
        yield default, None


def _lost(search: Search) -> str:
    counts = [(search.count(status), status) for status in (Status.DIVERGED, Status.PRUNED)]
    return ", ".join(f"{count} {status}" for count, status in counts if count)


def _tried(row: pd.Series) -> Entry:
    if pd.isna(row["tried"]):
        return Entry(NOTHING if row["chosen"] is not False else "")
    lost = row["tried_lost"]
    return Entry(f"{row['tried']:.0f}", f"({lost})" if lost else "")


def _named(row: pd.Series) -> Entry:
    known = isinstance(row["point"], str)
    return Entry(row["label"], f"({row['point']})" if known else "")


def _row(search: Search) -> dict[str, object]:
    chosen, default = search.chosen, search.default
    of_chosen = float("nan") if chosen is None else float(chosen["valid_ppl"])
    of_default = float("nan") if default is None else float(default["valid_ppl"])
    return {
        "search": search.name,
        "chosen_point": NOTHING if chosen is None else _chosen_words(search, chosen),
        "chosen_number": None if chosen is None else int(chosen["number"]),
        "chosen_arguments": None if chosen is None else chosen["arguments"],
        "tried": len(search.tried),
        "diverged": search.count(Status.DIVERGED),
        "pruned": search.count(Status.PRUNED),
        "seed": " ".join(map(str, search.seeds)),
        "chosen_ppl": of_chosen,
        "default_ppl": of_default,
        "difference": of_chosen - of_default,
    }


def _chosen_words(search: Search, chosen: pd.Series) -> str:
    return DEFAULT if search.keeps_default else words_of(chosen, varied(search))


def _caption(searches: tuple[Search, ...]) -> str:
    return (
        "A row is what a search chose by validation; its perplexities are those of later seeds, "
        f"on which nothing was chosen. Column 'search seed' is {seed_words(searches)}, on which "
        "the points were tried. The row below is the default point's, which was trained on that "
        "seed alone; its test is not shown, because validation did not choose it."
    )


def _extent(searches: list[Search]) -> str:
    counts = sorted({len(search.tried) for search in searches})
    points = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    many = f"{len(searches)} search{'' if len(searches) == 1 else 'es'}"
    each = " each" if len(searches) > 1 else ""
    text = f"{many} of {points} point{'' if points == '1' else 's'}{each} on {seed_words(searches)}"
    chosen = [search for search in searches if search.chosen is not None]
    later = {search.name: search.then["seed"].nunique() for search in chosen}
    done = [count for count in later.values() if count]
    if done:
        whose = "the chosen point of each" if len(searches) > 1 else "the chosen point"
        further = seeds(min(done), max(done)).replace(" seed", " further seed")
        text += f"; {whose} trained on {further}"
    waiting = [name for name, count in later.items() if not count]
    if waiting:
        text += f"; no further seed yet of what was chosen by {names_of(waiting)}"
    none = [search.name for search in searches if search.chosen is None]
    return f"{text}{f'; no point finished of {names_of(none)}' if none else ''}."


def _order(searches: list[Search]) -> str:
    """Whether tuning changes the order that the default points have on the search's seed."""
    both = {
        search.name: (float(search.default["valid_nll"]), float(search.chosen["valid_nll"]))
        for search in searches
        if search.default is not None
        and search.chosen is not None
        and search.default["status"] == Status.OK
    }
    if len(both) < 2:
        return ""
    before = _ranks({name: pair[0] for name, pair in both.items()})
    after = _ranks({name: pair[1] for name, pair in both.items()})
    on = f"by validation perplexity on {seed_words(searches)}"
    moved = [name for name in sorted(after, key=after.__getitem__) if after[name] != before[name]]
    if not moved:
        return f"Tuning leaves the order of the default points as it was, {on}."
    changes = [f"{name} from place {before[name]} to {after[name]}" for name in moved]
    return f"Tuning changes the order of the default points, {on}: {', '.join(changes)}."


def _ranks(values: dict[str, float]) -> dict[str, int]:
    """Places from 1; equal values share one."""
    return {name: 1 + sum(other < own for other in values.values()) for name, own in values.items()}


def _old(search: Search, part: Combination) -> int:
    """Trials of points that are chosen no more."""
    trials = _of(part.trials, THEN)
    return int((trials["search"] == search.name).sum()) - len(search.then)
