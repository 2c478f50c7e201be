"""A tuned profile: equal budgets, what follows from results, a search that is taken up again."""

import io
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_training import Fake
from matrix import SLOT
from rich.console import Console
from tiny import write_file, write_texts

from ablate.data import Corpus, load_corpus
from ablate.errors import AblateError
from ablate.stages import SEARCH, THEN
from ablate.status import Status
from ablate.store import Store
from ablate.study.changes import select
from ablate.study.cohorts import Cohorts
from ablate.study.driver import Summary, run
from ablate.study.events import Event
from ablate.study.executors import InProcess, Local
from ablate.study.file import read_study
from ablate.study.job import Order, prepare
from ablate.study.rungs import Rungs
from ablate.study.schema import Profile
from ablate.study.searches import baseline_search
from ablate.study.tuning import Agenda, ended_of, searches
from ablate.study.worker import attempt

STRATEGIES = '[{name = "none"}, {name = "zaremba2014"}, {name = "locked"}, {name = "zoneout"}]'
# One argument and three: what a search goes through is the same for any number of them.
TWO = '[{name = "zaremba2014"}, {name = "zoneout"}]'
PINNED = (
    '[{name = "none"}, {name = "recurrent", sharing = "step"}, '
    '{name = "recurrent", sharing = "window"}]'
)
OVER = '{"recipe.learning_rate" = [0.3, 2.0]}'
EPOCHS = 9


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A small one."""
    return load_corpus(str(write_texts(tmp_path_factory.mktemp("corpus") / "text")))


def _profile(folder: Path, tune: str, strategies: str = STRATEGIES, **head: str) -> Profile:
    path = write_file(
        folder / "mine.toml",
        "toy",
        strategies=strategies,
        seeds=None,
        recipe={"epochs": EPOCHS},
        tune=f"{{over = {OVER}, {tune}}}",
        **head,
    )
    path.write_text(path.read_text().replace("seeds = None\n", ""))
    return read_study(path).profile()


def _agenda(profile: Profile, corpus: Corpus) -> Agenda:
    return Agenda(profile, corpus, "mine/quick")


def _run(
    store: Store, agenda: Agenda, fake: Fake | None = None, slots: int = 0, cohort: int = 3
) -> Summary:
    fake = fake or Fake(rates=True)
    prune = agenda.profile.tune.prune if agenda.profile.tune else "none"
    return run(
        agenda(ended_of(store, pruned=prune != "none")),
        store,
        Local(fake, (SLOT,) * slots) if slots else InProcess(fake, SLOT),
        slots=max(1, slots),
        console=Console(file=io.StringIO()),
        cohorts=Cohorts(pinned=cohort),
        agenda=agenda,
        foreseen=agenda.total,
        rungs=Rungs(prune),
    )


def _carry_out(folder: Path, **order: Any) -> None:
    """Run the study file of `folder`, or what `order` says of it, as `ablate run` does."""
    job = prepare(
        Order(study=str(folder / "mine.toml"), results=folder, slots=0, device="cpu", **order)
    )
    assert job.agenda is not None
    console = Console(file=io.StringIO())
    executor, cohorts = InProcess(Fake(rates=True), SLOT), Cohorts(pinned=3)
    run(
        job.entries, job.store, executor, slots=1, console=console, cohorts=cohorts,
        listed=job.listed, agenda=job.agenda, foreseen=job.agenda.total,
    )  # fmt: skip


def _results(store: Store) -> dict[str, tuple[Any, ...]]:
    """What a store holds of each trial, by key."""
    return {
        key: (row["status"], row["valid_nll_last"], row["epochs"])
        for key, row in store.committed().items()
    }


def _names(store: Store) -> set[tuple[Any, ...]]:
    columns = ("key", "label", "seed", "stage", "search", "number", "position", "asked")
    return {tuple(row[name] for name in columns) for row in store.cells().to_pylist()}


def test_every_strategy_gets_as_many_points(tmp_path: Path, corpus: Corpus):
    """On one seed, the default point first; a strategy without arguments has nuisances alone."""
    known = _agenda(_profile(tmp_path, "trials = 5"), corpus)({})
    assert Counter(entry.search for entry in known) == dict.fromkeys(
        ["none", "zaremba2014", "locked", "zoneout"], 5
    )
    assert {(entry.stage, entry.trial.seed) for entry in known} == {(SEARCH, 1)}
    first = [(entry.label, entry.number) for entry in known[:4]]
    assert first == [("none", 0), ("zaremba2014 .5", 0), ("locked .5", 0), ("zoneout .5", 0)]
    assert len({entry.trial.key for entry in known}) == 20


def test_who_stops_early_has_tried_as_much_of_each(tmp_path: Path, corpus: Corpus):
    """Number by number, whatever kinds of trial the strategies make."""
    agenda = _agenda(_profile(tmp_path, "trials = 5"), corpus)
    formed = [cohort for cohort in Cohorts(pinned=1).formed(agenda({}), 1)]
    assert [entry.number for (entry,) in formed] == [n for n in range(5) for _ in range(4)]


def test_without_anything_to_draw_there_is_one_point(tmp_path: Path, corpus: Corpus):
    """`none` has no argument; nothing is repeated to fill a budget."""
    profile = _profile(tmp_path, "trials = 5")
    tune = profile.tune.model_copy(update={"over": {}}) if profile.tune else None
    agenda = _agenda(profile.model_copy(update={"tune": tune}), corpus)
    assert Counter(entry.search for entry in agenda({}))["none"] == 1
    assert agenda.total == 1 + 3 * 5 + 4 * 3


def test_all_strategies_see_the_same_points_of_the_cube(tmp_path: Path, corpus: Corpus):
    """Equal arguments have equal values, and each point has one learning rate for all."""
    known = _agenda(_profile(tmp_path, "trials = 6"), corpus)({})
    by_number = {
        number: [entry for entry in known if entry.number == number] for number in range(1, 6)
    }
    for entries in by_number.values():
        assert len({entry.trial.recipe.learning_rate for entry in entries}) == 1
        rates = {e.search: e.arguments["rate"] for e in entries if "rate" in e.arguments}
        assert rates["zaremba2014"] == rates["locked"]
    assert len({e[0].trial.recipe.learning_rate for e in by_number.values()}) == 5


def test_a_pinned_argument_is_not_drawn(tmp_path: Path, corpus: Corpus):
    """And tells two searches of one strategy apart."""
    listed = '[{name = "recurrent", sharing = "step"}, {name = "recurrent", sharing = "window"}]'
    known = _agenda(_profile(tmp_path, "trials = 8", listed), corpus)({})
    found = {(entry.search, entry.arguments["sharing"]) for entry in known}
    assert found == {
        ("recurrent sharing=step", "step"),
        ("recurrent sharing=window", "window"),
    }
    assert len({entry.arguments["layers"] for entry in known}) > 1


def test_what_validation_chose_is_trained_on_new_seeds(tmp_path: Path, corpus: Corpus):
    """The lowest validation loss of each search, on seeds that no search saw."""
    agenda, store = _agenda(_profile(tmp_path, "trials = 6, then = 2"), corpus), _store(tmp_path)
    summary = _run(store, agenda)
    assert summary == Summary(trained=4 * 6 + 4 * 2, diverged=0, failures=())
    ended = store.committed()
    for search in ("none", "zaremba2014", "locked", "zoneout"):
        rows = [row for row in store.cells().to_pylist() if row["search"] == search]
        tried = [row for row in rows if row["stage"] == SEARCH]
        losses = {row["number"]: ended[row["key"]]["valid_nll_last"] for row in tried}
        later = [row for row in rows if row["stage"] == THEN]
        assert {row["number"] for row in later} == {min(losses, key=lambda n: (losses[n], n))}
        assert sorted(row["seed"] for row in later) == [2, 3]
        assert len({row["arguments"] for row in later}) == 1
    # A tuned profile is one combination: its table's recipe is the shared one.
    assert (
        store.cells().column("recipe").unique().to_pylist()
        == [row["recipe"] for row in store.cells().to_pylist() if row["number"] == 0][:1]
    )


def test_a_search_may_grow(tmp_path: Path, corpus: Corpus):
    """More trials add points and leave those that there are."""
    store = _store(tmp_path)
    _run(store, _agenda(_profile(tmp_path, "trials = 4, then = 1"), corpus))
    before = _results(store)
    _run(store, _agenda(_profile(tmp_path, "trials = 7, then = 1"), corpus))
    after = _results(store)
    assert before.items() <= after.items()
    searched = [row for row in store.cells().to_pylist() if row["stage"] == SEARCH]
    assert Counter(row["search"] for row in searched)["zoneout"] == 7


@pytest.mark.parametrize(
    "tune",
    [
        'trials = 6, sampler = "random", then = 2',
        'trials = 9, sampler = "cmaes", then = 1',
        'trials = 12, sampler = "tpe", prune = "median", then = 1',
        'trials = 8, sampler = "qmc", prune = "hyperband", then = 1',
    ],
)
def test_stopped_anywhere_a_search_goes_on_as_if_it_had_not(
    tmp_path: Path, corpus: Corpus, tune: str
):
    """The same points and the same results, wherever it stopped and whatever slots did."""
    agenda, whole = _agenda(_profile(tmp_path, tune, TWO), corpus), _store(tmp_path / "whole")
    _run(whole, agenda)

    draw, stopped = random.Random(3), _store(tmp_path / "stopped")
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            _run(stopped, _agenda(agenda.profile, corpus), _Stops(draw.randint(3, 30)), cohort=2)
    _run(stopped, _agenda(agenda.profile, corpus), cohort=1)
    assert _results(stopped) == _results(whole)
    assert _names(stopped) == _names(whole)


class _Stops(Fake):
    """Is stopped by the user after so many events."""

    def __init__(self, events: int) -> None:
        super().__init__(rates=True)
        object.__setattr__(self, "left", events)

    def __call__(self, assignments: Any, slot: Any, emit: Any) -> None:
        def counted(event: Any) -> None:
            emit(event)
            object.__setattr__(self, "left", self.left - 1)  # pyright: ignore
            if self.left <= 0:  # pyright: ignore
                raise KeyboardInterrupt

        super().__call__(assignments, slot, counted)


def test_two_slots_search_as_one(tmp_path: Path, corpus: Corpus):
    """The next round waits for all of this one, in whatever order its slots end."""
    agenda = _agenda(_profile(tmp_path, 'trials = 4, sampler = "tpe", then = 1', TWO), corpus)
    one, two = _store(tmp_path / "one"), _store(tmp_path / "two")
    _run(one, agenda)
    _run(two, _agenda(agenda.profile, corpus), slots=2, cohort=1)
    assert _results(one) == _results(two)
    assert _names(one) == _names(two)


@pytest.mark.parametrize("way", [1, -1], ids=["first-to-last", "last-to-first"])
def test_cohorts_after_a_rung_are_those_of_the_study(tmp_path: Path, corpus: Corpus, way: int):
    """Whoever comes to the rung first: companions decide the last bits of a loss on a GPU."""
    profile = _profile(tmp_path, 'trials = 3, then = 1, prune = "median"')
    agenda, cohorts, formed = _agenda(profile, corpus), Cohorts(pinned=2), []

    class Raced:
        """Takes all that waits, and trains it in one or the other order."""

        def run(self, pull: Callable[[], Any], emit: Callable[[Event], None]) -> None:
            while batch := list(iter(pull, ())):
                formed.extend([assigned.trial.key for assigned in cohort] for cohort in batch)
                for cohort in batch[::way]:
                    attempt(Fake(rates=True), cohort, SLOT, emit)

    run(
        agenda({}), _store(tmp_path), Raced(), slots=1, console=Console(file=io.StringIO()),
        cohorts=cohorts, agenda=agenda, rungs=Rungs("median"),
    )  # fmt: skip
    place = {entry.trial.key: n for n, entry in enumerate(agenda({}))}
    searched = [[place[key] for key in keys] for keys in formed if set(keys) <= place.keys()]
    assert len(searched) > 4
    assert all(places == sorted(places) for places in searched)


def test_what_is_pruned_is_counted_and_never_chosen(tmp_path: Path, corpus: Corpus):
    """It has the epochs up to its rung, and no score."""
    store = _store(tmp_path)
    summary = _run(store, _agenda(_profile(tmp_path, 'trials = 8, prune = "median"'), corpus))
    rows = store.committed()
    pruned = {key for key, row in rows.items() if row["status"] == Status.PRUNED}
    assert summary.pruned == len(pruned) > 8
    assert {rows[key]["epochs"] for key in pruned} <= {1, 3}
    assert all(rows[key]["valid_nll_last"] is None for key in pruned)
    later = {row["key"] for row in store.cells().to_pylist() if row["stage"] == THEN}
    assert len(later) == 12
    assert not later & pruned
    assert store.checkpointed() == ()


def test_without_its_pruner_a_search_trains_to_the_end_what_it_had_stopped(
    tmp_path: Path, corpus: Corpus
):
    """Then it holds what it would have held."""
    whole, store = _store(tmp_path / "whole"), _store(tmp_path)
    plain = _profile(tmp_path, "trials = 6, then = 1", TWO)
    _run(whole, _agenda(plain, corpus))
    pruned = _profile(tmp_path, 'trials = 6, then = 1, prune = "median"', TWO)
    _run(store, _agenda(pruned, corpus))
    assert Status.PRUNED in {row["status"] for row in store.committed().values()}
    _run(store, _agenda(plain, corpus))
    assert _results(store) == _results(whole)


def test_who_dies_beyond_a_rung_is_another_attempt(tmp_path: Path, corpus: Corpus):
    """Training on from a rung is the same attempt, and the next worker's is not."""
    store = _store(tmp_path)
    agenda = _agenda(_profile(tmp_path, 'trials = 1, then = 1, prune = "median"'), corpus)
    with pytest.raises(KeyboardInterrupt):
        _run(store, agenda, _Stops(8), cohort=1)
    _run(store, _agenda(agenda.profile, corpus), cohort=1)
    assert {row["attempt"] for row in store.trials().to_pylist()} == {1}


