"""What must hold of a module wherever it drops: no mask in evaluation, true gradients, no traces.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ablate.auditing.calling import CallResult
from ablate.auditing.subject import MaskDraw, Setting, Subject, mask_draws, parameters_of
from ablate.auditing.time_sharing import LONG
from ablate.errors import AblateError

STEP = 1e-5  # of a difference quotient in float64: exact to about a part in 1e9
ELSEWHERE = (
    "two copies of this module, called with every generator at one seed, differ: it draws from a "
    "source that an audit cannot set"
)
EXACT = 1e-5  # gradients that differ by more are not of the same function


@dataclass(frozen=True, slots=True)
class Check:
    """One law of modules: what was looked at, whether it holds, and a sentence either way."""

    name: str
    holds: bool
    sentence: str


def quiet(holds: bool) -> Check:
    """The law that evaluation samples no mask: two calls there are equal."""
    return Check(
        "evaluation",
        holds,
        "evaluation samples nothing"
        if holds
        else "two calls in evaluation mode differ: something is still sampled",
    )


def untouched(changed: str | None) -> Check:
    """The law that a call leaves the parameters alone; `changed` says how one does not."""
    return Check(
        "parameters", changed is None, changed or "a call leaves the parameters as they are"
    )


def true_gradient(of: str, told: float, total: Callable[[float], float]) -> Check:
    """The law that a gradient is that of what is computed.

    told: the gradient along one direction; total: what is computed a step along that direction.
    """
    slope = (total(STEP) - total(-STEP)) / (2.0 * STEP)
    if abs(told - slope) <= EXACT * max(abs(slope), 1e-3):
        sentence = f"the gradient of {of} is that of what is computed, masks included"
        return Check("gradients", True, sentence)
    return Check(
        "gradients",
        False,
        f"the gradient of {of} is not that of what is computed: along one direction the backward "
        f"pass says {told:.4g}, a small step says {slope:.4g}; it does not see the masks that the "
        "forward pass used",
    )


def check_module(subject: Subject, *, rows_meet_behind: bool = False) -> tuple[Check, ...]:
    """Look at one draw of a dense net, in training and in evaluation.

    rows_meet_behind: whether rows of a batch meet behind the layers, as a batch normalisation lets
    them; then only the states are held to the law that they do not. Raises AblateError where a draw
    cannot be had twice: then nothing else can be seen either.
    """
    # Batch and width differ, so that no axis can stand in for another.
    draw = next(mask_draws(subject, time=4, batch=3))
    setting = _dense(subject, draw)
    if not _equal(subject.call(draw, setting), subject.call(draw, setting)):
        raise AblateError(ELSEWHERE)
    return (
        _evaluation(subject, replace(draw, time=LONG[0])),
        _untouched(subject, draw, setting),
        _rows(subject, draw, setting, behind=rows_meet_behind),
        _gradients(subject, draw, setting),
    )


def _dense(subject: Subject, draw: MaskDraw) -> Setting:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64) * 0.5

    width, state = 4 * subject.hidden, (subject.layers, draw.batch, subject.hidden)
    biases = {layer: normal(width) for layer in range(subject.layers)}
    weights = {}
    for layer in range(subject.layers):
        columns = subject.hidden if layer else subject.inputs
        weights[layer, "weight_ih"] = normal(width, columns)
        weights[layer, "weight_hh"] = normal(width, subject.hidden)
    x = normal(draw.time, draw.batch, subject.inputs)
    return Setting(biases, weights, x=x, h0=normal(*state), c0=normal(*state))


def _equal(one: CallResult, other: CallResult) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _evaluation(subject: Subject, draw: MaskDraw) -> Check:
    setting = _dense(subject, draw)
    module = subject.ready(draw, setting, training=False)
    first = subject.run(module, draw, setting)
    second = subject.run(module, replace(draw, seed=draw.seed + 1), setting)
    return quiet(_equal(first, second))


def _untouched(subject: Subject, draw: MaskDraw, setting: Setting) -> Check:
    for training in (True, False):
        module = subject.ready(draw, setting, training=training)
        before = parameters_of(module)
        subject.run(module, draw, setting)
        after = parameters_of(module)
        changed = [name for name, value in before.items() if not torch.equal(after[name], value)]
        if changed:
            mode = "training" if training else "evaluation"
            return untouched(
                f"a call in {mode} changes the parameter {changed[0]} itself: what is dropped "
                "there is gone for good"
            )
    return untouched(None)


def _rows(subject: Subject, draw: MaskDraw, setting: Setting, *, behind: bool) -> Check:
    assert isinstance(setting.x, Tensor)
    other = setting.x.clone()
    other[:, 0] += 1.0
    one, two = subject.call(draw, setting), subject.call(draw, replace(setting, x=other))
    looked = zip(one[behind:], two[behind:], strict=True)
    holds = all(torch.equal(a[:, 1:], b[:, 1:]) for a, b in looked)
    return Check(
        "rows",
        holds,
        ("rows of a batch do not meet in the layers" if behind else "rows of a batch do not meet")
        if holds
        else "what one row of the batch reads changes the output of another",
    )


def _gradients(subject: Subject, draw: MaskDraw, setting: Setting) -> Check:
    generator = torch.Generator().manual_seed(1)
    module = subject.ready(draw, setting)
    signals = {name: getattr(setting, name).clone().requires_grad_() for name in ("x", "h0", "c0")}
    # A second bias is the first one again.
    names = {view.name for (_, kind), view in subject.views.items() if kind != "bias_hh"}
    parameters = {
        name: value.requires_grad_() for name, value in module.named_parameters() if name in names
    }
    leaves = signals | parameters
    out = subject.run(module, draw, replace(setting, **signals), grad=True)
    weights = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in out]

    def loss(parts: CallResult) -> Tensor:
        return sum(((a * b).sum() for a, b in zip(parts, weights, strict=True)), torch.zeros(()))

    def moved(name: str, by: Tensor) -> float:
        """The loss where one of the leaves is another."""
        if name in signals:
            other = replace(setting, **{name: getattr(setting, name) + by})
            return float(loss(subject.call(draw, other)))
        copied = subject.ready(draw, setting)
        with torch.no_grad():
            dict(copied.named_parameters())[name].add_(by)
        return float(loss(subject.run(copied, draw, setting)))

    total = loss(out)
    if not total.requires_grad:
        return Check("gradients", False, "no gradient reaches anything: the graph is cut")
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
        way = torch.randn(leaf.shape, generator=generator, dtype=torch.float64)
        told = float((gradient * way).sum()) if gradient is not None else 0.0
        check = true_gradient(name, told, lambda step, name=name, way=way: moved(name, step * way))
        if not check.holds:
            return check
    return Check(
        "gradients",
        True,
        f"the gradients of {len(leaves)} tensors are those of what is computed, masks included",
    )
