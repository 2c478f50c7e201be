"""Reports: from the store to frames, statistics, figures, tables and a page, without torch."""

# Before all others: it imports matplotlib in such a way that no setting of the user's stops it.
import ablate.report.backend as _backend  # noqa: F401
from ablate.report.frame import epochs, results, tokens
from ablate.report.write import Report, build

__all__ = ["Report", "build", "epochs", "results", "tokens"]
