"""Law 6: a trial that was stopped and went on equals one that never stopped, bit for bit.

Law 3 with it: the one trained in cohorts, the other alone.
"""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tiny import ablate, write_file, write_texts

from ablate.store import Store

ROOT = Path(__file__).parents[2]

# One placement outside the loop and one folded, which train together; two inside it, of which one
# holds, likewise. Equal bits are float32's.
STRATEGIES = (
    '[{name = "zaremba2014"}, {name = "merity2017"}, {name = "moon2015"}, {name = "zoneout"}]'
)

# What a clock or companions decide; everything else is a function of the trial.
MEASURED = {"seconds", "tokens_per_second", "started_at", "cohort"}


def _write_study(folder: Path) -> Path:
    # Four windows an epoch: the masks are made eagerly here, which is slow.
    text = write_texts(folder / "text", others=20)
    recipe = {"epochs": 8, "headline": '"best"'}
    net = "{layers = 2, hidden = 8}"
    path = folder / "stopping.toml"
    return write_file(path, text, net=net, strategies=STRATEGIES, recipe=recipe)


def _options(folder: Path, *more: object) -> list[str]:
    """One thread a slot in every run: a sum is divided as threads are."""
    study = folder.parent / "stopping.toml"
    options = ("--study", study, "--results", folder, "--device", "cpu", "--threads", 1, *more)
    return ["run", *map(str, options)]


def _hears_interrupts() -> None:
    # A suite that runs in the background ignores Ctrl-C, and what it starts inherits that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run_until(folder: Path, told: int, how: signal.Signals) -> tuple[int, str]:
    """Start the run, stop it when it has told of `told` events; return its code and all it said."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), *_options(folder, "--slots", 2, "--cohort", 2)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_hears_interrupts,
    ) as run:
        assert run.stdout is not None
        lines = []
        while sum(" [" in line for line in lines) < told:
            lines.append(run.stdout.readline())
            assert lines[-1], "the run ended by itself"
        run.send_signal(how)
        rest, _ = run.communicate(timeout=300)
    return run.returncode, "".join(lines) + rest


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    """The store of a run that never stopped, and of one that was killed and interrupted."""
    folder = tmp_path_factory.mktemp("law6")
    _write_study(folder)
    whole, stopped = folder / "whole", folder / "stopped"
    # In this process, where nothing is started and nothing sent.
    assert ablate(*_options(whole, "--slots", 0, "--cohort", 1)).exit_code == 0

    drawn = random.Random(6)
    # Four trials start and each ends its first epoch, so that the ninth event ends a second one,
    # before which the first was saved; eight epochs keep either cohort from ending before the other
    # is under way.
    code, _ = _run_until(stopped, drawn.randint(9, 11), signal.SIGKILL)
    assert code == -signal.SIGKILL
    code, words = _run_until(stopped, drawn.randint(5, 7), signal.SIGINT)
    assert code == 130
    assert "from the last saved epoch); results in" in words
    assert "those under way keep their last saved epoch; the same command goes on" in words
    assert ablate(*_options(stopped, "--slots", 0, "--cohort", 2)).exit_code == 0
    return Store.of(whole, "stopping", "quick"), Store.of(stopped, "stopping", "quick")


def _without_times(table: pa.Table) -> list[dict[str, object]]:
    kept = [name for name in table.column_names if name not in MEASURED]
    return table.select(kept).to_pylist()


@pytest.mark.parametrize("table", ["trials", "epochs", "tokens", "cells"])
def test_resumed_equals_never_stopped(stores: tuple[Store, Store], table: str) -> None:
    """Rows, learning curves and every token's log-probability have equal bits."""
    whole, stopped = (_without_times(getattr(store, table)()) for store in stores)
    assert len(whole) > 0
    assert stopped == whole


def test_they_were_trained_together(stores: tuple[Store, Store]) -> None:
    """Each trial shared its windows with another in the one run, and with none in the other."""
    whole, stopped = ({row["cohort"] for row in store.committed().values()} for store in stores)
    assert (whole, stopped) == ({1}, {2})


def test_nothing_is_left_over(stores: tuple[Store, Store]) -> None:
    """No checkpoint and no half-written file stays behind."""
    _, stopped = stores
    assert stopped.checkpointed() == ()
    assert list(stopped.folder.rglob(".writing-*")) == []
    assert len(stopped.committed()) == 4
