"""Trials side by side from their first epoch to their rows: what they share, and who leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training import toys

from ablate.drops import Drop, Fill
from ablate.edges import Edge
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.schedules import ANNEALED, CONSTANT, CURRICULUM
from ablate.training.loop import Member, train, train_cohort
from ablate.training.update import Update

# Whole vectors, so that eager pointwise code has the bits of law 3.
NET = Net(layers=1, hidden=16)
PLACEMENTS = [
    Placement({Edge.VERTICAL: Drop(0.2), Edge.RECURRENT: Drop(0.25, fill=Fill.HOLD)}),
    Placement({Edge.VERTICAL: Drop(0.3), Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD)}),
    Placement({Edge.CELL: Drop(0.5)}),
]


def _trials(net=NET, **changes):
    recipe = toys.recipe(batch=4, **changes)
    return [
        toys.trial(placement=placement, net=net, recipe=recipe, seed=seed)
        for seed, placement in enumerate(PLACEMENTS)
    ]


def _timeless(outcome):
    clocks = ("seconds", "tokens_per_second", "cohort", "started_at")
    rows = [{k: v for k, v in row.items() if k not in clocks} for row in outcome.epochs]
    return {k: v for k, v in outcome.columns.items() if k not in clocks}, rows


def _together(trials, folder):
    """Train `trials` in one cohort: the outcomes by key, and key and epoch of each row as told."""
    outcomes, told = {}, []
    train_cohort(
        [Member(trial, folder / trial.key) for trial in trials],
        toys.corpus(),
        on_epoch=lambda member, row: told.append((member.trial.key, row["epoch"])),
        on_outcome=lambda member, outcome: outcomes.setdefault(member.trial.key, outcome),
    )
    return outcomes, told


class Killed(Exception):
    """Stands in for a kill at the moment an epoch's row is handed over."""


def _stop(trial, folder, *, epoch):
    """Train a trial alone, and stop when it has told of that epoch."""

    def stop(row):
        if row["epoch"] == epoch:
            raise Killed

    with pytest.raises(Killed):
        train(trial, toys.corpus(), folder=folder / trial.key, on_epoch=stop)


def _as_alone(outcomes, trials, folder):
    """Each has the curve, measurements and tokens of its trial trained alone, bit for bit."""
    assert sorted(outcomes) == sorted(trial.key for trial in trials)
    for trial in trials:
        alone = train(trial, toys.corpus(), folder=folder / trial.key, on_epoch=lambda row: None)
        found = outcomes[trial.key]
        assert found.status == alone.status
        assert _timeless(found) == _timeless(alone)
        assert alone.columns["cohort"] == 1
        assert found.tokens.keys() == alone.tokens.keys()
        for split, expected in alone.tokens.items():
            np.testing.assert_array_equal(found.tokens[split], expected)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_each_trial_is_what_it_is_alone(tmp_path, size):
    """Bit for bit, whoever its companions are."""
    trials = _trials(epochs=2)[:size]
    outcomes, told = _together(trials, tmp_path / "together")
    _as_alone(outcomes, trials, tmp_path / "alone")
    assert {outcome.columns["cohort"] for outcome in outcomes.values()} == {size}
    assert told == [(trial.key, epoch) for epoch in (1, 2) for trial in trials]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_each_trial_has_a_recipe_of_its_own(tmp_path, precision):
    """Learning rate and its schedule, clip, initial weights and headline may differ; all windows
    are the same, and each trial is what it is alone, bit for bit."""
    own = (
        {"learning_rate": 0.5, "hold": 1, "divide": 2.0, "clip": 0.3, "init": 0.5},
        {"learning_rate": 0.1, "hold": 2, "divide": 1.0, "clip": 50.0, "init": 0.1},
        {"learning_rate": 0.9, "hold": 1, "divide": 4.0, "clip": 1.0, "headline": "best"},
    )
    # In bfloat16 bits are equal from some size of the products on: 16 units by 4 rows are below it.
    trials = [
        replace(
            trial,
            net=Net(layers=1, hidden=32),
            recipe=toys.recipe(batch=8, epochs=3, **changes),
            precision=precision,
        )
        for trial, changes in zip(_trials(), own, strict=True)
    ]
    outcomes, _ = _together(trials, tmp_path / "together")
    _as_alone(outcomes, trials, tmp_path / "alone")
    norms = [row["gradient_norm"] for o in outcomes.values() for row in o.epochs]
    assert min(norms) > 0.3, "the first trial's clip holds nothing back"
    rates = [[row["learning_rate"] for row in outcomes[trial.key].epochs] for trial in trials]
    assert rates == [[0.5, 0.25, 0.125], [0.1, 0.1, 0.1], [0.9, 0.225, 0.05625]]


SCHEDULES = (CURRICULUM, ANNEALED, CONSTANT)


def test_schedules_of_the_rates_of_dropout_stand_side_by_side(tmp_path):
    """One whose rates rise, one whose rates fall, and one that stays: each as alone."""
    placement = Placement({Edge.CELL: Drop(0.5)})
    trials = [
        replace(trial, placement=Placement(placement, schedule))
        for trial, schedule in zip(_trials(epochs=2), SCHEDULES, strict=True)
    ]
    outcomes, _ = _together(trials, tmp_path / "together")
    _as_alone(outcomes, trials, tmp_path / "alone")


