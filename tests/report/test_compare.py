"""Two stores side by side: which placements, which numbers, and whether the orders agree."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawing import seeded
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tuned_stores import GAL, NONE, Tried, write_tuned
from written_stores import NET, QUICK, RECIPE, write_study

from ablate.report.compare import Comparison, compare
from ablate.report.order import agreement, ranks
from ablate.report.unpaired import welch
from ablate.store import Store
from ablate.store.listing import named_store

FEW = QUICK[:3]
Make = Callable[[Path], Store]
TIMES = "\N{MULTIPLICATION SIGN}"
TURNED = (FEW[0], replace(FEW[1], valid=FEW[2].valid), replace(FEW[2], valid=FEW[1].valid))


def only(a: Store, b: Store, *combinations: str) -> Comparison:
    """The one combination that two stores have in common."""
    here, there = combinations or (None, None)
    (found,) = compare(a, b, (here, there)).comparisons
    return found


def test_a_store_beside_itself_has_no_difference(tmp_path: Path) -> None:
    """Zero without an interval's width, equal ranks, tau 1: the trials are the same."""
    store = write_study(tmp_path, seeds=3)
    found = only(store, store)
    rows = found.panel.rows
    assert len(rows) == len(QUICK)
    assert rows["paired"].all()
    assert not rows[["difference", "difference_low", "difference_high"]].to_numpy().any()
    assert rows["a_rank"].tolist() == rows["b_rank"].tolist() == list(range(1, 15))
    assert found.verdict == (
        "The order of the 14 placements is the same in A and in B (Kendall's tau 1)."
    )
    assert (found.differs, found.notes) == ((), ())
    assert found.text().startswith(found.verdict)


def test_another_machine_is_no_pair(tmp_path: Path) -> None:
    """Equal keys from another processor share nothing but their name, and that is said."""
    here = write_study(tmp_path / "a", points=FEW, seeds=3)
    there = write_study(tmp_path / "b", points=FEW, seeds=3, also={"cpu": "Other CPU"})
    found = only(here, there)
    assert not found.panel.rows["paired"].any()
    assert (found.panel.rows["difference"] == 0).all()
    assert (found.panel.rows["difference_low"] < 0).all()
    assert "Welch" in found.panel.caption
    (note,) = found.notes
    assert "9 trials of A and B have the same keys" in note
    assert "cpu Example CPU @ 2.00GHz and Other CPU" in note
    assert note.endswith("they share nothing but their name.")


def test_trials_of_one_machine_are_not_said_to_be_of_two(tmp_path: Path) -> None:
    """Of equal keys those of another processor alone are counted, and its name stands alone."""
    here = write_study(tmp_path / "a", points=FEW, seeds=3)
    there = write_study(tmp_path / "b", points=FEW[:2], seeds=3)
    assert not any("machine" in note for note in only(here, there).notes)
    write_study(tmp_path / "c", points=FEW, seeds=3, also={"cpu": "Other CPU"})
    both = write_study(tmp_path / "c", points=FEW[:2], seeds=3)
    assert only(here, both).notes == (
        "3 trials of A and B have the same keys and come from different machines or versions "
        "(cpu Example CPU @ 2.00GHz and Other CPU): they share nothing but their name.",
    )
    # What only one side has decides nothing, wherever it was trained.
    more = write_study(tmp_path / "b", points=FEW[2:], seeds=3, also={"cpu": "Other CPU"})
    few = write_study(tmp_path / "d", points=FEW[:2], seeds=2)
    assert not any("machine" in note for note in only(more, few).notes)


