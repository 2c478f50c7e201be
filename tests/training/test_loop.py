"""A trial: its rows, its checkpoint, and what counts as diverged."""

import math

import numpy as np
import pytest
import torch
from training import toys

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.training import checkpoint
from ablate.training.loop import train

NAIVE = Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(0.25)})


class Killed(Exception):
    """Stands in for a kill at the moment an epoch's row is handed over."""


def timeless(rows):
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "tokens_per_second")} for row in rows
    ]


@pytest.mark.parametrize("placement", [Placement(), NAIVE], ids=["none", "naive"])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_resumed_equals_never_stopped(tmp_path, placement, epoch):
    """Bit for bit: the curve, the measurements and each token's log-probability."""
    cell, corpus = toys.ToyCell(placement=placement), toys.corpus()
    whole = train(cell, corpus, folder=tmp_path / "whole", on_epoch=lambda row: None)

    def stop(row):
        if row["epoch"] == epoch:
            raise Killed

    with pytest.raises(Killed):
        train(cell, corpus, folder=tmp_path / "cut", on_epoch=stop)
    seen = []
    resumed = train(cell, corpus, folder=tmp_path / "cut", on_epoch=seen.append)
    assert [row["epoch"] for row in seen] == list(range(epoch + 1, 4))
    assert timeless(resumed.epochs) == timeless(whole.epochs)
    for split in ("valid", "test"):
        np.testing.assert_array_equal(resumed.tokens[split], whole.tokens[split])
    for name in ("train_nll_last", "valid_nll_best", "test_nll_last", "gap_running"):
        assert resumed.trial[name] == whole.trial[name]


def test_the_measurements_agree_with_each_other(tmp_path):
    """Gaps are valid - train of the same weights; tokens give back the split's nll; counts hold."""
    cell = toys.ToyCell(placement=NAIVE)
    done = train(cell, toys.corpus(), folder=tmp_path, on_epoch=lambda row: None)
    trial, rows = done.trial, done.epochs
    assert done.status == "ok"
    assert (trial["train_targets"], trial["valid_targets"], trial["test_targets"]) == (2003, 53, 59)
    assert trial["epochs"] == len(rows) == 3
    assert [row["learning_rate"] for row in rows] == [0.5, 0.25, 0.125]
    assert trial["train_nll_last"] == rows[-1]["train_nll"]
    assert trial["gap_last"] == trial["valid_nll_last"] - trial["train_nll_last"]
    assert trial["gap_running"] == trial["valid_nll_last"] - rows[-1]["running_nll"]
    assert rows[trial["best_epoch"] - 1]["valid_nll"] == min(row["valid_nll"] for row in rows)
    for split in ("valid", "test"):
        mean = -done.tokens[split].sum(dtype=np.float64) / len(done.tokens[split])
        assert mean == trial[f"{split}_nll_last"]
    assert math.isclose(trial["valid_nll_last"], rows[-1]["valid_nll"], rel_tol=0.05)


def test_the_best_epoch_is_measured_with_its_own_weights(tmp_path):
    """At rates that spoil a later epoch, the first whose best is not its last."""

    def trained(rate, epochs, folder):
        recipe = toys.recipe(
            epochs=epochs, hold=epochs, learning_rate=rate, headline="best", clip=100.0
        )
        cell = toys.ToyCell(recipe=recipe, key=folder)
        return train(cell, toys.corpus(), folder=tmp_path / folder, on_epoch=lambda row: None)

    # What such a rate does hangs on the last bit; that one of them spoils an epoch does not.
    rate, done = next(
        (rate, done)
        for rate in (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
        if (done := trained(rate, 3, f"at {rate}")).trial["best_epoch"] < 3
    )
    again = trained(rate, done.trial["best_epoch"], "again")
    assert done.trial["valid_nll_best"] == again.trial["valid_nll_last"]
    assert done.trial["valid_nll_last"] > done.trial["valid_nll_best"]
    np.testing.assert_array_equal(done.tokens["test"], again.tokens["test"])


def test_a_loss_that_is_not_finite_is_recorded_as_diverged(tmp_path):
    """The trial stops, keeps its curve, and has no measurements to be averaged."""
    recipe = toys.recipe(learning_rate=1e38, clip=1e38)
    cell = toys.ToyCell(recipe=recipe)
    done = train(cell, toys.corpus(), folder=tmp_path, on_epoch=lambda row: None)
    assert done.status == "diverged"
    assert len(done.epochs) == 1
    assert done.epochs[0]["valid_nll"] is None
    assert "valid_nll_last" not in done.trial
    assert done.tokens == {}


def test_a_perplexity_above_the_vocabularys_size_is_diverged(tmp_path):
    """A finite loss that is worse than guessing ends the trial after its first epoch."""
    recipe = toys.recipe(learning_rate=50.0, clip=1e9)
    done = train(
        toys.ToyCell(recipe=recipe), toys.corpus(), folder=tmp_path, on_epoch=lambda row: None
    )
    assert done.status == "diverged"
    assert len(done.epochs) == 1
    assert done.epochs[0]["valid_nll"] > math.log(toys.VOCABULARY)


def test_a_torn_checkpoint_is_named_and_the_trial_starts_anew(tmp_path):
    """A file that cannot be read is a warning, never another result."""
    cell, corpus = toys.ToyCell(), toys.corpus()
    whole = train(cell, corpus, folder=tmp_path, on_epoch=lambda row: None)
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="cannot be read"):
        again = train(cell, corpus, folder=tmp_path, on_epoch=lambda row: None)
    assert timeless(again.epochs) == timeless(whole.epochs)


def test_another_trials_checkpoint_is_not_used(tmp_path):
    """A checkpoint knows its trial's key."""
    corpus = toys.corpus()
    train(toys.ToyCell(), corpus, folder=tmp_path, on_epoch=lambda row: None)
    with pytest.warns(UserWarning, match="another trial's"):
        found = checkpoint.load(tmp_path, "other", torch.device("cpu"))
    assert found is None
