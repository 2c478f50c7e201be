"""Checkpoints: what a file holds, and that it is written while training goes on."""

import errno
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from training import toys

from ablate.model.parameters import Parameters
from ablate.training import checkpoint, loop
from ablate.training.checkpoint import NAME, Checkpoint, Writer, load
from ablate.training.loop import Member, train, train_cohort
from ablate.training.trial import Trial

NUMBERS = 10_000


def save(folder, checkpoint):
    """Write one, and wait for it."""
    with Writer() as writer:
        writer.save(folder, checkpoint)


def _parameters(value: float = 0.0) -> Parameters:
    return {"a": torch.full((NUMBERS,), value), "b": torch.full((2, NUMBERS), value)}


def _state(parameters: Parameters, best: Parameters | None = None, **changes) -> Checkpoint:
    rows = [{"epoch": 1, "valid_nll": 5.0}]
    return Checkpoint("key", parameters, best or parameters, rows, 2.5, 1, **changes)


def _loaded(folder: Path) -> Checkpoint:
    found = load(folder, "key", "cpu")
    assert found is not None
    return found


def _bytes(parameters: Parameters) -> int:
    return sum(value.nbytes for value in parameters.values())


def test_the_best_parameters_are_saved_once_where_they_are_the_last(tmp_path):
    """The file has the size of one set of parameters, and they are one set again once read."""
    parameters = _parameters(1.5)
    save(tmp_path, _state(parameters))
    assert (tmp_path / NAME).stat().st_size < 1.1 * _bytes(parameters)
    found = _loaded(tmp_path)
    assert found.best is found.parameters
    assert found.rows == [{"epoch": 1, "valid_nll": 5.0}]
    assert (found.seconds, found.threads) == (2.5, 1)
    for name, value in parameters.items():
        assert torch.equal(found.parameters[name], value)
    save(tmp_path, found)
    assert (tmp_path / NAME).stat().st_size < 1.1 * _bytes(parameters)


def test_the_best_parameters_of_an_earlier_epoch_are_saved_too(tmp_path):
    """Two sets, each with its values."""
    save(tmp_path, _state(_parameters(1.0), _parameters(2.0)))
    found = _loaded(tmp_path)
    assert {float(value.mean()) for value in found.parameters.values()} == {1.0}
    assert {float(value.mean()) for value in found.best.values()} == {2.0}


def test_a_trial_of_a_cohort_is_saved_without_its_companions(tmp_path):
    """Of tensors [K, ...] the file has the one slice, not all that its view could reach."""
    stacked = {name: torch.stack([value] * 8) for name, value in _parameters().items()}
    save(tmp_path, _state({name: value[3] for name, value in stacked.items()}))
    assert (tmp_path / NAME).stat().st_size < 1.1 * _bytes(_parameters())


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    """It has each set of parameters for itself, equal or not; the first ones had no threads."""
    earlier = asdict(_state(_parameters(3.0)))
    torch.save(earlier, tmp_path / NAME)
    assert (tmp_path / NAME).stat().st_size > 1.9 * _bytes(_parameters())
    found = _loaded(tmp_path)
    assert asdict(replace(found, parameters={}, best={})) == earlier | {
        "parameters": {},
        "best": {},
    }
    for mine, theirs in ((found.parameters, "parameters"), (found.best, "best")):
        assert mine.keys() == earlier[theirs].keys()
        assert all(torch.equal(mine[name], earlier[theirs][name]) for name in mine)
    del earlier["threads"]
    torch.save(earlier, tmp_path / NAME)
    assert _loaded(tmp_path).threads == 0


class Disk:
    """Stands in for a slow disk: each write begins when it is let through, and may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.let = threading.Event(), threading.Event()
        self.fails = False
        self.written: list[Path] = []
        write = checkpoint._write

        def slow(folder: Path, state: dict) -> None:
            self.begun.set()
            assert self.let.wait(60)
            if self.fails:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(folder, state)
            self.written.append(folder)

        monkeypatch.setattr(checkpoint, "_write", slow)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk that writes nothing until it is told."""
    return Disk(monkeypatch)


def test_a_write_is_not_waited_for_but_by_the_next_of_its_folder(tmp_path, disk):
    """Another folder's is enqueued at once; the same folder's waits until the first is written."""
    one, two = tmp_path / "one", tmp_path / "two"
    with Writer() as writer:
        writer.save(one, _state(_parameters(1.0)))
        writer.save(two, _state(_parameters(1.0)))
        assert disk.begun.wait(60)
        assert disk.written == []
        later = threading.Timer(0.2, disk.let.set)
        later.start()
        writer.save(one, _state(_parameters(2.0)))
        assert disk.written[0] == one
    assert disk.written == [one, two, one]
    assert float(_loaded(one).parameters["a"][0]) == 2.0