def test_means_intervals_and_ranks_of_each_side(tmp_path: Path) -> None:
    """The lowest of A comes first, and each row has what both sides came to."""
    here = write_study(tmp_path / "a", points=FEW, seeds=3)
    there = write_study(tmp_path / "b", points=TURNED, seeds=4, precision="bf16")
    found = only(here, there)
    rows = found.panel.rows
    assert rows["label"].tolist() == ["zaremba2014 .5", "zaremba2014 .25", "none"]
    assert (rows["a_n"].tolist(), rows["b_n"].tolist()) == ([3] * 3, [4] * 3)
    assert (rows["a_rank"].tolist(), rows["b_rank"].tolist()) == ([1, 2, 3], [2, 1, 3])
    for _, row in rows.iterrows():
        ours, theirs = row["a_valid_ppl_values"], row["b_valid_ppl_values"]
        expected = stats.ttest_ind(theirs, ours, equal_var=False).confidence_interval(0.95)
        assert row["difference"] == pytest.approx(np.mean(theirs) - np.mean(ours))
        assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(expected))
    assert found.differs == ("precision fp32 and bf16",)
    assert found.verdict.startswith(
        "The order of the 3 placements is not the same in A and in B: 1 of 3 pairs stands the "
        "other way round (Kendall's tau .33). 1 of them is told from noise on both sides"
    )
    assert found.verdict.endswith("zaremba2014 .5 and zaremba2014 .25.")


def test_what_the_order_is_does_not_depend_on_names(tmp_path: Path) -> None:
    """Another study, profile, folder and labels, in another order, with the same numbers."""
    here = write_study(tmp_path / "a", points=FEW, seeds=3)
    there = write_study(tmp_path / "b", study="other", profile="one", points=TURNED, seeds=3)
    moved = write_study(
        tmp_path / "c", study="third", points=(TURNED[2], TURNED[0], TURNED[1]), seeds=3
    )
    renamed = [row | {"label": f"my {row['label']}"} for row in moved.cells().to_pylist()]
    moved.write_cells(renamed)
    first, second = only(here, there), only(here, moved)
    assert first.verdict == second.verdict
    names = ["label", "a_rank", "b_rank", "difference"]
    assert first.panel.rows[names].equals(second.panel.rows[names])


def test_swapping_the_sides_turns_the_differences(tmp_path: Path) -> None:
    """B beside A has the opposite differences, and the same agreement."""
    here = write_study(tmp_path / "a", points=FEW, seeds=3)
    there = write_study(tmp_path / "b", points=TURNED, seeds=3)
    one, other = (
        only(*pair).panel.rows.set_index("label").sort_index()
        for pair in ((here, there), (there, here))
    )
    assert one["difference"].tolist() == pytest.approx((-other["difference"]).tolist())
    assert one["difference_low"].tolist() == pytest.approx((-other["difference_high"]).tolist())
    assert one["a_rank"].tolist() == other["b_rank"].tolist()


def _of_another_text(folder: Path, baseline: str) -> Store:
    """One seed of the placements, turned, on another corpus."""
    text = {"corpus": "ptb", "corpus_digest": "ab" * 32}
    store = write_study(folder, points=TURNED, seeds=1, baseline=baseline, also=text)
    store.write_cells([row | text for row in store.cells().to_pylist()])
    return store


def test_perplexities_of_two_texts_are_not_subtracted(tmp_path: Path) -> None:
    """Each side says instead by how much a placement changes the baseline's, seed by seed."""
    here = write_study(tmp_path / "a", points=FEW, seeds=3)
    panel = only(here, _of_another_text(tmp_path / "b", "none")).panel
    assert "difference" not in panel.rows
    heads = [column.head for column in panel.columns]
    assert heads[5:7] == ["A to none", "B to none"]
    rows = panel.rows.set_index("label")
    for side in "ab":
        none = np.array(rows.loc["none", f"{side}_valid_ppl_values"])
        assert rows.loc["none", f"{side}_effect_values"] == ()
        for label in ("zaremba2014 .5", "zaremba2014 .25"):
            own = np.array(rows.loc[label, f"{side}_valid_ppl_values"])
            changes = 100 * (own / none - 1)
            assert rows.loc[label, f"{side}_effect_values"] == pytest.approx(tuple(changes))
            assert rows.loc[label, f"{side}_effect"] == pytest.approx(changes.mean())
    assert "whose perplexities are not subtracted; to none: " in panel.caption
    # Without one baseline on both sides nothing is between the means and the ranks.
    panel = only(here, _of_another_text(tmp_path / "c", "zaremba2014 .5")).panel
    assert [column.head for column in panel.columns][5:] == ["A rank", "B rank"]
    assert panel.caption.endswith(
        "A and B have other texts, whose perplexities are not subtracted. Rank 1 is the lowest of "
        "the placements that both have."
    )


