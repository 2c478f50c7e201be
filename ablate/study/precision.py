"""What settles `precision = "auto"`: the trials that a store has, or else the machine.

The precision is part of every key. Measured anew at each start, a value near the threshold would
make a second matrix of a study that is resumed.
"""

from collections import Counter
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from ablate.store import Store
from ablate.study.schema import Profile
from ablate.training.fastest_precision import Measured


@dataclass(frozen=True, slots=True)
class Settled:
    """A precision and why it was taken, in words."""

    precision: str
    reason: str


def of_store(profile: Profile, corpus_digest: str, store: Store) -> Settled | None:
    """The precision that a store's trials of this corpus, net and recipe have, or any others.

    That of most trials that ended, or where none did of most that were asked for. None for a store
    without any.
    """
    # What is damaged is said, and mended, under the lock alone.
    store = store.whole()
    # Without names, which a run writes again, a trial says it itself.
    rows = store.cells().to_pylist() or store.trials().to_pylist()
    alike = [
        row
        for row in rows
        if row["corpus_digest"] == corpus_digest
        and any(
            _reads_as(net, row["net"]) and _reads_as(profile.recipe.of(net), row["recipe"])
            for net in profile.net.each
        )
    ]
    committed = store.committed()
    for some, where in ((alike, "this store"), (rows, "this store, at other settings,")):
        precisions = {row["key"]: row["precision"] for row in some}
        ended = Counter(precisions[key] for key in precisions if key in committed)
        counts = ended or Counter(precisions.values())
        if counts:
            precision, count = max(counts.items(), key=lambda item: (item[1], item[0]))
            trials = "trials" if ended else "begun trials"
            return Settled(precision, _share(count, counts.total(), trials, where))
    return None


def measured(found: Measured) -> Settled:
    """What the machine said, or its processor where it was too busy to be asked."""
    if found.busy:
        return Settled(
            found.precision,
            "the machine is busy and its timings lie too far apart to be believed, twice; this is "
            'what the device has instructions for; precision = "fp32" or "bf16" settles it',
        )
    return Settled(
        found.precision,
        f"bfloat16 products measured {found.ratio:.1f} times as fast as float32 here",
    )


def _share(count: int, total: int, trials: str, where: str) -> str:
    if total == 1:
        return f"the one {trials.removesuffix('s')} of {where} has it"
    share = f"all {total}" if count == total else f"{count} of the {total}"
    return f"{share} {trials} of {where} have it"


def _reads_as(model: BaseModel, text: str) -> bool:
    """Whether `text` is `model` as a store keeps it; what an earlier one lacks is the default."""
    try:
        return type(model).model_validate_json(text) == model
    except ValidationError:
        return False
