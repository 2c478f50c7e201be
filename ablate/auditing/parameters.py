"""Which parameters of a module are an LSTM's weights and biases: by name, by shape, or as told.

Three ways to write a layer are read: the names of `torch.nn.LSTM` (weight_ih_l0, or weight_ih of a
cell); two matrices of four rows a unit, one of them square but for the four (x2h and h2h); one
matrix that reads [x, h]. A matrix may be [4H, X] or [X, 4H].
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ablate.auditing.wrappers import FORWARD_OUTPUT, shown
from ablate.errors import AblateError, UnknownName, WrongValue, quoted

KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

_NAME = re.compile(r"(?P<kind>(weight|bias)_(ih|hh))(_l(?P<layer>\d+))?(?P<rest>.*)")
_TOLD = re.compile(r"(?P<kind>(weight|bias)_(ih|hh))_l(?P<layer>\d+)")
_OF_STATE = re.compile(
    r"(^|_|\b)(h2h|hh|h_h|wh|w_h|u|r|u_\w+|hidden\w*|rec\w*|lin_h|state\w*)(_|\b|$)"
)
_OF_INPUT = re.compile(r"(^|_|\b)(x2h|i2h|ih|xh|wx|w_x|wi|w|inp\w*|lin_x|x)(_|\b|$)")


@dataclass(frozen=True, slots=True)
class ParameterView:
    """Where a weight or bias is in a parameter: all of it, its transpose, or some columns."""

    name: str
    transposed: bool = False
    columns: tuple[int, int] | None = None

    def of(self, parameter: Tensor) -> Tensor:
        """The part of the parameter that this is, [4H, X] or [4H]; a view."""
        whole = parameter.t() if self.transposed else parameter
        return whole if self.columns is None else whole[:, self.columns[0] : self.columns[1]]


LSTMParameters = Mapping[tuple[int, str], ParameterView]


def find_parameters(
    module: nn.Module, told: Mapping[str, str]
) -> dict[tuple[int, str], ParameterView]:
    """The views by (layer, kind), layers from the lowest up.

    told: by the names of `torch.nn.LSTM` those of the module, where looking does not tell.
    Raises AblateError where the module has no such parameters.
    """
    parameters = dict(module.named_parameters())
    if told:
        return _told(parameters, told)
    named = _named(parameters)
    views = named or _shaped(parameters)
    missing = [
        f"{kind} of layer {layer}"
        for layer in range(1 + max((layer for layer, _ in views), default=0))
        for kind in KINDS[:2]
        if (layer, kind) not in views
    ]
    if missing:
        raise AblateError(
            "an audit sets the weights and biases of an LSTM, by the names of torch.nn.LSTM "
            "(weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ...) or by their shapes; "
            f"missing: {', '.join(missing)}; this module has: {_there(parameters)}; say which "
            "they are by names={'weight_ih_l0': '...'}, or --name weight_ih_l0=..."
        )
    return views


def _there(parameters: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(p.shape)}" for name, p in parameters.items()) or "none"


def _told(
    parameters: Mapping[str, Tensor], told: Mapping[str, str]
) -> dict[tuple[int, str], ParameterView]:
    views = {}
    for key, name in told.items():
        match = _TOLD.fullmatch(key)
        if match is None:
            raise WrongValue(
                "names", "keys that are names of torch.nn.LSTM, as in weight_ih_l0", key
            )
        if name not in parameters:
            there = f"it has: {_there(parameters)}"
            raise UnknownName("parameter of the module", name, parameters, else_=there)
        rows = 4 * _units(parameters, told, int(match["layer"]))
        transposed = parameters[name].dim() == 2 and parameters[name].shape[0] != rows
        views[int(match["layer"]), match["kind"]] = ParameterView(name, transposed)
    layers = 1 + max(layer for layer, _ in views)
    wanted = [f"{kind}_l{layer}" for layer in range(layers) for kind in KINDS[:3]]
    missing = [name for name in wanted if name not in told]
    if missing:
        raise AblateError(f"names leave out {quoted(missing)}, which an audit sets")
    for layer in range(layers):
        # The second bias of two linears, which would stay as it is and hold gates open.
        owner, _, last = views[layer, "weight_hh"].name.rpartition(".")
        second = f"{owner}.bias"
        if last == "weight" and second in parameters and second not in told.values():
            views.setdefault((layer, "bias_hh"), ParameterView(second))
    return views


def _units(parameters: Mapping[str, Tensor], told: Mapping[str, str], layer: int) -> int:
    """The units of a layer: the side of its recurrent matrix that is a quarter of the other."""
    name = told.get(f"weight_hh_l{layer}", "")
    shape = sorted(parameters[name].shape) if name in parameters else []
    return shape[0] if len(shape) == 2 and shape[1] == 4 * shape[0] else 0


def _named(parameters: Mapping[str, Tensor]) -> dict[tuple[int, str], ParameterView]:
    found: dict[tuple[tuple[int, ...], str], str] = {}
    for name in parameters:
        *path, last = name.split(".")
        match = _NAME.fullmatch(last)
        if match is None or "reverse" in match["rest"]:
            continue
        place = (*_numbers(path), int(match["layer"] or 0))
        if (place, match["kind"]) in found:
            other = found[place, match["kind"]]
            prefix, _, _ = other.rpartition(".")
            told = ", ".join(f"'{k}_l0': 'both.{prefix}.{k}_l0'" for k in KINDS)
            raise AblateError(
                f"an audit cannot tell two parameters apart: {other} and {name}. Say which layer "
                "is which by names={'weight_ih_l0': '...', ...}, or --name weight_ih_l0=...; if "
                "they are two directions, an audit reads one at a time: "
                f"{shown(FORWARD_OUTPUT)}\n\nwith names={{{told}}}",
                given=(other, name),
            )
        found[place, match["kind"]] = name
    places = sorted({place for place, _ in found})
    return {
        (places.index(place), kind): ParameterView(name) for (place, kind), name in found.items()
    }


def _numbers(path: Sequence[str]) -> tuple[int, ...]:
    """Which layer a path says: `cells.1`, `lstm2`."""
    ends = (re.search(r"\d+$", part) for part in path)
    return tuple(int(end.group()) for end in ends if end)


def _shaped(parameters: Mapping[str, Tensor]) -> dict[tuple[int, str], ParameterView]:
    """Layers by the shapes of what stands together: the parameters of one cell."""
    cells: dict[str, list[str]] = {}
    for name, parameter in parameters.items():
        owner, _, last = name.rpartition(".")
        # The weight of an nn.Linear belongs to whoever owns the linear.
        cell = owner.rpartition(".")[0] if last in ("weight", "bias") else owner
        if parameter.dim() <= 2:
            cells.setdefault(cell, []).append(name)
    views: dict[tuple[int, str], ParameterView] = {}
    layer = 0
    for names in cells.values():
        found = _cell({name: parameters[name] for name in names})
        views |= {(layer, kind): view for kind, view in found.items()}
        layer += bool(found)
    return views


def _cell(parameters: Mapping[str, Tensor]) -> dict[str, ParameterView]:
    matrices = {name: value for name, value in parameters.items() if value.dim() == 2}
    found: dict[str, ParameterView] = {}
    hidden = [name for name, value in matrices.items() if 4 * min(value.shape) == max(value.shape)]
    for name in sorted(hidden, key=lambda name: bool(_OF_STATE.search(_last(name))), reverse=True):
        rows = max(matrices[name].shape)
        others = [o for o, value in matrices.items() if o != name and rows in value.shape]
        others.sort(key=lambda other: bool(_OF_INPUT.search(_last(other))), reverse=True)
        if others:
            found = {
                "weight_ih": _view(others[0], matrices[others[0]], rows),
                "weight_hh": _view(name, matrices[name], rows),
            }
            break
    else:
        sizes = {value.shape[0] for value in parameters.values() if value.dim() == 1}
        for name, value in matrices.items():
            for rows, columns in (value.shape, value.shape[::-1]):
                # Without a bias of as many rows it is any other matrix.
                if rows % 4 == 0 and columns > rows // 4 and rows in sizes:
                    inputs, turned = columns - rows // 4, rows != value.shape[0]
                    found = {
                        "weight_ih": ParameterView(name, turned, (0, inputs)),
                        "weight_hh": ParameterView(name, turned, (inputs, columns)),
                    }
    if not found:
        return {}
    rows = max(matrices[found["weight_hh"].name].shape) if len(hidden) else None
    rows = rows or _rows(found["weight_hh"], matrices)
    biases = [name for name, value in parameters.items() if tuple(value.shape) == (rows,)]
    for kind, name in zip(KINDS[2:], biases, strict=False):
        found[kind] = ParameterView(name)
    return found


def _rows(view: ParameterView, matrices: Mapping[str, Tensor]) -> int:
    return view.of(matrices[view.name]).shape[0]


def _view(name: str, value: Tensor, rows: int) -> ParameterView:
    return ParameterView(name, transposed=value.shape[0] != rows)


def _last(name: str) -> str:
    """The part of a parameter's name that says what it is of."""
    parts = name.lower().split(".")
    return parts[-2] if parts[-1] in ("weight", "bias") and len(parts) > 1 else parts[-1]