def test_what_only_one_side_has_is_listed(tmp_path: Path) -> None:
    """Placements without a finished trial on a side stand in no row; lost trials are counted."""
    here = write_study(tmp_path / "a", points=QUICK[:4], seeds=2, diverged=((1, 1), (1, 2)))
    there = write_study(tmp_path / "b", points=QUICK[:3], seeds=1, failed=((2, 1),))
    found = only(here, there)
    assert found.panel.rows["label"].tolist() == ["none"]
    assert found.verdict == "One placement has a mean in both, none: there is no order."
    assert found.notes == (
        "Only A has a finished trial of zaremba2014 .5, zaremba2014 .75.",
        "Only B has a finished trial of zaremba2014 .25.",
        "In no mean of A: 2 diverged.",
        "In no mean of B: 1 failed.",
    )
    assert math.isnan(found.panel.rows["difference_low"][0])


def test_placements_beside_the_study_file_count(tmp_path: Path) -> None:
    """There is no family here that they could change."""
    here = write_study(tmp_path / "a", points=FEW, unasked=("zaremba2014 .5",))
    there = write_study(tmp_path / "b", points=FEW)
    assert len(only(here, there).panel.rows) == 3


def test_the_only_combination_of_each_is_compared(tmp_path: Path) -> None:
    """Whatever they are: does the order on one net hold on another? What differs is said."""
    here = write_study(tmp_path / "a", points=FEW, seeds=3)
    there = write_study(
        tmp_path / "b",
        points=FEW,
        seeds=3,
        net={**NET, "hidden": 650},
        recipe=RECIPE | {"epochs": 39, "learning_rate": 0.5},
    )
    found = only(here, there)
    assert found.differs == ("hidden 200 and 650", "learning rate 1 and 0.5", "epochs 8 and 39")
    assert "A and B differ in hidden 200 and 650, learning rate 1 and 0.5" in found.text()


def two_nets(folder: Path, *hidden: int, **given: Any) -> Store:
    """A store of several combinations."""
    for width in hidden:
        store = write_study(folder, points=FEW, net={**NET, "hidden": width}, **given)
    return store


def test_combinations_that_both_have_are_compared(tmp_path: Path) -> None:
    """Each with its equal; the others are named."""
    here, there = two_nets(tmp_path / "a", 200, 650), two_nets(tmp_path / "b", 650, 1500)
    compared = compare(here, there)
    (found,) = compared.comparisons
    assert "650" in found.first.part.name
    assert compared.notes == (
        f"Only A has, and not compared: 1 combination (ptb-tenth, LSTM 2 {TIMES} 200, fp32).",
        f"Only B has, and not compared: 1 combination (ptb-tenth, LSTM 2 {TIMES} 1500, fp32).",
    )
    both = compare(here, here)
    assert len(both.comparisons) == 2
    lines = both.csv().splitlines()
    assert len(lines) == 1 + 2 * len(FEW)
    assert both.markdown().count("| placement |") == 2
    assert both.text().count("Kendall's tau 1") == 2


def test_a_combination_is_chosen_by_a_part_of_its_name(tmp_path: Path) -> None:
    """One of each side, or one that both have."""
    here, there = two_nets(tmp_path / "a", 200, 650), two_nets(tmp_path / "b", 100, 1500)
    found = only(here, there, "2x650", "1500")
    assert found.differs == ("hidden 650 and 1500",)
    assert only(here, here, f"LSTM 2 {TIMES} 200", "2x200").differs == ()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param((None, None), id="open"),
        pytest.param(("2x650", None), id="open-in-b"),
        pytest.param(("nothing", "1500"), id="unknown"),
        pytest.param(("LSTM", "1500"), id="several"),
    ],
)
def test_an_open_choice_of_combinations_is_refused(
    tmp_path: Path, names: tuple[str | None, str | None], refused: Any
) -> None:
    """It says what there is, and how to choose."""
    here, there = two_nets(tmp_path / "a", 200, 650), two_nets(tmp_path / "b", 100, 1500)
    with refused():
        compare(here, there, names)


