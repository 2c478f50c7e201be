"""What an update costs on a GPU, in milliseconds, and where they go; each beside its prediction.

All times are of replays: libraries have chosen and kernels are compiled before.

Shapes: K trials, T time, B batch, N tokens.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from bench.shapes import SHAPES, Shape
from bench.trainers import Case, Cohort, build, random_parameters, task_of
from torch import Tensor

from ablate.model import language_model
from ablate.training import sgd
from ablate.training.evaluation import LONGER, Evaluation
from ablate.training.graph import WARM_UPS, Captured
from ablate.training.softmax import losses_and_gradients
from ablate.training.update import Update
from gpu.cases import Row, is_gpu
from gpu.predictions import beside

_FIRST: Final = (
    *(("medium", "bf16", trials, "zaremba2014") for trials in (16, 1, 8)),
    ("medium", "bf16", 16, "none"),
    ("medium", "bf16", 16, "everywhere"),
    *(("small", "bf16", trials, "zaremba2014") for trials in (16, 1, 8)),
    *(("medium", "fp32", trials, "zaremba2014") for trials in (1, 16, 8)),
)
#: In the order of their worth: shape, precision, trials, strategy.
ORDER: Final = tuple(
    dict.fromkeys(
        (
            *_FIRST,
            *itertools.product(
                ("medium", "small"),
                ("bf16", "fp32"),
                (1, 16, 8),
                ("zaremba2014", "none", "everywhere"),
            ),
        )
    )
)
# Whose update is taken apart.
_APART: Final = (*ORDER[:2], ("small", "bf16", 16, "zaremba2014"))
_STOCK: Final = (("medium", "bf16"), ("medium", "fp32"), ("small", "bf16"))
_TINY: Final = Shape("tiny", 2, 13, 7, 3, vocabulary=50)


def times(device: str) -> Iterator[Row]:
    """Milliseconds of an update, and what memory it takes at most."""
    done = 0
    for name, precision, trials, strategy in _some(ORDER, device):
        _forget_peak(device)
        cohort = _cohort(name, precision, trials, strategy, device)
        taken = milliseconds(cohort.updates, device)
        what = f"{name} {precision} K={trials} {strategy}"
        yield {
            "what": what,
            "ms": taken,
            "ms_a_trial": taken / trials,
            "peak_bytes": torch.cuda.max_memory_allocated() if is_gpu(device) else None,
            "captured": isinstance(cohort.updates.call, Captured),
        }
        done += 1
        print(beside(what, taken), flush=True)
        # Before the next one is made.
        del cohort
    yield {"told": f"milliseconds of {done} updates, in the log beside their predictions"}


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """An update's parts, each a function that can be captured by itself."""

    update: Update
    x_TB: Tensor
    y_TB: Tensor

    def masks(self) -> Any:
        """Draw all that the update multiplies by."""
        masks, net = self.update.masks, self.update.net
        outside = ((masks.embedding, self.x_TB), (masks.output, None))
        drawn = [source.draw(masks.clock, tokens) for source, tokens in outside if source]
        return drawn, [masks.factors(layer) for layer in range(net.layers)]

    def forward(self) -> tuple[list[Tensor], Tensor]:
        """The layers over a window, masks included, with the tape of a backward pass."""
        update = self.update
        layers = {
            name: value.detach().requires_grad_() for name, value in update.copies.layers.items()
        }
        x_KTBD = update.parameters["embedding.weight"][:, self.x_TB].requires_grad_()
        with torch.enable_grad():
            out = language_model.read_cohort(
                layers, x_KTBD, self.x_TB, update.state, update.net, update.masks, update.path
            )
        return [x_KTBD, *layers.values()], out.y_KTBH

    def backward(self) -> Any:
        """As `forward`, and back again."""
        leaves, y_KTBH = self.forward()
        return torch.autograd.grad(y_KTBH, leaves, torch.ones_like(y_KTBH))

    def softmax(self, y_KNH: Tensor) -> Any:
        """The loss of a window and its gradients."""
        softmax, words = self.update.copies.softmax, self.update.parameters["decoder.bias"].shape[1]
        targets_N, scale = self.y_TB.flatten(), 1.0 / self.x_TB.shape[1]
        return losses_and_gradients(y_KNH, softmax, targets_N, scale, words)

    def step(self, gradients: dict[str, sgd.Gradient]) -> Any:
        """Norms, clip and SGD, with the copies that products take."""
        update, norms_K = self.update, sgd.norms(gradients)
        by_K = -update.learning_rates_K * (update.clips_K / norms_K).clamp(max=1.0)
        copies = update.copies.beside(update.parameters)
        sgd.step(update.parameters, gradients, by_K, update.live_K, copies)
        update.copies.take_bias(update.parameters)
        return norms_K


