"""The store as frames: one row a placement and seed, with the names that trials are known by."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ablate.errors import AblateError, AblateWarning
from ablate.quantities import perplexity
from ablate.report.combination import COMBINATION, combination_names
from ablate.report.telling import completed_net, completed_recipe
from ablate.status import COMMITTED, Status
from ablate.store import Store
from ablate.store.labels import completed, spelled
from ablate.store.listing import open_store
from ablate.store.schema import ATTEMPT_TABLES

SPLITS = ("train", "valid", "test")
_KNOWN = ("valid_known", "test_known")


def results(
    study: str, profile: str | None = None, results: str | Path = "results"
) -> pd.DataFrame:
    """Return a study's finished trials, one row for each (strategy, arguments, seed).

    A row has the names of `cells.parquet` (`strategy`, `arguments`, `label`, `dial`, `dial_value`,
    `position`, `baseline`, `asked`, and where it is part of a plan `stage`, `search`, `number`),
    the columns of `trials`, and at the headline epoch of its recipe `train_nll`, `valid_nll`,
    `test_nll` and `gap` (nats per target), `train_ppl`, `valid_ppl`, `test_ppl` (perplexity) and
    `valid_known_ppl`, `test_known_ppl` (over the words that the vocabulary has). `status` is "ok",
    "diverged", "pruned" where a search stopped the trial, or "failed" where every attempt failed.
    A trial known under two names has two rows with one `key`.

    `combination` says in a few words what corpus, net, recipe and precision a trial has. A study
    that was run with several of them has equal labels in each, so that a mean over seeds is
    `frame.groupby(["combination", "label"]).valid_ppl.mean()`.

    Damaged files are left out, which an AblateWarning says.
    Raises AblateError where there is no such study, profile or result.
    """
    return read_trials(_whole(open_store(study, profile, results)))


def epochs(study: str, profile: str | None = None, results: str | Path = "results") -> pd.DataFrame:
    """Return the learning curves of the committed trials: one row for each (`key`, `epoch`)."""
    return read_epochs(_whole(open_store(study, profile, results)))


def tokens(
    study: str,
    profile: str | None = None,
    results: str | Path = "results",
    *,
    keys: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return each token's log-probability (nats) at the headline epoch, of the trials of `keys`.

    Columns `key`, `attempt`, `split`, `position`, `log_prob`. The mean of probabilities over keys
    is an ensemble: `frame.pivot(index=["split", "position"], columns="key", values="log_prob")`.
    """
    store = _whole(open_store(study, profile, results), ATTEMPT_TABLES)
    return store.tokens(keys).to_pandas(use_threads=False)


def _whole(store: Store, tables: Iterable[str] = ("trials", "epochs")) -> Store:
    whole = store.whole(tables)
    if damage := whole.damage():
        # Three frames up is who called for results.
        warnings.warn(damage, AblateWarning, stacklevel=3)
    return whole


def read_cells(store: Store) -> pd.DataFrame:
    """Return the names of a store's trials, those that have not run yet included.

    `net`, `recipe` and `arguments` are as today's ablate writes them, and `asked` is True or False.
    """
    cells = store.cells().to_pandas(use_threads=False)
    cells["arguments"] = _completed_arguments(cells)
    cells["label"] = _distinct_labels(cells)
    for column, of_today in (("net", completed_net), ("recipe", completed_recipe)):
        cells[column] = cells[column].map({text: of_today(text) for text in cells[column].unique()})
    # Before there was the column, nothing said otherwise.
    return cells.assign(asked=cells["asked"].ne(False))


def read_trials(store: Store, cells: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a store's trials under the names that `cells` (None: its own) gives; see `results`."""
    cells = read_cells(store) if cells is None else cells
    trials = store.trials().to_pandas(use_threads=False)
    committed = trials[trials["status"].isin(COMMITTED)].sort_values("attempt")
    # What a search stopped, and another run trained to its end, has ended.
    stopped = committed["status"] == Status.PRUNED
    committed = pd.concat([committed[~stopped], committed[stopped]])
    failed = trials[trials["status"] == Status.FAILED].sort_values("attempt", ascending=False)
    # The first attempt that ended counts; where none did, the last failure says why.
    chosen = pd.concat([committed, failed]).drop_duplicates("key")
    # Equal keys are equal combinations, however an earlier version spelled them.
    chosen = _with_headline(chosen.drop(columns=list(COMBINATION)))
    names = [column for column in cells.columns if column == "key" or column not in chosen.columns]
    frame = cells[names].merge(chosen, on="key", how="inner")
    if frame.empty:
        raise AblateError(
            store.damage()
            or f"study '{store.study}' has no finished trial of profile '{store.profile}' yet; "
            f"run `{store.command('run')}`"
        )
    texts, _ = combination_names(cells)
    keys = frame[list(COMBINATION)].itertuples(index=False, name=None)
    frame["combination"] = [texts[key] for key in keys]
    return frame.sort_values(["position", "seed"], kind="stable", ignore_index=True)


def read_epochs(store: Store) -> pd.DataFrame:
    """Return a store's learning curves; see `epochs`."""
    frame = store.epochs().to_pandas(use_threads=False)
    return frame.sort_values(["key", "epoch"], kind="stable", ignore_index=True)


def _with_headline(trials: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of the headline epoch, last or best, and perplexities."""
    best = (trials["headline"] == "best").to_numpy(dtype=bool)
    added: dict[str, np.ndarray] = {}
    for name in (*(f"{split}_nll" for split in (*SPLITS, *_KNOWN)), "gap"):
        at_best = trials[f"{name}_best"].to_numpy(dtype=np.float64, na_value=np.nan)
        at_last = trials[f"{name}_last"].to_numpy(dtype=np.float64, na_value=np.nan)
        added[name] = np.where(best, at_best, at_last)
    added |= {f"{split}_ppl": perplexity(added[f"{split}_nll"]) for split in (*SPLITS, *_KNOWN)}
    return trials.assign(**added)


def _completed_arguments(cells: pd.DataFrame) -> pd.Series:
    """The points' arguments, with those that a strategy did not have yet at their defaults."""
    points = list(zip(cells["strategy"], cells["arguments"], strict=True))
    today = {point: completed(*point) for point in set(points)}
    return pd.Series([today[point] for point in points], cells.index, cells["arguments"].dtype)


def _distinct_labels(cells: pd.DataFrame) -> pd.Series:
    """Labels, with the arguments behind those that two placements would share."""
    points = cells.drop_duplicates(["label", "strategy", "arguments"])
    shared = set(points["label"][points["label"].duplicated()])
    labels = [
        spelled(label, arguments) if label in shared else label
        for label, arguments in zip(cells["label"], cells["arguments"], strict=True)
    ]
    return pd.Series(labels, index=cells.index, dtype=cells["label"].dtype)