def test_nothing_in_common_is_refused(tmp_path: Path, refused: Any) -> None:
    """It says what each has, and what to train."""
    here = write_study(tmp_path / "a", points=QUICK[:1])
    there = write_study(tmp_path / "b", points=QUICK[1:9])
    with refused(given=("none",)):
        compare(here, there)


EVERY = ((0, 1), (0, 2))


@pytest.mark.parametrize("turned", [False, True], ids=["ab", "ba"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            lambda folder: write_study(folder, points=FEW),
            lambda folder: write_tuned(folder, (NONE, GAL)),
            id="tuned",
        ),
        pytest.param(
            lambda folder: write_tuned(folder, (NONE,)),
            lambda folder: write_tuned(folder, (GAL,)),
            id="searches",
        ),
        pytest.param(
            lambda folder: write_study(folder, points=FEW[:1]),
            lambda folder: write_study(folder, points=FEW[:1], diverged=EVERY),
            id="one-ended",
        ),
        pytest.param(
            lambda folder: write_study(folder, points=FEW[:1], failed=EVERY),
            lambda folder: write_study(folder, points=FEW[:1], diverged=EVERY),
            id="none-ended",
        ),
    ],
)
def test_no_command_is_given_that_would_not_help(
    tmp_path: Path, refused: Any, first: Make, second: Make, *, turned: bool
) -> None:
    """Searches have nothing in common with points, and what never ended needs no other point."""
    sides = first(tmp_path / "a"), second(tmp_path / "b")
    with refused() as raised:
        compare(sides[turned], sides[not turned])
    assert "ablate run" not in str(raised.value)


