"""Captured updates against the CPU's own, and what happens where one cannot capture or compile."""

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final
from unittest.mock import patch

import torch
from torch import Tensor

from ablate import compiling
from ablate.drops import Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.errors import AblateWarning
from ablate.model.net import Net
from ablate.model.parameters import shapes
from ablate.noise import GAUSSIAN, Noise
from ablate.placement import Placement
from ablate.schedules import ANNEALED, CURRICULUM
from ablate.strategies import get
from ablate.training.update import TrialPlan
from gpu import cases
from gpu.cases import NEAR, Row, is_gpu

MIXED: Final = (
    Placement(),
    Placement({Edge.VERTICAL: Drop(0.5), Edge.RECURRENT: Drop(0.25)}),
    Placement({Edge.EMBEDDING: Drop(0.2), Edge.WEIGHT: Drop(0.4), Edge.UPDATE: Drop(0.3)}),
    Placement({Edge.HIDDEN: Drop(0.1, fill=Fill.HOLD), Edge.CARRY: Drop(0.3, fill=Fill.HOLD)}),
    Placement({Edge.CELL: Drop(0.3, Sharing(time=3)), Edge.INPUT: Drop(0.3, noise=GAUSSIAN)}),
)


def equal(device: str) -> Iterator[Row]:
    """A cohort of unlike trials: losses, norms and parameters of the CPU's own updates."""
    plans = [cases.planned(own, seed) for seed, own in enumerate(MIXED, start=1)]
    yield from _as_on_the_cpu(plans, device)


def schedules(device: str) -> Iterator[Row]:
    """Rates that rise, fall and stay, and GAUSSIAN noise, in one captured update."""
    noisy = Placement({Edge.INPUT | Edge.HIDDEN: Drop(0.3, noise=GAUSSIAN)})
    placements = (
        Placement(noisy, CURRICULUM),
        Placement(MIXED[1], ANNEALED),
        noisy,
        get("morerio2017").place(),
    )
    plans = [cases.planned(own, seed) for seed, own in enumerate(placements, start=1)]
    yield from _as_on_the_cpu(plans, device)


def _as_on_the_cpu(plans: Sequence[TrialPlan], device: str) -> Iterator[Row]:
    found, expected = cases.ran(plans, device), cases.ran(plans, "cpu")
    assert found.captured == is_gpu(device), "updates were not captured"
    worst = cases.furthest_of(found, expected, NEAR["fp32"], "against the CPU's own updates")
    yield {"trials": len(plans), "updates": len(found.told), "off": worst}
    how = "captured" if found.captured else "called"
    yield {
        "told": f"{len(found.told)} {how} updates of {len(plans)} trials, off by {worst:.1e} at "
        f"most, allowed {NEAR['fp32']:.1e}"
    }


@dataclass(frozen=True, slots=True)
class Plain(Noise):
    """Keeps a half more or a half less, and takes one rate, a number."""

    name: str = "PLAIN"

    def mean(self, rate: float) -> float:
        return 1.0

    def variance(self, rate: float) -> float:
        return rate * rate

    def multiplier(self, word: Tensor, rate: float | Tensor) -> Tensor:
        if isinstance(rate, Tensor):
            raise TypeError("one rate, a number")
        return torch.where(word >= 2**31, 1.0 + rate, 1.0 - rate).double()


def plain_noise(device: str) -> Iterator[Row]:
    """A noise that takes no tensor of rates trains uncaptured, and a sentence says so."""
    placement = Placement({Edge.INPUT: Drop(0.3, noise=Plain())})
    plans = [cases.planned(placement, seed) for seed in (1, 2)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = cases.ran(plans, device)
    own = [str(each.message) for each in said if issubclass(each.category, AblateWarning)]
    assert not found.captured, "updates that ask trial by trial were captured"
    if is_gpu(device):
        assert len(own) == 1, f"one sentence was to be said, got {own}"
        assert "takes no tensor of rates" in own[0]
    worst = cases.furthest_of(found, cases.ran(plans, "cpu"), NEAR["fp32"], "PLAIN noise")
    yield {"said": own, "off": worst}
    yield {"told": f"called, not captured, off by {worst:.1e} at most"}


def graph_off(device: str) -> Iterator[Row]:
    """ABLATE_GRAPH=0 trains the same, by calls."""
    plans = [cases.planned(own, seed) for seed, own in enumerate(MIXED[:4], start=1)]
    captured = cases.ran(plans, device)
    with patch.dict(os.environ, {"ABLATE_GRAPH": "0"}):
        called = cases.ran(plans, device)
    assert captured.captured == is_gpu(device)
    assert not called.captured, "ABLATE_GRAPH=0 captured"
    worst = cases.furthest_of(called, captured, NEAR["fp32"], "with ABLATE_GRAPH=0")
    yield {"off": worst}
    yield {"told": "called as captured, " + ("bit for bit" if not worst else f"within {worst:.1e}")}


def fallback(device: str) -> Iterator[Row]:
    """Where nothing can be compiled training goes on eagerly, captured, and one sentence says so.

    In a process of its own, in which nothing was compiled before.
    """
    kind = torch.device(device).type
    assert compiling.can_compile(kind), f"nothing is compiled for {kind} here anyway"
    plans = [cases.planned(own, seed) for seed, own in enumerate(MIXED[:4], start=1)]
    expected = cases.ran(plans, "cpu")
    with warnings.catch_warnings(record=True) as said, patch.object(compiling, "_lower", _broken):
        warnings.simplefilter("always")
        # On the CPU, too, not eagerly: it is the falling back that is looked at.
        with patch.object(cases, "on", lambda _: nullcontext()):
            found = cases.ran(plans, device)
    own = [str(each.message) for each in said if "could not be compiled" in str(each.message)]
    assert len(own) == 1, f"one sentence was to be said, got {own}"
    assert found.captured == is_gpu(device)
    worst = cases.furthest_of(found, expected, NEAR["fp32"], "eagerly")
    yield {"said": own[0], "off": worst}
    yield {"told": f"one sentence, and updates off by {worst:.1e} at most"}


def _broken(*_: object) -> None:
    raise RuntimeError("this check lets no compiler compile")


def repeatable(device: str) -> Iterator[Row]:
    """Two runs from one start have the same bits, in both precisions, with words that repeat."""
    net, size, words = cases.NET, (cases.T, cases.B), cases.WORDS
    if is_gpu(device):
        net, size, words = Net(layers=2, hidden=650), (35, 20), 10_000
    for precision in NEAR:
        plans = [
            replace(cases.planned(get(name).place(), seed, precision=precision), net=net)
            for seed, name in enumerate(("zaremba2014", "gal2016"), start=1)
        ]
        # Drawn at addresses of their own so many numbers would take the CPU seconds.
        torch.manual_seed(1)
        values = {
            name: torch.empty(len(plans), *shape).uniform_(-0.05, 0.05)
            for name, shape in shapes(net, words).items()
        }
        one, two = (cases.ran(plans, device, values=values, size=size) for _ in range(2))
        assert torch.equal(one.told, two.told), f"{precision}: losses differ from run to run"
        for name, value in one.parameters.items():
            assert torch.equal(value, two.parameters[name]), f"{precision}: {name} differs"
        yield {"precision": precision, "hidden": net.hidden, "words": words, "bits": _bits(one)}
    yield {"told": f"equal bits at {net.hidden} units and {words:,} words, in both precisions"}


def _bits(run: cases.Ran) -> str:
    """A digest of all parameters: two processes that train alike have the same."""
    digest = hashlib.sha256()
    for value in run.parameters.values():
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