def test_a_diverged_point_is_known_and_not_chosen(tmp_path: Path, corpus: Corpus):
    """Where all of a search diverged it has no seeds to follow."""
    store = _store(tmp_path)
    agenda = _agenda(_profile(tmp_path, 'trials = 3, sampler = "tpe"'), corpus)
    summary = _run(store, agenda, Fake(diverges=(1,)))
    assert (summary.trained, summary.diverged) == (12, 12)
    assert {row["stage"] for row in store.cells().to_pylist()} == {SEARCH}


def test_a_point_that_fails_is_tried_by_the_next_run(tmp_path: Path, corpus: Corpus):
    """A search with a point that did not end chooses nothing yet."""
    store = _store(tmp_path)
    agenda = _agenda(_profile(tmp_path, "trials = 3, then = 1"), corpus)
    summary = _run(store, agenda, Fake(raises=(1,)), cohort=1)
    assert (summary.trained, len(summary.failures)) == (0, 12)
    assert _run(store, agenda).trained == 16


@pytest.mark.parametrize(
    ("order", "joins"),
    [
        pytest.param({"strategies": ("zaremba2014",)}, set(), id="one"),
        pytest.param({"strategies": ("zoneout", "none")}, set(), id="with-the-baseline"),
        pytest.param({"strategies": ("none", "recurrent")}, {"recurrent"}, id="not-listed"),
        pytest.param({"settings": ("tune.trials=2",)}, set(), id="fewer-points"),
        pytest.param({"settings": ("tune.trials=5",)}, set(), id="more-points"),
    ],
)
def test_a_run_of_a_part_leaves_the_rest_in_the_study(
    tmp_path: Path, order: dict[str, Any], joins: set[str]
):
    """Searches are asked for, at their places, as long as the file lists them; no other is."""
    _profile(tmp_path, "trials = 3, then = 1", head='baseline = "none"')
    _carry_out(tmp_path)
    store = _store(tmp_path)
    before = {row["key"]: row for row in store.cells().to_pylist()}
    assert all(row["baseline"] == (row["search"] == "none") for row in before.values())
    assert all(row["asked"] for row in before.values())

    _carry_out(tmp_path, **order)
    after = {row["key"]: row for row in store.cells().to_pylist()}
    assert [row for key, row in before.items() if after[key] != row] == []
    rows = [after[key] for key in after.keys() - before.keys()]
    assert {row["search"] for row in rows if not row["asked"]} == joins
    last = max(row["position"] for row in before.values())
    assert all((row["position"] > last) != row["asked"] for row in rows if row["search"] in joins)


