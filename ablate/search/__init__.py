"""Searches: which points of a strategy's own space are tried, one after the other, by Optuna."""
