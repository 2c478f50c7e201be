"""How many updates an epoch has. No torch: a study is read, and its trials are named, without."""

from ablate.errors import AblateError


def training_updates(n_tokens: int, batch: int, unroll: int) -> int:
    """Return the number of windows in an epoch: (N // batch - 1) // unroll.

    Raises `AblateError` if there is none.
    """
    updates = (n_tokens // batch - 1) // unroll
    if updates < 1:
        raise AblateError(
            f"a training text of {n_tokens:,} tokens is too short for batch {batch} and unroll "
            f"{unroll}, which need at least {batch * (unroll + 1):,}; give a longer text or set a "
            "smaller recipe.batch or recipe.unroll"
        )
    return updates
