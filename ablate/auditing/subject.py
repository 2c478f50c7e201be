"""The module under audit as a black box: calls, gradients and named parameters, nothing else.

A *toss* is one call's randomness. It is had again by copying the module as it was before that call
and seeding every generator that a module may draw from; so the same masks can be looked at under
many settings of weights, inputs and states.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

import contextlib
import copy
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablate.auditing.biases import with_biases
from ablate.auditing.calling import (
    Form,
    Out,
    forms,
    parts,
    readers,
    refuse_inner,
    y_layout,
)
from ablate.auditing.gates import STANDARD, Gates, Unread, read_gates
from ablate.auditing.naming import Slots, find_slots
from ablate.auditing.wrappers import LOOP, ONE_WAY, STATE, looped, shown
from ablate.errors import AblateError


@dataclass(frozen=True, slots=True)
class Setting:
    """What an observer chooses of a call: weights and biases by (layer, kind), input and state.

    Rows of weights and biases are those of the gates i, f, g, o. Whatever is left out is zero. `x`
    is one value for all units and steps, or a tensor.
    """

    biases: Mapping[int, Tensor]
    weights: Mapping[tuple[int, str], Tensor] = field(default_factory=dict)
    x: float | Tensor = 0.0
    h0: float | Tensor = 0.0
    c0: float | Tensor = 0.0


@dataclass(frozen=True, slots=True)
class Toss:
    """One call's randomness: the module as it was, and the seed of the common generators."""

    before: nn.Module
    seed: int
    time: int
    batch: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A module that is an LSTM, in float64: where its parameters are and how it is called.

    sequence_hidden: why y tells nothing of the top layer's units; empty where it does.
    """

    module: nn.Module
    layers: int
    inputs: int
    hidden: int
    slots: Slots
    form: Form
    gates: Gates = STANDARD
    sequence_hidden: str = ""

    @classmethod
    def of(
        cls,
        module: nn.Module,
        *,
        batch_first: bool | None = None,
        names: Mapping[str, str] | None = None,
    ) -> "Subject":
        """Find the module's parameters, how it is called, and the order of its gates.

        Raises AblateError where one of the three is not that of an LSTM.
        """
        copied = with_biases(copied_module(module))
        slots = find_slots(copied, names or {})
        layers = 1 + max(layer for layer, _ in slots)
        inputs, hidden = _sizes(copied, slots, layers)
        return _with_form(
            cls(copied, layers, inputs, hidden, slots, Form(False, None)), batch_first
        )

    def silent(self) -> Setting:
        """Every weight and bias zero."""
        return Setting({})

    def call(
        self, toss: Toss, setting: Setting, *, training: bool = True, grad: bool = False
    ) -> Out:
        """Call the module at `toss` with its parameters set."""
        return self.run(self.ready(toss, setting, training=training), toss, setting, grad=grad)

    def ready(self, toss: Toss, setting: Setting, *, training: bool = True) -> nn.Module:
        """A copy of the module as it was before the toss, its parameters set."""
        module = copy.deepcopy(toss.before).train(training)
        parameters = dict(module.named_parameters())
        with torch.no_grad():
            for (layer, kind), slot in self.slots.items():
                part = slot.of(parameters[slot.name])
                if kind == "bias_ih" and layer in setting.biases:
                    part.copy_(self.gates.bias(layer, setting.biases[layer]))
                elif (layer, kind) in setting.weights:
                    part.copy_(self.gates.rows(setting.weights[layer, kind]))
                else:
                    part.zero_()
        return module

    def run(self, module: nn.Module, toss: Toss, setting: Setting, *, grad: bool = False) -> Out:
        """Call a copy that `ready` made."""
        x = _filled(setting.x, (toss.time, toss.batch, self.inputs))
        state = (self.layers, toss.batch, self.hidden)
        h0, c0 = _filled(setting.h0, state), _filled(setting.c0, state)
        with seeded(toss.seed), torch.set_grad_enabled(grad):
            return self.form.call(module, x, h0, c0)


def tosses(subject: Subject, *, time: int, batch: int, first: int = 0) -> Iterator[Toss]:
    """Yield the tosses of consecutive calls, for as long as they are asked for."""
    walker = copy.deepcopy(subject.module).train()
    for seed in range(first, first + 2**30):
        toss = Toss(copy.deepcopy(walker), seed, time, batch)
        yield toss
        subject.run(walker, toss, subject.silent())


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed every generator that a module may draw from, and put them back."""
    python, numpy, torchs = random.getstate(), np.random.get_state(), torch.get_rng_state()
    # Not torch.manual_seed, which also queues work for devices that an audit never uses.
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torchs)


