"""Plan which path of the engine runs a placement, and say why. Pure; imports no torch.

Each drop has a reach:
* SILENT    it does nothing in this mode
* OUTSIDE   it multiplies a layer's whole input or output sequence, before or after the loop
* FOLDABLE  it equals a mask of a weight matrix that is constant over the window
* INSIDE    it acts between two steps: only the looped path runs it

Training and evaluation have separate plans: a mask divided by 1 - p in training is silent in
evaluation, and a silent edge does not restrict the path.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from ablate.cells import LSTM, Cell
from ablate.drops import ALL, Drop, Fill, Scale
from ablate.edges import Edge, layers_of
from ablate.noise import BERNOULLI
from ablate.placement import Placement


class Mode(Enum):
    """Sample masks (TRAIN) or take each mask's mean (MEAN, the deterministic evaluation)."""

    TRAIN = "training"
    MEAN = "evaluation"


class Reach(Enum):
    """How deep a drop reaches into the loop over time."""

    SILENT = "silent"
    OUTSIDE = "outside"
    FOLDABLE = "foldable"
    INSIDE = "inside"


class Path(Enum):
    """The three implementations; `reference` is the specification of the other two."""

    REFERENCE = "reference"
    LOOPED = "looped"
    # The value is the path's first name, which stores hold.
    LIBRARY = "fused"


@dataclass(frozen=True, slots=True)
class Reached:
    """One edge's reach and the sentence that says why."""

    edge: Edge
    reach: Reach
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The path that a placement takes on a net, and why."""

    path: Path
    reason: str
    reaches: tuple[Reached, ...]


# By device, the cells whose library layer was measured faster than `looped` where nothing acts
# inside the loop. It is a constant, not a timing at run time: the two paths differ in the last bit,
# and a result must not depend on a clock. docs/evidence/speed.md has measurement and command.
LIBRARY_IS_FASTER: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"cpu": frozenset({"lstm"})}
)


def plan(
    placement: Placement,
    layers: int,
    *,
    device: str = "cpu",
    mode: Mode = Mode.TRAIN,
    precision: str = "fp32",
    cell: Cell = LSTM,
) -> Plan:
    """Plan `placement` on a net of `layers` layers on a `device` ("cpu", "cuda", "cuda:1").

    Raises AblateError where the placement does not fit the net or its cell.
    """
    placement.check(layers, cell)
    kind = device.partition(":")[0]
    here = placement.within(layers)
    reaches = tuple(
        _reach(edge, here[edge], mode) if edge in here else _nowhere(edge, layers)
        for edge in placement
    )
    inside = [reached for reached in reaches if reached.reach is Reach.INSIDE]
    if inside:
        edges = ", ".join(reached.edge.label for reached in inside)
        verb = "acts" if len(inside) == 1 else "act"
        return Plan(Path.LOOPED, f"{edges} {verb} inside the loop over time.", reaches)
    what = "No edge acts inside the loop" if here else "Nothing is dropped"
    if cell.library is None:
        return Plan(Path.LOOPED, f"{what}, but no library has {cell.title} cells.", reaches)
    own = f"the library's own {cell.title}"
    if precision != "fp32":
        return Plan(Path.LOOPED, f"{what}, but {own} keeps no float32 state.", reaches)
    if cell.name in LIBRARY_IS_FASTER.get(kind, ()):
        return Plan(Path.LIBRARY, f"{what}, and {own} was measured faster on {kind}.", reaches)
    return Plan(Path.LOOPED, f"{what}, but {own} was not measured faster on {kind}.", reaches)


def alike(
    placement: Placement,
    layers: int,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    cell: Cell = LSTM,
) -> tuple[Hashable, ...]:
    """What two placements must agree in to share a cohort with equal bits (float32, CPU).

    Their paths, and where each gate reads its own: four products are other products than one.
    """
    paths = (
        plan(placement, layers, device=device, mode=mode, precision=precision, cell=cell).path
        for mode in Mode
    )
    here = placement.within(layers)
    apart = (
        (edge, layer)
        for edge in (Edge.INPUT, Edge.INTERLAYER, Edge.RECURRENT)
        if (drop := here.get(edge)) and drop.shared.gate == 1
        # A mask of a weight takes one product, and so does a layer that nothing drops.
        if not folds(edge, drop, Mode.TRAIN)
        for index, layer in enumerate(layers_of(edge, layers))
        if drop.rate_of(index)
    )
    return *paths, *apart


def folds(edge: Edge, drop: Drop, mode: Mode) -> bool:
    """Whether the drop equals a mask of a weight matrix."""
    return _reach(edge, drop, mode).reach is Reach.FOLDABLE


def _nowhere(edge: Edge, layers: int) -> Reached:
    many = f"{layers} layer{'' if layers == 1 else 's'}"
    return Reached(edge, Reach.SILENT, f"{edge.label} has no place in a net of {many}.")


def _reach(edge: Edge, drop: Drop, mode: Mode) -> Reached:
    sharing = drop.shared
    name = edge.label
    if mode is Mode.MEAN and drop.fill is Fill.ZERO and _keeps_mean(drop):
        return Reached(edge, Reach.SILENT, f"{name} keeps its mean in training: it rests here.")
    if edge is Edge.WEIGHT:
        return Reached(edge, Reach.FOLDABLE, "WEIGHT masks W_hh once a window.")
    if edge in Edge.EMBEDDING | Edge.OUTPUT:
        return Reached(edge, Reach.OUTSIDE, f"{name} acts on the whole sequence.")
    constant = mode is Mode.MEAN or (sharing.time is ALL and sharing.batch is ALL)
    if edge in Edge.INPUT | Edge.INTERLAYER:
        if mode is Mode.MEAN or sharing.gate is ALL:
            return Reached(edge, Reach.OUTSIDE, f"{name} acts on the layer's whole input.")
        if constant:
            return Reached(edge, Reach.FOLDABLE, f"{name} equals a mask of W_ih.")
        return Reached(edge, Reach.INSIDE, f"{name} gives each gate its own copy of the input.")
    if edge is Edge.RECURRENT and drop.fill is Fill.ZERO and constant:
        return Reached(edge, Reach.FOLDABLE, "RECURRENT equals a mask of W_hh's columns.")
    if drop.fill is Fill.HOLD:
        return Reached(edge, Reach.INSIDE, f"{name} mixes in the value of the step before.")
    return Reached(edge, Reach.INSIDE, f"{name} acts between one step and the next.")


def _keeps_mean(drop: Drop) -> bool:
    if drop.noise == BERNOULLI:
        return drop.scale is Scale.TRAIN
    return all(drop.noise.mean(rate) == 1.0 for rate in drop.rates if rate)
