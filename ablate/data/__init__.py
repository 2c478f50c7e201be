"""Corpora, and the windows in which training and evaluation read them."""

from ablate.data.corpora import Corpus, corpora, load_corpus

__all__ = ["Corpus", "corpora", "load_corpus"]