def copied_module(module: nn.Module) -> nn.Module:
    """A copy on the CPU in float64; raises AblateError where a module cannot be copied."""
    try:
        return copy.deepcopy(module).cpu().double()
    except RuntimeError as error:
        raise AblateError(
            f"an audit works on copies, and this module cannot be copied ({error}); give it one "
            "that was not called yet"
        ) from None


def refuse_gru(module: nn.Module) -> None:
    """Raise AblateError for two matrices with three rows for each unit, a GRU's W_ih and W_hh."""
    shapes = {name: p.shape for name, p in module.named_parameters() if p.dim() == 2}
    for name, (rows, units) in shapes.items():
        beside = [other for other, (count, _) in shapes.items() if count == rows and other != name]
        if rows == 3 * units and beside:
            raise _no_lstm(name, rows, units)


def _no_lstm(name: str, rows: int, hidden: int) -> AblateError:
    other = {3: "a GRU's are three", 1: "an RNN's is one"}.get(
        rows // hidden, "an LSTM with a projection (proj_size) is not read"
    )
    return AblateError(
        "an audit reads LSTMs, whose recurrent weights have four rows for each unit (i, f, g, o): "
        f"{other}; {name} has the shape {(rows, hidden)}"
    )


def parameters_of(module: Any) -> dict[str, Tensor]:
    """Copies of a module's named parameters."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def _filled(value: float | Tensor, shape: tuple[int, ...]) -> Tensor:
    if isinstance(value, Tensor):
        return value.expand(shape)
    return torch.full(shape, value, dtype=torch.float64)


def _sizes(module: nn.Module, slots: Slots, layers: int) -> tuple[int, int]:
    """D and H; raises AblateError where the layers are not an LSTM's, or not of one width."""
    parameters = dict(module.named_parameters())

    def shape(layer: int, kind: str) -> tuple[int, ...]:
        slot = slots[layer, kind]
        return tuple(slot.of(parameters[slot.name]).shape)

    rows, hidden = shape(0, "weight_hh")
    if rows != 4 * hidden:
        raise _no_lstm(slots[0, "weight_hh"].name, rows, hidden)
    inputs = shape(0, "weight_ih")[1]
    for layer in range(layers):
        if (layer, "bias_ih") not in slots and (layer, "bias_hh") not in slots:
            raise AblateError(
                f"an audit opens and shuts gates by their biases; missing: bias_ih of layer {layer}"
            )
        for kind in (kind for of, kind in slots if of == layer):
            width = inputs if layer == 0 and kind == "weight_ih" else hidden
            wanted = (4 * hidden, width) if kind.startswith("weight") else (4 * hidden,)
            if shape(layer, kind) != wanted:
                raise AblateError(
                    f"an audit needs layers of one width and one direction: "
                    f"{slots[layer, kind].name} should have the shape {wanted}, and has "
                    f"{shape(layer, kind)}; audit a net of one layer, or of one width"
                )
    return inputs, hidden


_TIME, _BATCH = 2, 3  # of the first call: unequal, so that layouts differ in shape


def _with_form(subject: Subject, batch_first: bool | None) -> Subject:
    """The subject with the first form of a call that it takes and that shows its state."""
    taken = [slot.name for slot in subject.slots.values()]
    owners = list(dict.fromkeys(name.rpartition(".")[0] for name in taken))
    batch = _BATCH + subject.layers  # unlike the number of layers, too
    said: list[str] = []
    unread = ""
    without_y: Subject | None = None
    for form in forms(subject.module, owners, subject.layers, batch_first=batch_first):
        try:
            tried = _shaped(replace(subject, form=form), batch, taken)
            tried = replace(tried, gates=read_gates(tried, _first_toss(tried, batch)))
        except Unread as error:
            unread = unread or str(error)
        except Exception as error:
            said.append(refuse_inner(error))
        else:
            if not tried.sequence_hidden:
                return tried
            # A state of the wrong form may pass by broadcasting, and show in a y of another shape.
            without_y = without_y or tried
    if without_y is not None:
        return without_y
    if unread:
        raise AblateError(f"an audit cannot measure this module: {unread}")
    raise AblateError(_refusal(subject, said, batch_first))


def _first_toss(subject: Subject, batch: int) -> Toss:
    return Toss(subject.module, 0, _TIME, batch)


def _shaped(subject: Subject, batch: int, taken: list[str]) -> Subject:
    """The subject with the layout of what a call returns; raises where there is none."""
    toss, form = _first_toss(subject, batch), subject.form
    module = subject.ready(toss, subject.silent(), training=False)
    state = torch.zeros(subject.layers, batch, subject.hidden, dtype=torch.float64)
    x = torch.zeros(_TIME, batch, subject.inputs, dtype=torch.float64)
    with seeded(0), torch.no_grad():
        returned, _ = form.returned(module, x, state, state)
    y, _ = parts(returned)
    layout = y_layout(y, _TIME, batch, subject.hidden)
    if layout is not None:
        found = replace(subject, form=replace(form, y_batch_first=layout))
    else:
        found = _behind_reader(subject, toss, taken) or replace(
            subject,
            form=replace(form, sequence=False),
            sequence_hidden=f"what is returned is no sequence [T, B, {subject.hidden}] of its "
            "units",
        )
    found.call(toss, subject.silent(), training=False)
    return found


def _behind_reader(subject: Subject, toss: Toss, taken: list[str]) -> Subject | None:
    """The subject with y taken where a decoder reads it, if one does."""
    for name in readers(subject.module, subject.hidden, taken):
        form = replace(subject.form, reader=name, y_batch_first=subject.form.batch_first)
        tried = replace(subject, form=form)
        try:
            tried.call(toss, subject.silent(), training=False)
        except (ValueError, RuntimeError, AttributeError):
            continue
        return tried
    return None


def _refusal(subject: Subject, said: list[str], batch_first: bool | None) -> str:
    """Why no form of a call would do, and which wrapper would help."""
    layout = "" if batch_first is None else f" (batch_first={batch_first})"
    start = (
        "an audit calls module(x, (h_0, c_0)) and takes (y, (h_n, c_n)) back, as torch.nn.LSTM "
        f"does{layout}; "
    )
    names = [name for name, _ in subject.module.named_parameters()]
    if any("reverse" in name for name in names):
        return f"an audit reads one direction; this module has two. {shown(ONE_WAY)}"
    if isinstance(subject.module, nn.LSTMCell) or _is_cell(subject):
        return f"{start}this module makes one step. {shown(LOOP)}"
    missing = (
        f"{start}this module would not: {said[0]}. What is missing is a state that goes in and "
        "comes out: its forward begins from (h, c), zeros by default, and returns (y, (h, c)). "
    )
    cells = [name for name, each in subject.module.named_modules() if _is_stock_cell(each)]
    if len(cells) == 1:
        return (
            f"{missing}Its loop, with your masks where they stand in it: {shown(looped(cells[0]))}"
        )
    return f"{missing}Where it does both in another form: {shown(STATE)}"


def _is_stock_cell(module: nn.Module) -> bool:
    return isinstance(module, nn.LSTMCell)


def _is_cell(subject: Subject) -> bool:
    """Whether the module makes one step: x [B, D] and (h, c) [B, H]."""
    x = torch.zeros(_BATCH, subject.inputs, dtype=torch.float64)
    h = torch.zeros(_BATCH, subject.hidden, dtype=torch.float64)
    try:
        with seeded(0), torch.no_grad():
            returned = copy.deepcopy(subject.module).eval()(x, (h, h))
        return [tuple(part.shape) for part in returned] == [tuple(h.shape)] * 2
    except Exception:
        return False
