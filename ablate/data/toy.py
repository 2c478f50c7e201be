"""A small synthetic language, generated: a corpus for trials when no other is available.

It is not natural text, and results on it do not transfer to natural text. It has enough structure
for a language model to learn and then overfit: Zipf's law, word order, a verb that agrees with its
subject over the words between, and a topic kept for a paragraph.

All randomness comes from `random.Random.random`, the only sequence that Python guarantees for a
seed across versions, so the corpus has the same digest everywhere.
"""

from bisect import bisect
from itertools import accumulate
from random import Random

_SENTENCES = {"train": 2_700, "valid": 300, "test": 300}
_PARAGRAPH = 5
_PREPOSITIONS = ("in", "on", "by", "under")
_TOPICS = len(_PREPOSITIONS)
_SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "ti")
_STEMS = tuple(first + second for first in _SYLLABLES for second in _SYLLABLES)
_NOUNS, _VERBS, _ADJECTIVES = _STEMS[:56], _STEMS[56:84], _STEMS[84:112]


def generate_toy(seed: int = 1) -> dict[str, str]:
    """Return the texts of `train`, `valid` and `test`: some 20,000, 2,200 and 2,200 tokens."""
    speaker = _Speaker(Random(seed))
    return {split: speaker.text(sentences) for split, sentences in _SENTENCES.items()}


class _Speaker:
    """One random source and the current topic."""

    def __init__(self, random: Random):
        self._random = random
        self._topic = 0

    def text(self, sentences: int) -> str:
        lines = []
        for number in range(sentences):
            if number % _PARAGRAPH == 0:
                self._topic = int(self._random.random() * _TOPICS)
            lines.append(" ".join(self._sentence()) + "\n")
        return "".join(lines)

    def _sentence(self) -> list[str]:
        plural = self._happens(0.4)
        words = self._noun_phrase(plural)
        if self._happens(0.4):
            words += [_PREPOSITIONS[self._topic], *self._noun_phrase(self._happens(0.4))]
        words.append(self._word(_VERBS) + ("" if plural else "s"))
        if self._happens(0.7):
            words += self._noun_phrase(self._happens(0.4))
        return words

    def _noun_phrase(self, plural: bool) -> list[str]:
        words = ["these" if plural else "the" if self._happens(0.6) else "a"]
        if self._happens(0.45):
            words.append(self._word(_ADJECTIVES))
        return [*words, self._word(_NOUNS) + ("n" if plural else "")]

    def _word(self, stems: tuple[str, ...]) -> str:
        """Sample a stem by Zipf's law; each topic starts the ranking at a different stem."""
        weights = list(accumulate(1 / rank for rank in range(1, len(stems) + 1)))
        rank = bisect(weights, self._random.random() * weights[-1], hi=len(stems) - 1)
        return stems[(rank + self._topic * len(stems) // _TOPICS) % len(stems)]

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability
