"""A trial: its rows, its checkpoint, and what counts as diverged."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training import toys

from ablate.data import load_corpus
from ablate.drops import Drop, Fill
from ablate.edges import Edge
from ablate.errors import AblateWarning
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.training import checkpoint
from ablate.training.evaluation import Evaluation, evaluate
from ablate.training.loop import train
from ablate.training.update import TrialPlan

NAIVE = Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(0.25)})
HELD = NAIVE | Placement({Edge.HIDDEN: Drop(0.25, fill=Fill.HOLD)})


class Killed(Exception):
    """Stands in for a kill at the moment an epoch's row is handed over."""


def timeless(rows):
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "tokens_per_second")} for row in rows
    ]


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    """Train a trial from start to end, once for all the epochs at which another stops."""
    made = {}

    def run(trial, corpus):
        if trial.key not in made:
            folder = tmp_path_factory.mktemp("whole")
            made[trial.key] = train(trial, corpus, folder=folder, on_epoch=lambda row: None)
        return made[trial.key]

    return run


@pytest.mark.parametrize(
    ("placement", "epoch", "kind", "train_words"),
    [
        *(
            pytest.param(placement, epoch, "lstm", 503, id=f"{epoch}-{name}")
            for epoch in (1, 2, 3)
            for name, placement in (("none", Placement()), ("naive", NAIVE))
        ),
        *(pytest.param(HELD, 2, kind, 211, id=f"2-held-{kind}") for kind in ("gru", "rnn")),
    ],
)
def test_resumed_equals_never_stopped(tmp_path, never_stopped, placement, epoch, kind, train_words):
    """Bit for bit: the curve, the measurements and each token's log-probability."""
    net = Net(layers=2, hidden=13, embedding=5, cell=kind)
    trial, corpus = toys.trial(placement=placement, net=net), toys.corpus(train_words)
    whole = never_stopped(trial, corpus)

    def stop(row):
        if row["epoch"] == epoch:
            raise Killed

    with pytest.raises(Killed):
        train(trial, corpus, folder=tmp_path / "cut", on_epoch=stop)
    seen = []
    resumed = train(trial, corpus, folder=tmp_path / "cut", on_epoch=seen.append)
    assert [row["epoch"] for row in seen] == list(range(epoch + 1, 4))
    assert timeless(resumed.epochs) == timeless(whole.epochs)
    for split in ("valid", "test"):
        np.testing.assert_array_equal(resumed.tokens[split], whole.tokens[split])
    for name in ("train_nll_last", "valid_nll_best", "test_nll_last", "gap_running"):
        assert resumed.columns[name] == whole.columns[name]


def _save(folder, state):
    with checkpoint.Writer() as writer:
        writer.save(folder, state)


def test_the_measurements_agree_with_each_other(tmp_path):
    """Gaps are valid - train of the same weights; tokens give back the split's nll; counts hold."""
    trial = toys.trial(placement=NAIVE)
    done = train(trial, toys.corpus(), folder=tmp_path, on_epoch=lambda row: None)
    columns, rows = done.columns, done.epochs
    assert done.status == "ok"
    assert (columns["train_targets"], columns["valid_targets"], columns["test_targets"]) == (
        2003,
        53,
        59,
    )
    assert columns["epochs"] == len(rows) == 3
    assert [row["learning_rate"] for row in rows] == [0.5, 0.25, 0.125]
    assert columns["gap_last"] == columns["valid_nll_last"] - columns["train_nll_last"]
    assert columns["gap_running"] == columns["valid_nll_last"] - rows[-1]["running_nll"]
    assert rows[columns["best_epoch"] - 1]["valid_nll"] == min(row["valid_nll"] for row in rows)
    for split in ("valid", "test"):
        mean = -done.tokens[split].sum(dtype=np.float64) / len(done.tokens[split])
        assert mean == columns[f"{split}_nll_last"]
    assert math.isclose(columns["valid_nll_last"], rows[-1]["valid_nll"], rel_tol=0.05)


