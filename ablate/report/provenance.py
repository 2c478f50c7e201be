"""Where a combination's numbers come from: versions, machine, engine path, time."""

import pandas as pd

from ablate.quantities import duration
from ablate.report.combination import Combination

# What the page says of each column of `trials`; several values are listed with their counts.
_FACTS = {
    "ablate": "ablate_version",
    "plugins": "plugin",
    "PyTorch": "torch_version",
    "Python": "python_version",
    "platform": "platform",
    "processor": "cpu",
    "device": "device",
    "threads": "threads",
    "precision": "precision",
    "engine path": "path",
    "trials trained together": "cohort",
    "mask semantics": "semantics",
    "vocabulary": "vocabulary",
    "parameters": "parameters",
    "training tokens scored": "train_targets",
    "validation tokens scored": "valid_targets",
    "test tokens scored": "test_targets",
    "training words outside the vocabulary": "train_unknown",
    "validation words outside the vocabulary": "valid_unknown",
    "test words outside the vocabulary": "test_unknown",
}


def provenance(part: Combination) -> list[tuple[str, str]]:
    """What was run where, as pairs of words; a fact that no trial states is left out."""
    trials = part.trials.drop_duplicates("key")
    facts = [("corpus digest", part.corpus_digest), ("text read with", part.text)]
    facts += [(words, _values(trials[column])) for words, column in _FACTS.items()]
    facts += [("seeds", ", ".join(map(str, sorted(trials["seed"].unique()))))]
    facts += [("time of training, summed", duration(float(trials["seconds"].sum())))]
    facts += [("first trial began", part.began)]
    return [(words, value) for words, value in facts if value]


def _values(column: pd.Series) -> str:
    counts = column.dropna().value_counts(sort=False)
    if len(counts) < 2:
        return "".join(_spell(value) for value in counts.index)
    return ", ".join(f"{_spell(value)} ({count} trials)" for value, count in counts.items())


def _spell(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
