"""Corpora and the windows that training and evaluation read them through."""

from ablate.data.corpora import Corpus, corpora, load_corpus

__all__ = ["Corpus", "corpora", "load_corpus"]