def test_the_best_epoch_is_measured_with_its_own_weights(tmp_path):
    """At rates that spoil a later epoch, the first whose best is not its last."""

    def trained(rate, epochs, folder):
        recipe = toys.recipe(
            epochs=epochs, hold=epochs, learning_rate=rate, headline="best", clip=100.0
        )
        trial = toys.trial(recipe=recipe)
        return train(trial, toys.corpus(), folder=tmp_path / folder, on_epoch=lambda row: None)

    # What such a rate does hangs on the last bit; that one of them spoils an epoch does not.
    rate, done = next(
        (rate, done)
        for rate in (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
        if (done := trained(rate, 3, f"at {rate}")).columns["best_epoch"] < 3
    )
    again = trained(rate, done.columns["best_epoch"], "again")
    assert done.columns["valid_nll_best"] == again.columns["valid_nll_last"]
    assert done.columns["valid_nll_last"] > done.columns["valid_nll_best"]
    np.testing.assert_array_equal(done.tokens["test"], again.tokens["test"])


def test_a_loss_that_is_not_finite_is_recorded_as_diverged(tmp_path):
    """The trial stops, keeps its curve, and has no measurements to be averaged."""
    recipe = toys.recipe(learning_rate=1e38, clip=1e38)
    trial = toys.trial(recipe=recipe)
    done = train(trial, toys.corpus(), folder=tmp_path, on_epoch=lambda row: None)
    assert done.status == "diverged"
    assert len(done.epochs) == 1
    assert done.epochs[0]["valid_nll"] is None
    assert "valid_nll_last" not in done.columns
    assert done.tokens == {}


def _read(folder: Path, text: str):
    """A corpus of which all three splits are `text`: a net learns it by heart."""
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text(text)
    return load_corpus(str(folder))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("one two three four five\nsix seven eight nine\n" * 400, id="ten-types"),
        pytest.param("a\n" * 2200, id="two-types"),
    ],
)
def test_a_net_that_is_sure_and_wrong_at_first_goes_on_to_perplexity_1(tmp_path, text):
    """Losses above guessing in the first epochs, in training and validation, end no trial."""
    corpus = _read(tmp_path, text)
    recipe = toys.recipe(
        unroll=20, batch=20, learning_rate=1.0, epochs=12, hold=12, init=0.1, evaluation_streams=20
    )
    trial = toys.trial(recipe=recipe, net=Net(layers=1, hidden=8), seed=1)
    done = train(trial, corpus, folder=tmp_path / "work", on_epoch=lambda row: None)
    assert done.epochs[0]["valid_nll"] > math.log(len(corpus.vocabulary))
    assert (done.status, len(done.epochs)) == ("ok", 12)
    assert math.exp(done.columns["test_nll_last"]) < 1.05


def test_a_split_of_words_that_were_never_trained_ends_no_trial(tmp_path):
    """An untrained `<unk>` costs ever more nats, and the training loss falls all the same."""
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "train.txt").write_text("a b c d\n" * 400)
    for split in ("valid", "test"):
        (folder / f"{split}.txt").write_text("e f g h\n" * 20)
    corpus = load_corpus(str(folder))
    trial = toys.trial(recipe=toys.recipe(epochs=4, hold=4), net=Net(layers=1, hidden=8))
    done = train(trial, corpus, folder=tmp_path / "work", on_epoch=lambda row: None)
    assert done.status == "ok"
    assert done.columns["running_nll"] < 0.2
    assert done.columns["valid_nll_last"] > 2 * math.log(len(corpus.vocabulary))


def test_a_training_loss_that_stays_above_guessing_is_diverged(tmp_path):
    """Finite and twice as bad as guessing: the trial ends after its second such epoch."""
    recipe = toys.recipe(learning_rate=50.0, clip=1e9, epochs=6, hold=6)
    done = train(
        toys.trial(recipe=recipe), toys.corpus(), folder=tmp_path, on_epoch=lambda row: None
    )
    assert done.status == "diverged"
    assert len(done.epochs) == 2
    assert all(row["running_nll"] > 2 * math.log(toys.VOCABULARY) for row in done.epochs)
    assert all(math.isfinite(row["valid_nll"]) for row in done.epochs)
    assert "valid_nll_last" not in done.columns


def test_a_final_perplexity_that_overflows_enters_no_mean(tmp_path):
    """One epoch at a mad rate: the trial has its curve, and counts as diverged."""
    recipe = toys.recipe(learning_rate=1e4, clip=1e9, epochs=1)
    done = train(
        toys.trial(recipe=recipe), toys.corpus(), folder=tmp_path, on_epoch=lambda row: None
    )
    assert done.epochs[0]["valid_nll"] > 700
    assert (done.status, len(done.epochs)) == ("diverged", 1)
    assert "valid_nll_last" not in done.columns
    assert done.tokens == {}


@pytest.mark.parametrize("lost", [math.nan, math.inf], ids=["nan", "inf"])
def test_a_validation_that_is_not_finite_is_never_the_best(tmp_path, monkeypatch, lost):
    """The trial goes on, and its best epoch is one that has a number."""
    real = Evaluation.__call__
    calls = []

    def spoilt(evaluation, tokens, **options):
        found = real(evaluation, tokens, **options)
        calls.append(len(tokens))
        # The first epoch's validation.
        return (
            [own._replace(log_probs_N=own.log_probs_N - lost) for own in found]
            if (len(calls) == 2)
            else found
        )

    monkeypatch.setattr(Evaluation, "__call__", spoilt)
    done = train(toys.trial(), toys.corpus(), folder=tmp_path, on_epoch=lambda row: None)
    assert calls[:2] == [53, 53]
    assert done.status == "ok"
    assert not math.isfinite(done.epochs[0]["valid_nll"])
    assert done.columns["best_epoch"] > 1
    assert math.isfinite(done.columns["valid_nll_best"])


