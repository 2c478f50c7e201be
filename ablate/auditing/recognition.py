"""Whether a module is an LSTM that an audit can read: its parameters, its call, its gates.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ablate.auditing.biases import with_biases
from ablate.auditing.calling import CallForm, call_forms, parts, readers, reason_of, y_layout
from ablate.auditing.gate_order import read_gates
from ablate.auditing.gates import Unread
from ablate.auditing.parameters import LSTMParameters, find_parameters
from ablate.auditing.subject import MaskDraw, Subject, copied_module, seeded
from ablate.auditing.wrappers import FORWARD_WITH_STATE, LOOP, STATE, looped, shown
from ablate.errors import AblateError

_TIME, _BATCH = 2, 3  # of the first call: unequal, so that layouts differ in shape
_STATES = {"state", "states", "hx", "h", "c", "hc", "h0", "c0", "h_0", "c_0", "hidden", "cell"}
_REGISTERED = ("_parameters", "_buffers", "_modules")  # what a module holds by torch's own rules


def find_subject(
    module: nn.Module,
    *,
    batch_first: bool | None = None,
    names: Mapping[str, str] | None = None,
) -> Subject:
    """Find the module's parameters, how it is called, and the order of its gates.

    Raises AblateError where one of the three is not that of an LSTM.
    """
    copied = with_biases(copied_module(module))
    views = find_parameters(copied, names or {})
    layers = 1 + max(layer for layer, _ in views)
    inputs, hidden = _sizes(copied, views, layers)
    subject = Subject(copied, layers, inputs, hidden, views, CallForm(False, None))
    return _with_form(subject, batch_first)


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


def _sizes(module: nn.Module, views: LSTMParameters, layers: int) -> tuple[int, int]:
    """D and H; raises AblateError where the layers are not an LSTM's, or not of one width."""
    parameters = dict(module.named_parameters())

    def shape(layer: int, kind: str) -> tuple[int, ...]:
        view = views[layer, kind]
        return tuple(view.of(parameters[view.name]).shape)

    rows, hidden = shape(0, "weight_hh")
    if rows != 4 * hidden:
        raise _no_lstm(views[0, "weight_hh"].name, rows, hidden)
    inputs = shape(0, "weight_ih")[1]
    for layer in range(layers):
        if (layer, "bias_ih") not in views and (layer, "bias_hh") not in views:
            raise AblateError(
                f"an audit opens and shuts gates by their biases; missing: bias_ih of layer {layer}"
            )
        for kind in (kind for of, kind in views if of == layer):
            width = inputs if layer == 0 and kind == "weight_ih" else hidden
            wanted = (4 * hidden, width) if kind.startswith("weight") else (4 * hidden,)
            if shape(layer, kind) != wanted:
                raise AblateError(
                    f"an audit needs layers of one width and one direction: "
                    f"{views[layer, kind].name} should have the shape {wanted}, and has "
                    f"{shape(layer, kind)}; audit a net of one layer, or of one width"
                )
    return inputs, hidden


def _with_form(subject: Subject, batch_first: bool | None) -> Subject:
    """The subject with the first form of a call that it takes and that shows its state."""
    taken = [view.name for view in subject.views.values()]
    owners = list(dict.fromkeys(name.rpartition(".")[0] for name in taken))
    batch = _BATCH + subject.layers  # unlike the number of layers, too
    said: list[str] = []
    unread = ""
    without_y: Subject | None = None
    for form in call_forms(subject.module, owners, subject.layers, batch_first=batch_first):
        try:
            tried = _shaped(replace(subject, form=form), batch, taken)
            tried = replace(tried, gates=read_gates(tried, _first_draw(tried, batch)))
        except Unread as error:
            unread = unread or str(error)
        except Exception as error:
            said.append(reason_of(error))
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


def _first_draw(subject: Subject, batch: int) -> MaskDraw:
    return MaskDraw(subject.module, 0, _TIME, batch)


def _shaped(subject: Subject, batch: int, taken: list[str]) -> Subject:
    """The subject with the layout of what a call returns; raises where there is none."""
    draw, form = _first_draw(subject, batch), subject.form
    module = subject.ready(draw, subject.silent(), training=False)
    state = torch.zeros(subject.layers, batch, subject.hidden, dtype=torch.float64)
    x = torch.zeros(_TIME, batch, subject.inputs, dtype=torch.float64)
    with seeded(0), torch.no_grad():
        returned, _ = form.returned(module, x, state, state)
    y, _ = parts(returned)
    layout = y_layout(y, _TIME, batch, subject.hidden)
    if layout is not None:
        found = replace(subject, form=replace(form, y_batch_first=layout))
    else:
        found = _behind_reader(subject, draw, taken) or replace(
            subject,
            form=replace(form, sequence=False),
            sequence_hidden=f"what is returned is no sequence [T, B, {subject.hidden}] of its "
            "units",
        )
    found.call(draw, subject.silent(), training=False)
    return found


def _behind_reader(subject: Subject, draw: MaskDraw, taken: list[str]) -> Subject | None:
    """The subject with y taken where a decoder reads it, if one does."""
    for name in readers(subject.module, subject.hidden, taken):
        form = replace(subject.form, reader=name, y_batch_first=subject.form.batch_first)
        tried = replace(subject, form=form)
        try:
            tried.call(draw, subject.silent(), training=False)
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
        return f"an audit reads one direction; this module has two. {shown(FORWARD_WITH_STATE)}"
    if isinstance(subject.module, nn.LSTMCell) or _is_cell(subject):
        return f"{start}this module makes one step. {shown(LOOP)}"
    held = _held_tensors(subject.module)
    if held and said[0].startswith("RuntimeError"):
        return (
            f"{start}this module would not: {said[0]}. It holds tensors that are neither "
            f"parameters nor buffers ({', '.join(held)}), as an earlier call leaves them; give it "
            "one that was not called yet"
        )
    missing = (
        f"{start}this module would not: {_telling(said)}. What is missing is a state that goes in "
        "and comes out: its forward begins from (h, c), zeros by default, and returns (y, (h, c)). "
    )
    cells = [name for name, each in subject.module.named_modules() if _is_stock_cell(each)]
    if len(cells) == 1:
        return (
            f"{missing}Its loop, with your masks where they stand in it: {shown(looped(cells[0]))}"
        )
    return f"{missing}Where it does both in another form: {shown(STATE)}"


def _telling(said: list[str]) -> str:
    """The first refusal; that of a call with x alone where it misses what is no state."""
    lacks = [one for one in said if "required positional argument" in one]
    named = {name for one in lacks for name in re.findall(r"'(\w+)'", one)}
    return lacks[0] if lacks and not named & _STATES else said[0]


def _held_tensors(module: nn.Module) -> list[str]:
    """The attributes beside those registered that hold tensors, alone or in a container."""
    held = []
    for path, each in module.named_modules():
        for name, value in vars(each).items():
            if name in _REGISTERED:
                continue
            inside = value.values() if isinstance(value, dict) else value
            some = inside if isinstance(value, dict | list | tuple) else (inside,)
            # torch's own LSTM keeps its parameters in a list as well.
            if any(isinstance(one, Tensor) and not isinstance(one, nn.Parameter) for one in some):
                held.append(f"{path}.{name}".lstrip("."))
    return held


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
