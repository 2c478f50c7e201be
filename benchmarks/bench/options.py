"""What a bench is asked for; every mistake is told before anything is measured."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from ablate.errors import AblateError, did_you_mean
from ablate.strategies import get, names
from bench.shapes import SHAPES, Shape

PRECISIONS: Final = ("fp32", "bf16", "auto", "both")

_QUICK_STRATEGIES: Final = ("none", "zaremba2014", "gal2016", "zoneout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Shapes, strategies and precisions to time, and how thoroughly.

    `cohorts` are the sizes of cohorts, at the first shape, `lengths` the factors of the window's
    length, at each; `in_cohorts` are the strategies of both.
    """

    shapes: tuple[Shape, ...]
    strategies: tuple[str, ...]
    precisions: tuple[str, ...]
    device: str
    threads: int
    repeat: int = 9
    warm: int = 2
    cohorts: tuple[int, ...] = (1, 2, 4, 8, 16)
    lengths: tuple[int, ...] = (1, 2, 4, 8)
    in_cohorts: tuple[str, ...] = ("none", "gal2016")
    products: tuple[int, ...] = (2048, 4096)
    vocabularies: tuple[int, ...] = (1_000, 10_000, 50_000)

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def read_options(
    *,
    shapes: str | None = None,
    strategies: str | None = None,
    precision: str = "both",
    device: str = "cpu",
    threads: int | None = None,
    repeat: int | None = None,
    quick: bool = False,
) -> Options:
    """Read the command line's words; raises AblateError for what there is not.

    `quick` is the small shape, four strategies and few repetitions, unless they are named.
    """
    chosen = _shapes(shapes or ("small" if quick else "small,medium"))
    picked = _strategies(strategies) if strategies else _QUICK_STRATEGIES if quick else names()
    found, most = _device(device), _most_threads()
    if threads is not None and threads > most:
        raise AblateError(f"--threads {threads}: this process has {most} core(s); give 1 to {most}")
    options = Options(
        shapes=chosen,
        strategies=picked,
        precisions=_precisions(precision, found, threads or most),
        device=found,
        threads=threads or most,
    )
    if quick:
        options = replace(
            options, repeat=3, warm=1, cohorts=(1, 8), lengths=(1, 2, 4), products=(2048,)
        )
    return options if repeat is None else replace(options, repeat=repeat)


def check_target(option: str, path: Path | None) -> None:
    """Raise AblateError where a file cannot be written, before minutes are spent on it."""
    if path is None:
        return
    if path.is_dir():
        raise AblateError(f"{option} {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise AblateError(f"{option} {path}: there is no folder '{path.parent}'; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise AblateError(f"{option} {path} cannot be written; name another file")


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _shapes(text: str) -> tuple[Shape, ...]:
    words = _split(text)
    for word in words:
        if word not in SHAPES:
            raise AblateError(
                f"no shape is called '{word}'{did_you_mean(word, SHAPES)}; "
                f"the shapes are {', '.join(SHAPES)}"
            )
    return _some("--shapes", [SHAPES[word] for word in words], ", ".join(SHAPES))


def _strategies(text: str) -> tuple[str, ...]:
    words = _some(
        "--strategies",
        [get(word).name for word in _split(text)],
        "the names that `ablate strategies` lists",
    )
    # Every ratio is to it.
    return tuple(dict.fromkeys(("none", *words)))


def _some(option: str, values: Sequence[Any], allowed: str) -> tuple[Any, ...]:
    if not values:
        raise AblateError(f"{option} names nothing; give one or more of {allowed}")
    return tuple(values)


def _precisions(word: str, device: str, threads: int) -> tuple[str, ...]:
    if word not in PRECISIONS:
        raise AblateError(
            f"no precision is called '{word}'{did_you_mean(word, PRECISIONS)}; "
            f"--precision takes {', '.join(PRECISIONS)}"
        )
    if word == "both":
        return ("fp32", "bf16")
    if word == "auto":
        from ablate.training.fastest_precision import fastest_precision

        return (fastest_precision(device, threads).precision,)
    return (word,)


def _device(word: str) -> str:
    from ablate.study.slots import divide

    return divide(word, 1)[0].device


def _most_threads() -> int:
    """The cores of this process, or fewer where OMP_NUM_THREADS says so."""
    import torch

    from ablate.machine import cores

    return max(1, min(cores(), torch.get_num_threads()))
