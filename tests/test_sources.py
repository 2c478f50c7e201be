"""Noises and schedules from elsewhere: their text, and what is asked of them before training."""

import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.noise import BERNOULLI, GAUSSIAN, Noise, check
from ablate.placement import Placement
from ablate.schedules import CURRICULUM, Schedule
from ablate.sources import digest, text_of


@dataclass(frozen=True)
class Sign(Noise):
    """1 - 1 or 1 + 1; whatever else it is told to give."""

    name: str = "SIGN"
    mode: str = "fair"
    scale: Any = 1.0

    def mean(self, rate: float) -> float:
        return float("nan") if self.mode == "no-mean" else 1.0

    def variance(self, rate: float) -> float:
        return None if self.mode == "no-variance" else 1.0  # type: ignore

    def multiplier(self, word: torch.Tensor, rate: float) -> torch.Tensor:
        match self.mode:
            case "raises":
                raise RuntimeError("out of luck")
            case "flat":
                return word.double().flatten()
            case "number":
                return 1.0  # type: ignore
            case "whole":
                return word
            case "infinite":
                return word.double() / 0.0
        return 2.0 * (word >= 2**31).double()


@dataclass(frozen=True)
class Half(Schedule):
    """Half of every rate."""

    name: str = "HALF"

    def factor(self, update: int, total: int) -> float:
        return 0.5


HERE = digest(Path(__file__).read_bytes())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(BERNOULLI, "BERNOULLI", id="bernoulli"),
        pytest.param(GAUSSIAN, "GAUSSIAN", id="gaussian"),
        pytest.param(CURRICULUM, "CURRICULUM", id="curriculum"),
        pytest.param(Sign(), f"SIGN#{HERE},mode=fair,scale=1.0", id="noise"),
        pytest.param(Sign(scale=-3), f"SIGN#{HERE},mode=fair,scale=-3", id="number"),
        pytest.param(Sign(scale=True), f"SIGN#{HERE},mode=fair,scale=True", id="truth"),
        pytest.param(Half(), f"HALF#{HERE}", id="schedule"),
    ],
)
def test_only_what_comes_from_elsewhere_has_its_digest(value, text):
    """ablate's own are known by name; others by name, source and fields."""
    assert text_of(value) == value.text == text
    assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Sign("a|b"), id="name"),
        pytest.param(Sign(scale=[1]), id="list"),
        pytest.param(Sign(scale="a;b"), id="words"),
    ],
)
def test_what_would_spoil_a_text_is_refused(value, refused):
    """A field that is no word could make two placements' texts equal, or one unreadable."""
    with refused():
        _ = Placement({Edge.INPUT: Drop(0.5, noise=value)}).text


def test_a_class_without_a_source_is_refused(refused):
    """What was typed at a prompt cannot be told from what is typed there tomorrow."""
    made = dataclass(frozen=True)(type("Typed", (Half,), {"__module__": "no_such_module"}))
    with refused():
        _ = made().text


def test_noises_tell_placements_apart():
    """Equality and hash go by class and fields."""
    one = Placement({Edge.OUTPUT: Drop(0.5, noise=Sign())})
    assert one == Placement({Edge.OUTPUT: Drop(0.5, noise=Sign())})
    others = {Placement({Edge.OUTPUT: Drop(0.5, noise=n)}) for n in (Sign(scale=2.0), GAUSSIAN)}
    assert len({one, *others}) == 3


def test_a_noise_that_does_its_work_passes():
    """Ours and one of one's own."""
    for noise in (BERNOULLI, GAUSSIAN, Sign()):
        for rate in (2.0**-32, 0.5, 0.99):
            check(noise, rate)


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("raises", id="raises"),
        pytest.param("flat", id="flat"),
        pytest.param("number", id="number"),
        pytest.param("whole", id="whole-numbers"),
        pytest.param("infinite", id="infinite"),
        pytest.param("no-mean", id="mean"),
        pytest.param("no-variance", id="variance"),
    ],
)
def test_a_noise_that_does_not_is_refused(mode, refused):
    """In one sentence, with the noise's name and the rate."""
    with refused():
        check(replace(Sign(), mode=mode), 0.5)