def test_searches_are_compared_by_name(tmp_path: Path) -> None:
    """Their later seeds, whatever point validation chose; what was tried does not count."""
    other = replace(GAL, number=1, tried=(Tried(valid=240.0), Tried({"recurrent": 0.6}, 205.0)))
    here = write_tuned(tmp_path / "a", (NONE, GAL))
    found = only(here, write_tuned(tmp_path / "b", (NONE, other)))
    assert found.panel.rows["arguments"].tolist() == ["tuned", "tuned"]
    assert found.panel.rows["label"].tolist() == ["gal2016", "none"]
    assert found.panel.rows["a_n"].tolist() == [3, 3]
    assert found.verdict.startswith("The order of the 2 placements is the same in A and in B")
    assert found.notes[-1] == "Of another placement in A than in B, under one name: gal2016."


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder with two profiles of one study, and one of another; the working folder."""
    write_study(tmp_path / "results", points=FEW)
    write_study(tmp_path / "results", points=FEW, profile="tenth")
    write_study(tmp_path / "results", points=FEW, study="cells")
    write_study(tmp_path / "other", points=FEW, study="cells")
    for name in ("cells", "cells:quick"):
        (tmp_path / name).write_text("of something else")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        pytest.param("cells", "results/cells/quick", id="study"),
        pytest.param("placement:tenth", "results/placement/tenth", id="profile"),
        pytest.param("folder/cells.toml", "results/cells/quick", id="file"),
        pytest.param("folder/placement.toml:quick", "results/placement/quick", id="file-profile"),
        pytest.param("results/placement/quick", "results/placement/quick", id="folder"),
        pytest.param("cells:quick", "results/cells/quick", id="beside-a-file"),
        pytest.param("results/placement/quick/", "results/placement/quick", id="slash"),
        pytest.param("results/cells", "results/cells/quick", id="folder-of-one"),
        pytest.param("other", "other/cells/quick", id="results-of-one"),
        pytest.param("results/placement:tenth", "results/placement/tenth", id="folder-profile"),
    ],
)
def test_how_a_store_is_named(stores: Path, name: str, folder: str) -> None:
    """By study, by study and profile, or by a folder."""
    assert named_store(name).folder.absolute() == stores / folder


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("placment", id="unknown"),
        pytest.param("placement", id="several-profiles"),
        pytest.param("placement:quik", id="profile"),
        pytest.param("results", id="folder-of-several"),
        pytest.param("results/cells/quick/trials", id="folder-of-none"),
        pytest.param("nowhere/at/all", id="no-folder"),
    ],
)
def test_a_name_that_is_no_store_is_refused(
    stores: Path, tmp_path: Path, name: str, refused: Any
) -> None:
    """Each says what there is."""
    with refused():
        named_store(name)


VALUES = st.lists(st.floats(50, 500), min_size=3, max_size=6)


@seeded(40)
@given(VALUES, VALUES)
def test_welchs_interval_is_scipys(first: list[float], second: list[float]) -> None:
    """Wherever the values differ at all."""
    found = welch(first, second)
    assert found.mean == pytest.approx(np.mean(second) - np.mean(first))
    assert found.low <= found.mean <= found.high
    if np.ptp(first) > 1e-3 and np.ptp(second) > 1e-3:
        known = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx(tuple(known), abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([1.0, 2.0, 3.0], [4.0, 5.0], id="two-seeds"),
        pytest.param([1.0], [4.0], id="one-seed"),
    ],
)
def test_too_few_seeds_have_no_interval(first: list[float], second: list[float]) -> None:
    """As everywhere in a report."""
    found = welch(first, second)
    assert found.mean == np.mean(second) - np.mean(first)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("values", [[math.inf, 1.0, 2.0], []], ids=["infinite", "none"])
def test_what_has_no_difference_is_nan(values: list[float]) -> None:
    """A perplexity above every float, and no trial."""
    assert math.isnan(welch(values, [1.0, 2.0, 3.0]).mean)


def a_little_apart(means: Sequence[float]) -> list[dict[int, float]]:
    """Three seeds of each placement, a little apart."""
    return [{1: mean, 2: mean + 0.1, 3: mean - 0.1} for mean in means]


MEANS = st.lists(st.integers(1, 5), min_size=2, max_size=7)


@seeded(40)
@given(MEANS, st.randoms(use_true_random=False))
def test_tau_is_kendalls_and_swapped_pairs_are_counted(means: list[int], random: Any) -> None:
    """Names and their order change nothing; an order with itself has tau 1 and no swapped pair."""
    other = random.sample(means, len(means))
    names = [f"p{index}" for index in range(len(means))]
    found = agreement(names, a_little_apart(means), a_little_apart(other))
    known = stats.kendalltau(means, other).statistic
    assert found.tau == pytest.approx(known, nan_ok=True)
    assert bool(found.swapped) == any(
        (a - b) * (c - d) < 0
        for a, c in zip(means, other, strict=True)
        for b, d in zip(means, other, strict=True)
    )
    order = random.sample(range(len(means)), len(means))
    moved = agreement(
        [f"q{index}" for index in order],
        a_little_apart([means[index] for index in order]),
        a_little_apart([other[index] for index in order]),
    )
    assert moved.tau == pytest.approx(found.tau, nan_ok=True)
    assert len(moved.swapped) == len(found.swapped)
    itself = agreement(names, a_little_apart(means), a_little_apart(means))
    assert itself.swapped == ()
    assert itself.tau == pytest.approx(1.0) or len(set(means)) == 1


def test_whether_a_swapped_pair_is_noise() -> None:
    """Told on both sides, on one only, or with too few seeds."""
    clear, turned = a_little_apart([1, 2]), a_little_apart([2, 1])
    assert agreement("ab", clear, turned).apart == (("a", "b"),)
    noisy = [{1: 2.0, 2: 1.0, 3: 2.1}, {1: 1.0, 2: 2.0, 3: 1.9}]
    found = agreement("ab", clear, noisy)
    assert (found.apart, found.unknown, len(found.swapped)) == ((), 0, 1)
    assert "None of that is told from noise" in found.words
    few = [{1: 2.0}, {1: 1.0}]
    assert agreement("ab", clear, few).unknown == 1
    assert "fewer than 3 seeds" in agreement("ab", clear, few).words
    endless = [{1: math.inf, 2: 1.0, 3: 1.0}, {1: math.inf, 2: 1.0, 3: 1.0}]
    assert agreement("ab", endless, endless).swapped == ()


def test_ranks_begin_at_the_lowest() -> None:
    """Equal ones share a place."""
    assert ranks([3.0, 1.0, 3.0, 2.0]) == [3.0, 1.0, 3.0, 2.0]
    assert ranks([math.inf, 1.0]) == [2.0, 1.0]