def test_a_search_that_left_the_file_is_asked_for_no_more(tmp_path: Path):
    """Whole, from the next run on; one that comes back is again, and has lost nothing."""
    found: list[dict[str, bool]] = []
    for listed in (TWO, '[{name = "zoneout"}]', TWO):
        _profile(tmp_path, "trials = 3, then = 1", listed, head='baseline = "zoneout"')
        _carry_out(tmp_path, strategies=("zoneout",) if found else ())
        rows = _store(tmp_path).cells().to_pylist()
        found.append({row["search"]: row["asked"] for row in rows})
        assert len({(row["search"], row["asked"]) for row in rows}) == 2
    assert found == [{"zaremba2014": asked, "zoneout": True} for asked in (True, False, True)]


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        pytest.param(["recurrent sharing=window"], ["recurrent sharing=window"], id="search"),
        pytest.param(
            ["recurrent"], ["recurrent sharing=step", "recurrent sharing=window"], id="strategy"
        ),
        pytest.param(["naive", "none"], ["none", "naive"], id="not-listed"),
    ],
)
def test_searches_are_selected_by_name_or_strategy(
    tmp_path: Path, wanted: list[str], kept: list[str]
):
    """And keep all of their points."""
    selected = select(_profile(tmp_path, "trials = 3", PINNED), wanted)
    assert [search.name for search in searches(selected)] == kept