@pytest.mark.parametrize("how", ["next", "wait", "end"])
def test_a_failed_write_raises_where_training_is(tmp_path, disk, how):
    """At the folder's next checkpoint, at a wait for it, and at the end at the latest."""
    disk.fails = True
    disk.let.set()

    def use() -> None:
        with Writer() as writer:
            writer.save(tmp_path, _state(_parameters()))
            if how == "next":
                writer.save(tmp_path, _state(_parameters()))
            if how == "wait":
                writer.wait(tmp_path)

    with pytest.raises(OSError, match="No space left on device"):
        use()


def test_what_is_pending_is_written_though_training_raises(tmp_path, disk):
    """And the training's own exception is told, also where that write fails."""

    def use(folder: Path) -> None:
        with Writer() as writer:
            writer.save(folder, _state(_parameters(1.0)))
            threading.Timer(0.1, disk.let.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use(tmp_path)
    assert float(_loaded(tmp_path).parameters["a"][0]) == 1.0
    disk.fails = True
    with pytest.raises(KeyboardInterrupt):
        use(tmp_path / "other")


def test_a_write_that_is_torn_leaves_the_one_before(tmp_path, monkeypatch):
    """Until a file is whole and on the disk, the name is that of the last one."""
    save(tmp_path, _state(_parameters(1.0)))

    def torn(state, file) -> None:
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", torn)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, _state(_parameters(2.0)))
    assert float(_loaded(tmp_path).parameters["a"][0]) == 1.0


def _trials(epochs: int) -> list[Trial]:
    recipe = toys.recipe(epochs=epochs, hold=epochs)
    return [toys.trial(recipe=recipe, seed=seed) for seed in (1, 2)]


def _together(trials: list[Trial], folder: Path, on_epoch: Callable, on_outcome: Callable):
    members = [Member(trial, folder / trial.key) for trial in trials]
    train_cohort(members, toys.corpus(train=401), on_epoch=on_epoch, on_outcome=on_outcome)


def test_an_epoch_is_trained_while_the_last_one_is_written(tmp_path, disk, monkeypatch):
    """What is written is the state of its epoch, though the next has changed all weights since."""
    epochs: list[tuple[int, int]] = []

    class Killed(Exception):
        pass

    def on_epoch(member: Member, row: dict) -> None:
        epochs.append((member.trial.seed, row["epoch"]))
        if epochs[-1] == (1, 2):
            raise Killed

    points = loop.curve_points

    def trained(*given):
        if len(epochs) == 2 and not disk.let.is_set():
            # The second epoch's weights are there.
            assert disk.written == []
            disk.let.set()
        return points(*given)

    monkeypatch.setattr(loop, "curve_points", trained)
    long, short = _trials(3), _trials(1)[1]
    with pytest.raises(Killed):
        _together(long, tmp_path / "cut", on_epoch, lambda *_: None)
    assert epochs == [(1, 1), (2, 1), (1, 2)]
    # Of the second trial the first epoch was the last that anybody asked to save.
    state = load(tmp_path / "cut" / long[1].key, long[1].key, "cpu")
    _together([short], tmp_path / "whole", lambda *_: None, lambda *_: None)
    whole = load(tmp_path / "whole" / short.key, short.key, "cpu")
    assert state is not None
    assert whole is not None
    assert (state.epochs, whole.epochs) == (1, 1)
    for name, value in whole.parameters.items():
        assert torch.equal(state.parameters[name], value)


def test_an_outcome_comes_after_its_last_checkpoint(tmp_path, disk):
    """Whoever takes it may delete the folder: nothing is written there any more."""
    found: dict[int, int] = {}
    threading.Timer(0.5, disk.let.set).start()

    def on_outcome(member: Member, _: object) -> None:
        state = load(member.folder, member.trial.key, "cpu")
        assert state is not None
        found[member.trial.seed] = state.epochs

    _together(_trials(2), tmp_path, lambda *_: None, on_outcome)
    assert found == {1: 2, 2: 2}
    assert len(disk.written) == 4


def test_a_full_disk_fails_the_trial(tmp_path, disk):
    """With the system's own words, and not only once all epochs are done."""
    disk.fails = True
    disk.let.set()
    epochs: list[int] = []
    with pytest.raises(OSError, match="No space left on device"):
        train(
            _trials(9)[0],
            toys.corpus(train=401),
            folder=tmp_path,
            on_epoch=lambda row: epochs.append(row["epoch"]),
        )
    assert epochs == [1]