def test_a_curve_is_measured_on_as_much_training_text_as_validation(tmp_path):
    """After an epoch on a prefix of that length; the final train has the recipe's whole sample."""
    corpus, trial = toys.corpus(train=401), toys.trial()
    done = train(trial, corpus, folder=tmp_path, on_epoch=lambda row: None)
    state = checkpoint.load(tmp_path, trial.key, "cpu")
    assert state is not None

    def nll(tokens):
        planned = TrialPlan(trial.net, trial.placement, trial.seed)
        scored = evaluate(state.parameters, tokens, planned, streams=4, unroll=7, eos=0)
        return pytest.approx(scored.nll, rel=1e-6)

    assert done.epochs[-1]["train_nll"] == nll(corpus.train[: len(corpus.valid)])
    assert done.columns["train_nll_last"] == nll(corpus.train)
    assert done.columns["train_targets"] == len(corpus.train)
    few = toys.trial(recipe=toys.recipe(train_eval_tokens=31))
    done = train(few, corpus, folder=tmp_path / "few", on_epoch=lambda row: None)
    assert done.epochs[-1]["train_nll"] == nll(corpus.train[:31])
    assert (done.columns["train_nll_last"], done.columns["train_targets"]) == (
        done.epochs[-1]["train_nll"],
        31,
    )


@pytest.mark.parametrize("headline", ["last", "best"])
def test_known_words_have_a_token_by_token_sum_of_their_own(tmp_path, headline):
    """The nll over the words that the vocabulary has, beside that over all; counts by split."""
    unknown = {"train": [], "valid": [0, 7, 51, 52], "test": range(3, 58, 2)}
    positions = {split: np.array(list(at), np.int64) for split, at in unknown.items()}
    corpus = replace(toys.corpus(), unknown=positions)
    trial = toys.trial(recipe=toys.recipe(headline=headline))
    done = train(trial, corpus, folder=tmp_path, on_epoch=lambda row: None)
    for split in ("valid", "test"):
        total, count = 0.0, 0
        for position, log_prob in enumerate(done.tokens[split].tolist()):
            if position not in unknown[split]:
                total, count = total - log_prob, count + 1
        assert count == len(getattr(corpus, split)) - len(unknown[split])
        assert done.columns[f"{split}_known_nll_{headline}"] == pytest.approx(total / count)
        assert (
            done.columns[f"{split}_known_nll_{headline}"] != done.columns[f"{split}_nll_{headline}"]
        )
    assert [done.columns[f"{split}_unknown"] for split in unknown] == [0, 4, 28]


def test_a_split_without_known_words_has_no_nll_over_them(tmp_path):
    """There is nothing to average; where all are known, the two agree to the last bit."""
    positions = {"train": [], "valid": [], "test": range(59)}
    corpus = replace(
        toys.corpus(), unknown={k: np.array(list(v), np.int64) for k, v in positions.items()}
    )
    done = train(toys.trial(), corpus, folder=tmp_path, on_epoch=lambda row: None)
    for at in ("last", "best"):
        assert done.columns[f"test_known_nll_{at}"] is None
        assert done.columns[f"valid_known_nll_{at}"] == done.columns[f"valid_nll_{at}"]


def test_a_trial_that_goes_on_with_other_threads_says_so(tmp_path):
    """A product that is divided otherwise is rounded otherwise; which number keeps the bits."""
    trial, corpus = toys.trial(), toys.corpus(train=401)
    train(trial, corpus, folder=tmp_path, on_epoch=lambda row: None)
    state = checkpoint.load(tmp_path, trial.key, "cpu")
    assert state is not None
    assert state.threads == torch.get_num_threads() == 1
    _save(tmp_path, replace(state, threads=2))
    with pytest.warns(AblateWarning, match=r"began with 2 .* goes on with 1: .*`--threads 2`"):
        train(trial, corpus, folder=tmp_path, on_epoch=lambda row: None)
    # What an earlier version did not keep, nobody can compare.
    _save(tmp_path, replace(state, threads=0))
    train(trial, corpus, folder=tmp_path, on_epoch=lambda row: None)


def test_a_torn_checkpoint_is_named_and_the_trial_starts_anew(tmp_path):
    """A file that cannot be read is a warning, never another result."""
    trial, corpus = toys.trial(), toys.corpus()
    whole = train(trial, corpus, folder=tmp_path, on_epoch=lambda row: None)
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="cannot be read"):
        again = train(trial, corpus, folder=tmp_path, on_epoch=lambda row: None)
    assert timeless(again.epochs) == timeless(whole.epochs)


def test_another_trials_checkpoint_is_not_used(tmp_path):
    """A checkpoint knows its trial's key."""
    corpus = toys.corpus()
    train(toys.trial(), corpus, folder=tmp_path, on_epoch=lambda row: None)
    with pytest.warns(UserWarning, match="another trial's"):
        found = checkpoint.load(tmp_path, "other", torch.device("cpu"))
    assert found is None
