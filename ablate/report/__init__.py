"""Reports: from the store to frames, statistics, figures, tables and a page, without torch."""

from ablate.report.frame import epochs, results, tokens
from ablate.report.write import Report, build

__all__ = ["Report", "build", "epochs", "results", "tokens"]