def test_an_empty_place_stays_empty(tmp_path):
    """A trial that is nearly done goes on beside a new one, ends first, and nobody follows it."""
    one, two, _ = _trials(epochs=3)
    _stop(one, tmp_path, epoch=2)
    outcomes, told = _together([one, two], tmp_path)
    assert told == [(one.key, 3), (two.key, 1), (two.key, 2), (two.key, 3)]
    assert list(outcomes) == [one.key, two.key]


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_trial_resumes_beside_a_new_one(tmp_path, kind):
    """One from its second epoch, one from its first: both as they are alone."""
    trials = _trials(Net(layers=1, hidden=16, cell=kind), epochs=3)[:2]
    _stop(trials[0], tmp_path / "together", epoch=1)
    outcomes, told = _together(trials, tmp_path / "together")
    assert told[:2] == [(trials[0].key, 2), (trials[1].key, 1)]
    _as_alone(outcomes, trials, tmp_path / "alone")


def test_a_trial_whose_loss_is_not_finite_is_frozen(tmp_path, monkeypatch):
    """To the epoch's end, after which it is gone; its companions are what they are alone."""
    trials = _trials(epochs=2)
    sizes = []
    real = Update.__call__

    def spoilt(update, x_TB, y_TB):
        sizes.append(len(update.live_K))
        if len(sizes) == 3:
            update.copies.layers["lstm.weight_hh_l0"][1] = torch.inf
        return real(update, x_TB, y_TB)

    monkeypatch.setattr(Update, "__call__", spoilt)
    outcomes, _ = _together(trials, tmp_path / "together")
    monkeypatch.undo()
    windows = len(sizes) // 2
    assert sizes == [3] * windows + [2] * windows
    assert [outcomes[trial.key].status for trial in trials] == ["ok", "diverged", "ok"]
    row = outcomes[trials[1].key].epochs[0]
    assert row["valid_nll"] is None
    assert row["running_nll"] > 0
    del outcomes[trials[1].key]
    _as_alone(outcomes, [trials[0], trials[2]], tmp_path / "alone")


def test_all_trials_of_a_cohort_may_diverge(tmp_path):
    """Nothing is left to evaluate, and each has its row."""
    outcomes, _ = _together(_trials(learning_rate=1e38, clip=1e38), tmp_path)
    assert {outcome.status for outcome in outcomes.values()} == {"diverged"}


def test_bfloat16_trains_too(tmp_path):
    """Near float32's perplexity after two epochs, and not the same."""
    trials = _trials(epochs=2)
    coarse = [replace(trial, precision="bf16") for trial in trials]
    whole, _ = _together(trials, tmp_path)
    found, _ = _together(coarse, tmp_path)
    for own, other in zip(whole.values(), found.values(), strict=True):
        assert other.columns["path"] == "looped"
        assert other.columns["valid_nll_last"] != own.columns["valid_nll_last"]
        assert other.columns["valid_nll_last"] == pytest.approx(
            own.columns["valid_nll_last"], rel=0.02
        )


def test_paths_are_not_mixed_where_bits_would_differ(tmp_path, refused):
    """None takes the library's LSTM in float32: its companions would change its rounding."""
    one, two, _ = _trials(epochs=1)
    with refused(given=Placement()):
        _together([one, replace(two, placement=Placement())], tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"precision": "bf16"}, "precision"),
        ({"net": Net(layers=2, hidden=16)}, "net"),
        ({"recipe": toys.recipe(batch=5, epochs=2)}, "windows"),
        ({"recipe": toys.recipe(batch=4, unroll=6, epochs=2)}, "windows"),
        ({"recipe": toys.recipe(batch=4, epochs=1)}, "windows"),
        ({"recipe": toys.recipe(batch=4, epochs=2, evaluation_streams=3)}, "windows"),
        ({"recipe": toys.recipe(batch=4, epochs=2, train_eval_tokens=100)}, "windows"),
    ],
)
def test_a_cohort_is_of_one_kind(tmp_path, change, what, refused):
    """One sentence says what must agree."""
    one, two, _ = _trials(epochs=2)
    with refused() as error:
        _together([one, replace(two, **change)], tmp_path)
    assert f"agree in {what}" in str(error.value)


def test_how_far_a_cohort_is_is_told(tmp_path):
    """Each one's epoch and the share that is done, before an epoch and after each update."""
    trials = _trials(epochs=2)[:2]
    _stop(trials[1], tmp_path, epoch=1)
    told = []
    train_cohort(
        [Member(trial, tmp_path / trial.key) for trial in trials],
        toys.corpus(),
        on_epoch=lambda member, row: told.append(row["epoch"]),
        on_outcome=lambda member, outcome: None,
        on_share=lambda epochs, share: told.append((dict(epochs), share)),
    )
    one, other = (trial.key for trial in trials)
    # 71 updates of 28 tokens; both splits of 53 tokens are evaluated, at a third of the cost.
    shares = [done * 84 / (71 * 84 + 106) for done in range(72)]
    assert told[:72] == [({one: 1, other: 2}, share) for share in shares]
    assert told[72:74] == [1, 2]
    assert told[74:] == [*(({one: 2}, share) for share in shares), 2]
    assert 0.98 < shares[-1] < 1.0


def test_who_listens_changes_no_bit(tmp_path):
    """The losses are those of a cohort that tells nobody how far it is."""
    trials = _trials()
    outcomes = {}
    train_cohort(
        [Member(trial, tmp_path / "told" / trial.key) for trial in trials],
        toys.corpus(),
        on_epoch=lambda member, row: None,
        on_outcome=lambda member, outcome: outcomes.setdefault(member.trial.key, outcome),
        on_share=lambda epochs, share: None,
    )
    silent, _ = _together(trials, tmp_path / "silent")
    for key, outcome in silent.items():
        assert _timeless(outcomes[key]) == _timeless(outcome)