def pieces(device: str) -> Iterator[Row]:
    """Milliseconds of the parts of an update: masks, forward, backward, softmax, clip and SGD."""
    told = ""
    for name, precision, trials, strategy in _some(_APART, device):
        cohort = _cohort(name, precision, trials, strategy, device)
        own = Pieces(cohort.updates.whole, *cohort.updates.window)
        gradients = own.update.differentiated(own.x_TB, own.y_TB).gradients
        shape = _shape(name, device)
        y_KNH = torch.zeros(trials, shape.tokens, shape.hidden, device=device)
        masks, forward, both, softmax, step = (
            milliseconds(_captured(call, device), device)
            for call in (
                own.masks, own.forward, own.backward,
                lambda own=own, y_KNH=y_KNH: own.softmax(y_KNH),
                lambda own=own, gradients=gradients: own.step(gradients),
            )
        )  # fmt: skip
        parts = {
            "masks": masks,
            "forward": forward - masks,
            "softmax": softmax,
            "backward": both - forward,
            "clip and SGD": step,
        }
        parts["whole"] = milliseconds(cohort.updates, device)
        of = f"{name} {precision} K={trials} {strategy}"
        yield {"what": of, **parts}
        for part, taken in parts.items():
            print(beside(f"{of}, {part}", taken), flush=True)
        each = ", ".join(f"{part} {taken:.2f}" for part, taken in parts.items())
        told = told or f"of {of} in ms: {each}"
    yield {"told": told}


def launches(device: str) -> Iterator[Row]:
    """Kernels of an update, by PyTorch's profiler: how many, and which take most."""
    from torch.profiler import ProfilerActivity, profile

    repeats, told = 3, ""
    for name, precision, trials, strategy in _some(_APART, device):
        cohort = _cohort(name, precision, trials, strategy, device)
        cohort.updates()
        kind = ProfilerActivity.CUDA if is_gpu(device) else ProfilerActivity.CPU
        with profile(activities=[kind]) as seen:
            for _ in range(repeats):
                cohort.updates()
            _wait(device)
        events = [
            (event.key, event.count / repeats, _device_us(event, device) / repeats)
            for event in seen.key_averages()
        ]
        events = sorted((own for own in events if own[2] > 0.0), key=lambda own: -own[2])
        count, taken = sum(own[1] for own in events), sum(own[2] for own in events) / 1e3
        what = f"{name} {precision} K={trials} {strategy}"
        print(f"{beside(f'{what}, launches', count)}; {taken:.3f} ms of kernels", flush=True)
        for key, number, us in events[:40]:
            print(f"  {us / 1e3:8.3f} ms {number:7.0f} x {us / number:8.2f} us  {key[:120]}")
        yield {
            "what": what,
            "launches": count,
            "ms_of_kernels": taken,
            "kernels": [{"name": k[:200], "launches": n, "us": us} for k, n, us in events[:60]],
        }
        told = told or f"{what}: {count:.0f} launches, {taken:.2f} ms of kernels"
    yield {"told": told}


