"""The BibTeX of everything that a study uses: placements, corpora, recipe, masks and software.

What each entry was used for stands above it as a comment, and what has no paper to cite is named in
one, so that nothing that a study used is passed over in silence.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ablate.bibtex import KEY, check_citation
from ablate.noise import Noise
from ablate.schedules import CONSTANT, Schedule
from ablate.strategies import get
from ablate.study.file import Study
from ablate.study.points import Point
from ablate.study.schema import Profile
from ablate.version import __version__

_NAMED: Final = re.compile(r"(?:arXiv:\d{4}\.\d{4,5}|doi:10\.\d+/[^\s,;)]+)")

ABLATE: Final = f"""@software{{ablate,
  title   = {{ablate: where dropout belongs in a recurrent network}},
  author  = {{{{The ablate developers}}}},
  version = {{{__version__}}},
  year    = {{2026}}
}}"""

PHILOX: Final = """@inproceedings{salmon2011parallel,
  title     = {Parallel Random Numbers: As Easy as 1, 2, 3},
  author    = {Salmon, John K. and Moraes, Mark A. and Dror, Ron O. and Shaw, David E.},
  booktitle = {Proceedings of the International Conference for High Performance Computing,
               Networking, Storage and Analysis},
  year      = {2011},
  doi       = {10.1145/2063384.2063405}
}"""

TREEBANK: Final = """@article{marcus1993building,
  title   = {Building a Large Annotated Corpus of {English}: The {Penn} {Treebank}},
  author  = {Marcus, Mitchell P. and Santorini, Beatrice and Marcinkiewicz, Mary Ann},
  journal = {Computational Linguistics},
  volume  = {19},
  number  = {2},
  pages   = {313--330},
  year    = {1993}
}"""

MIKOLOV: Final = """@inproceedings{mikolov2010recurrent,
  title     = {Recurrent Neural Network Based Language Model},
  author    = {Mikolov, Tom{\\'a}{\\v{s}} and Karafi{\\'a}t, Martin and Burget, Luk{\\'a}{\\v{s}}
               and {\\v{C}}ernock{\\'y}, Jan and Khudanpur, Sanjeev},
  booktitle = {Interspeech},
  pages     = {1045--1048},
  year      = {2010}
}"""

OPTUNA: Final = """@inproceedings{akiba2019optuna,
  title     = {Optuna: A Next-generation Hyperparameter Optimization Framework},
  author    = {Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru
               and Koyama, Masanori},
  booktitle = {Proceedings of the 25th {ACM} {SIGKDD} International Conference on Knowledge
               Discovery and Data Mining},
  pages     = {2623--2631},
  year      = {2019},
  doi       = {10.1145/3292500.3330701}
}"""

LOURIE: Final = """@inproceedings{lourie2024show,
  title     = {Show Your Work with Confidence: Confidence Bands for Tuning Curves},
  author    = {Lourie, Nicholas and Cho, Kyunghyun and He, He},
  booktitle = {Proceedings of the 2024 Conference of the North {American} Chapter of the
               Association for Computational Linguistics},
  year      = {2024},
  note      = {arXiv:2311.09480}
}"""

STATSMODELS: Final = """@inproceedings{seabold2010statsmodels,
  title     = {statsmodels: Econometric and Statistical Modeling with {Python}},
  author    = {Seabold, Skipper and Perktold, Josef},
  booktitle = {9th {Python} in Science Conference},
  year      = {2010}
}"""


@dataclass(frozen=True, slots=True)
class Use:
    """Something that a study uses, in a few words, and the BibTeX of what to cite for it."""

    words: str
    bibtex: str | None = None


def used_by(study: Study, profile: str | None = None) -> tuple[Use, ...]:
    """Everything that `study` uses, or one profile of it, in the order of the file.

    Raises AblateError for an unknown profile, and for a noise or schedule whose `bibtex` is none.
    """
    profiles = [study.profile(profile)] if profile else list(study.profiles.values())
    points = [point for each in profiles for point, _ in each.points]
    uses = [Use("ablate itself", ABLATE)]
    uses += _strategies(points)
    uses += [use for each in profiles for use in _noises_and_schedules(each)]
    uses += [use for each in profiles for use in _profile(each)]
    uses += [
        Use("the generator of masks and initial weights: Philox", PHILOX),
    ]
    if any(each.tune for each in profiles):
        uses += [
            Use("searches: samplers and pruners of Optuna", OPTUNA),
            Use("best of k against the budget, with bands: opda", LOURIE),
        ]
    if any(each.factorial for each in profiles):
        uses += [Use("effects of a design: the linear model of statsmodels", STATSMODELS)]
    return tuple(dict.fromkeys(uses))


def bibliography(uses: Iterable[Use]) -> str:
    """The text of a BibTeX file: each entry once, under a comment that says what it is used for."""
    entries: dict[str, list[str]] = {}
    without: list[str] = []
    for use in uses:
        if use.bibtex is None:
            without.append(use.words)
        else:
            entries.setdefault(use.bibtex.strip(), []).append(use.words)
    blocks = [_comment(words) + entry for entry, words in _distinct_keys(entries)]
    if without:
        blocks.append(
            _comment([f"without an entry of its own: {words}" for words in without]).rstrip()
        )
    return "\n\n".join(blocks) + "\n"


def _strategies(points: Iterable[Point]) -> Iterator[Use]:
    for strategy in {point.strategy.name: point.strategy for point in points}.values():
        whose = f" ({strategy.plugin})" if strategy.plugin else ""
        words = f"strategy {strategy.name}{whose}"
        if strategy.bibtex is None:
            named = sorted(set(filter(None, [strategy.paper, *_NAMED.findall(strategy.doc)])))
            words += f"; its description names {', '.join(named)}" if named else ""
        yield Use(words, strategy.bibtex)


def _noises_and_schedules(profile: Profile) -> Iterator[Use]:
    for net, point in itertools.product(profile.net.each, (point for point, _ in profile.points)):
        placement = point.place(net.of_cell)
        for drop in placement.values():
            yield _use(f"noise {drop.noise.text}", drop.noise)
        if placement.schedule != CONSTANT:
            yield _use(f"schedule {placement.schedule.text}", placement.schedule)


def _use(words: str, used: Noise | Schedule) -> Use:
    """A noise or a schedule, of which a plugin's may bring anything for its source."""
    check_citation(words, used.paper, used.bibtex)
    return Use(words, used.bibtex)


def _profile(profile: Profile) -> Iterator[Use]:
    if profile.corpus in ("ptb", "ptb-tenth"):
        yield Use(f"corpus {profile.corpus}: the Penn Treebank", TREEBANK)
        yield Use(f"corpus {profile.corpus}: its preparation with 10,000 types", MIKOLOV)
    elif profile.corpus == "toy":
        yield Use("corpus toy: synthetic, ablate's own")
    else:
        yield Use(f"corpus {profile.corpus}: a folder of text; cite its source yourself")
    preset = f"preset {profile.preset}: net and recipe" if profile.preset else "the recipe"
    yield Use(f"{preset}, by Zaremba's trainer", get("zaremba2014").bibtex)


def _distinct_keys(entries: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """The entries; a key that another entry has already taken is numbered."""
    taken: set[str] = set()
    for entry, words in entries.items():
        found = KEY.match(entry)
        key = found[1] if found else ""
        own, count = key, 1
        while key and own in taken:
            count += 1
            own = f"{key}-{count}"
        taken.add(own)
        yield (entry if own == key else entry.replace(key, own, 1)), words


def _comment(lines: Iterable[str]) -> str:
    # BibTeX ignores what stands between entries, but a bare @ there would begin one.
    return "".join(f"% {line.replace('@', ' at ')}\n" for line in lines)