@pytest.mark.parametrize(
    ("given", "search"),
    [
        ("recurrent sharing=window", "recurrent sharing=window"),
        ("recurrent window .25", "recurrent sharing=window"),
        ("recurrent", "recurrent sharing=step"),
        ("none", "none"),
    ],
)
def test_a_baseline_is_named_as_a_search_is(tmp_path: Path, given: str, search: str):
    """Or by its first point, or by its strategy."""
    profile = _profile(tmp_path, "trials = 3", PINNED, head=f'baseline = "{given}"')
    assert baseline_search(profile) == search


def test_a_baseline_that_no_search_has_is_a_mistake(tmp_path: Path, refused: Any):
    """The searches are named."""
    with refused(AblateError):
        _profile(tmp_path, "trials = 3", PINNED, head='baseline = "recurrent sharing=windw"')


@pytest.mark.parametrize("label", ["recurrent window .25", "recurrent .25"])
def test_a_point_of_a_tuned_profile_is_not_selected(tmp_path: Path, refused: Any, label: str):
    """It would be a search of one point, which looks through nothing."""
    profile = _profile(tmp_path, "trials = 3", PINNED)
    with refused(AblateError, given=label):
        select(profile, ["none", label])


@pytest.mark.parametrize(
    ("tune", "strategies"),
    [
        pytest.param("trials = 0", STRATEGIES, id="no-trials"),
        pytest.param('sampler = "tpee"', STRATEGIES, id="sampler"),
        pytest.param("seed = 7.5", STRATEGIES, id="seed"),
        pytest.param("trails = 3", STRATEGIES, id="misspelt"),
        pytest.param("trials = 3", '[{name = "zaremba2014", rate = [0.2, 0.4]}]', id="grid"),
        pytest.param("trials = 3", '[{name = "merity2017", without = "each"}]', id="without"),
        pytest.param("trials = 3", '[{name = "none"}, {name = "none"}]', id="twice"),
        pytest.param(
            "trials = 3",
            '[{name = "recurrent", sharing = "step"}, {name = "recurrent"}]',
            id="pinned-and-not",
        ),
        pytest.param(
            "trials = 3",
            '[{name = "locked", rate = 0}, {name = "none"}, {name = "locked", rate = 0.0}]',
            id="equal-values",
        ),
        pytest.param(
            "trials = 3",
            '[{name = "recurrent", sharing = "step", rate = 0.5},'
            ' {name = "recurrent", rate = 0.5, sharing = "step"}]',
            id="another-order",
        ),
    ],
)
def test_a_mistake_in_a_search_has_its_words(
    tmp_path: Path, refused: Any, tune: str, strategies: str
):
    """What a search may not have is said with its place in the file."""
    with refused(AblateError):
        _profile(tmp_path, tune, strategies)


@pytest.mark.parametrize(
    "over",
    [
        '{"recipe.learning_rat" = [0.3, 2.0]}',
        '{"recipe.epochs" = [3, 20]}',
        '{"recipe.learning_rate" = [2.0, 0.3]}',
        '{"recipe.learning_rate" = [0.0, 2.0]}',
        '{"recipe.learning_rate" = 0.5}',
        '{"recipe.learning_rate" = [1.5, 2.0]}',
        '{"recipe.divide" = [0.5, 2.0]}',
        '"recipe.learning_rate"',
        '{"recipe.learning_rate" = [0.3, 1e300]}',
        '{"recipe.learning_rate" = [true, 2.0]}',
        '{"recipe.learning_rate" = [0.3, 2.0, 3.0]}',
        '{"recipe.clip" = [1.0, inf]}',
    ],
)
def test_a_mistake_in_a_range_has_its_words(tmp_path: Path, refused: Any, over: str):
    """A range is two numbers above 0 of a known nuisance, around what the recipe has."""
    path = write_file(tmp_path / "mine.toml", "toy", seeds=None, tune=f"{{over = {over}}}")
    text = (
        path.read_text().replace("seeds = None\n", "").replace("rate = [0.25, 0.5]", "rate = 0.5")
    )
    path.write_text(text)
    with refused(AblateError):
        read_study(path)


def test_seeds_beside_a_search_are_refused(tmp_path: Path, refused: Any):
    """A search has its own."""
    path = write_file(tmp_path / "mine.toml", "toy", tune="{trials = 3}")
    with refused(AblateError):
        read_study(path)


def _store(folder: Path) -> Store:
    return Store.of(folder, "mine", "quick")