def stock(device: str) -> Iterator[Row]:
    """Milliseconds of an update of PyTorch's own trainer, without dropout."""
    said = []
    for name, precision in _some(_STOCK, device):
        shape = _shape(name, device)
        case = Case(trainer="stock", shape=shape, precision=precision, strategy="none")
        trainer = build(case, device)
        taken = milliseconds(lambda trainer=trainer: trainer.update(0), device)
        what = f"stock {name} {precision}"
        yield {"what": what, "ms": taken}
        said.append(beside(what, taken))
        print(said[-1], flush=True)
    yield {"told": said[0]}


def scoring(device: str) -> Iterator[Row]:
    """Tokens a second of an evaluation, of all trials together, in twenty streams and in one."""
    said = []
    cases = [("medium", trials, streams) for streams, trials in ((20, 16), (20, 1), (1, 16))]
    for name, trials, streams in _some(tuple(cases), device):
        shape = _shape(name, device)
        case = Case(trainer="ablate", shape=shape, precision="bf16", strategy="zaremba2014")
        plans = [task_of(case, device, seed=seed) for seed in range(1, 1 + trials)]
        evaluation = Evaluation.of(random_parameters(shape, device, trials), plans)
        unroll = LONGER * shape.unroll * max(1, shape.batch // streams)
        tokens = np.zeros((WARM_UPS + 3) * unroll * streams, dtype=np.int32)
        given: dict[str, Any] = {"streams": streams, "unroll": unroll, "eos": 0}

        def score(evaluation=evaluation, tokens=tokens, given=given, trials=trials) -> object:
            return evaluation(tokens, **given, updates=[0] * trials)

        taken = milliseconds(score, device, repeats=3)
        speed = 1e3 * trials * len(tokens) / taken
        what = f"{name} bf16 K={trials}, {streams} stream{'s' if streams > 1 else ''}"
        yield {"what": what, "tokens_per_second": speed}
        said.append(f"{what}: {speed:,.0f} tokens/s")
        print(said[-1], flush=True)
    yield {"told": said[0]}


def milliseconds(call: Callable[[], object], device: str, repeats: int = 15) -> float:
    """The median of some calls, each waited for, after two that are not counted."""
    taken = []
    for number in range(2 + repeats if is_gpu(device) else 2):
        _wait(device)
        began = time.perf_counter()
        kept = call()
        _wait(device)
        if number >= 2 or not is_gpu(device):
            taken.append(1e3 * (time.perf_counter() - began))
        del kept
    return median(taken)


def _captured(call: Callable[[], Any], device: str) -> Callable[[], object]:
    """A call as a graph of its own, where there are graphs."""
    if not is_gpu(device):
        return call
    # A graph is replayed with what was copied in: here with nothing that matters.
    nothing = torch.zeros(1, device=device)
    made = Captured(lambda _: call())
    for _ in range(WARM_UPS + 1):
        made(nothing)
    return lambda: made(nothing)


def _cohort(name: str, precision: str, trials: int, strategy: str, device: str) -> Cohort:
    shape = _shape(name, device)
    case = Case(
        trainer="ablate",
        shape=shape,
        precision=precision,
        strategy=strategy,
        # Also where a CPU would take the library's own.
        path="looped",
        size=trials,
    )
    made = build(case, device)
    assert isinstance(made, Cohort)
    return made


def _some(all_of_them: tuple[Any, ...], device: str) -> tuple[Any, ...]:
    """All of them on a GPU; on a CPU, where only the way is tried, one."""
    return all_of_them if is_gpu(device) else all_of_them[:1]


def _shape(name: str, device: str) -> Shape:
    return SHAPES[name] if is_gpu(device) else _TINY


def _wait(device: str) -> None:
    if is_gpu(device):
        torch.cuda.synchronize()


def _forget_peak(device: str) -> None:
    if is_gpu(device):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _device_us(event: Any, device: str) -> float:
    return event.self_device_time_total if is_gpu(device) else event.self_cpu_time_total
