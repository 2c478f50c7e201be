"""Trials side by side from their first epoch to their rows: places, refills, who leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training import toys

from ablate.drops import Drop, Fill
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.training import epoch
from ablate.training.loop import Member, train, train_cohort

# Whole vectors, so that eager pointwise code has the bits of law 3.
NET = Net(layers=1, hidden=16)
PLACEMENTS = [
    Placement({Edge.VERTICAL: Drop(0.2), Edge.RECURRENT: Drop(0.25, fill=Fill.HOLD)}),
    Placement({Edge.VERTICAL: Drop(0.3), Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD)}),
    Placement({Edge.CELL: Drop(0.5)}),
]


def _cells(**changes):
    recipe = toys.recipe(batch=4, **changes)
    return [
        toys.ToyCell(placement=placement, net=NET, recipe=recipe, seed=seed, key=f"cell{seed}")
        for seed, placement in enumerate(PLACEMENTS)
    ]


def _timeless(outcome):
    clocks = ("seconds", "tokens_per_second", "cohort", "started_at")
    rows = [{k: v for k, v in row.items() if k not in clocks} for row in outcome.epochs]
    return {k: v for k, v in outcome.trial.items() if k not in clocks}, rows


def _together(cells, folder, *, size, corpus=None):
    """Train `cells` in cohorts of `size`: the outcomes by key, and the keys in order of events."""
    members = iter([Member(cell, folder / cell.key) for cell in cells])
    outcomes, told = {}, []
    train_cohort(
        lambda: next(members, None),
        corpus or toys.corpus(),
        size=size,
        on_epoch=lambda member, row: told.append((member.cell.key, row["epoch"])),
        on_outcome=lambda member, outcome: outcomes.setdefault(member.cell.key, outcome),
    )
    return outcomes, told


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_each_trial_is_what_it_is_alone(tmp_path, size):
    """Curves, measurements and every token's log-probability, bit for bit, whatever the size."""
    cells = _cells(epochs=2)
    outcomes, _ = _together(cells, tmp_path / "together", size=size)
    assert list(outcomes) == [cell.key for cell in cells]
    for cell in cells:
        folder = tmp_path / f"alone-{cell.key}"
        alone = train(cell, toys.corpus(), folder=folder, on_epoch=lambda row: None)
        found = outcomes[cell.key]
        assert _timeless(found) == _timeless(alone)
        assert alone.trial["cohort"] == 1
        for split, expected in alone.tokens.items():
            np.testing.assert_array_equal(found.tokens[split], expected)


def test_a_place_is_refilled_at_the_end_of_an_epoch(tmp_path):
    """Two places, three trials: the third begins when a first has ended, not before."""
    outcomes, told = _together(_cells(epochs=2), tmp_path, size=2)
    assert told == [
        ("cell0", 1), ("cell1", 1), ("cell0", 2), ("cell1", 2), ("cell2", 1), ("cell2", 2),
    ]  # fmt: skip
    assert [outcome.trial["cohort"] for outcome in outcomes.values()] == [2, 2, 1]


def test_a_trial_resumes_beside_a_new_one(tmp_path):
    """One from its second epoch, one from its first: both as they are alone."""
    cells = _cells(epochs=3)

    class Killed(Exception):
        pass

    def stop(row):
        raise Killed

    folder = tmp_path / "together"
    with pytest.raises(Killed):
        train(cells[0], toys.corpus(), folder=folder / cells[0].key, on_epoch=stop)
    outcomes, told = _together(cells[:2], folder, size=2)
    assert told[:2] == [("cell0", 2), ("cell1", 1)]
    for cell in cells[:2]:
        apart = tmp_path / f"alone-{cell.key}"
        alone = train(cell, toys.corpus(), folder=apart, on_epoch=lambda row: None)
        assert _timeless(outcomes[cell.key]) == _timeless(alone)


def test_a_trial_whose_loss_is_not_finite_leaves_the_cohort(tmp_path, monkeypatch):
    """Its companions go on without it from the next update, and are what they are alone."""
    cells = _cells(epochs=2)
    sizes = []
    update = epoch.cohort_update

    def spoilt(parameters, x_TB, y_TB, state, tasks, **options):
        sizes.append(len(tasks))
        if len(sizes) == 3:
            seeds = [task.seed for task in tasks]
            parameters["lstm.weight_hh_l0"][seeds.index(1)] = torch.inf
        return update(parameters, x_TB, y_TB, state, tasks, **options)

    monkeypatch.setattr(epoch, "cohort_update", spoilt)
    outcomes, _ = _together(cells, tmp_path / "together", size=3)
    monkeypatch.undo()
    assert sizes[:4] == [3, 3, 3, 2]
    assert [outcomes[cell.key].status for cell in cells] == ["ok", "diverged", "ok"]
    row = outcomes["cell1"].epochs[0]
    assert row["valid_nll"] is None
    assert row["running_nll"] > 0
    for cell in (cells[0], cells[2]):
        folder = tmp_path / f"alone-{cell.key}"
        alone = train(cell, toys.corpus(), folder=folder, on_epoch=lambda row: None)
        assert _timeless(outcomes[cell.key]) == _timeless(alone)


def test_all_trials_of_a_cohort_may_diverge(tmp_path):
    """Nothing is left to evaluate, and each has its row."""
    outcomes, _ = _together(_cells(learning_rate=1e38, clip=1e38), tmp_path, size=3)
    assert {outcome.status for outcome in outcomes.values()} == {"diverged"}


def test_bfloat16_trains_too(tmp_path):
    """Near float32's perplexity after two epochs, and not the same."""
    cells = _cells(epochs=2)
    coarse = [replace(cell, precision="bf16", key=f"{cell.key}-bf16") for cell in cells]
    whole, _ = _together(cells, tmp_path, size=3)
    found, _ = _together(coarse, tmp_path, size=3)
    for own, other in zip(whole.values(), found.values(), strict=True):
        assert other.trial["path"] == "looped"
        assert other.trial["valid_nll_last"] != own.trial["valid_nll_last"]
        assert other.trial["valid_nll_last"] == pytest.approx(own.trial["valid_nll_last"], rel=0.02)


def test_paths_are_not_mixed_where_bits_would_differ(tmp_path):
    """None takes the library's LSTM in float32: its companions would change its rounding."""
    one, two, _ = _cells(epochs=1)
    with pytest.raises(AblateError, match="one path of the engine"):
        _together([one, replace(two, placement=Placement())], tmp_path, size=2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"precision": "bf16"}, "precision"),
        ({"net": Net(layers=2, hidden=16)}, "net"),
        ({"recipe": toys.recipe(batch=4, epochs=1)}, "recipe"),
    ],
)
def test_a_cohort_is_of_one_kind(tmp_path, change, what):
    """One sentence says what must agree."""
    one, two, _ = _cells(epochs=2)
    with pytest.raises(
        AblateError, match=f"trials of a cohort have one {what}, got .*; train them"
    ):
        _together([one, replace(two, **change)], tmp_path, size=2)
