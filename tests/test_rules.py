"""The table of combinations: exactly these exist, written out here a second time.

The rows are those of the design, not those of `ablate.rules`: a change of either shows here.
"""

import itertools
from typing import NamedTuple

import pytest

from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.errors import AblateError, WrongValue
from ablate.noise import BERNOULLI, GAUSSIAN
from ablate.placement import Placement

AXES = ("time", "word", "batch", "source", "unit", "gate", "update", "direction")


class Row(NamedTuple):
    """One edge of the table; `default` is the sharing of a drop that says nothing of it."""

    number: int
    default: dict[str, object]
    fills: str
    noise: bool
    scales: str  # of the fill ZERO, the default first
    refusal: str  # of a scale that the fill ZERO does not have

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(self.default) if self.number == 0 else (*self.default, "direction")


_WORDS = {"time": ALL, "word": 1, "batch": 1, "unit": ALL, "update": 1}
_STEP = {"time": 1, "batch": 1, "unit": 1, "update": 1}
_GATED = {"time": 1, "batch": 1, "unit": 1, "gate": ALL, "update": 1}
_MATRIX = {"source": 1, "unit": 1, "gate": 1, "update": 1}

TABLE = {
    "EMBEDDING": Row(0, _WORDS, "ZERO", False, "TRAIN TEST", "TRAIN or TEST"),
    "INPUT": Row(1, _GATED, "ZERO", True, "TRAIN TEST", "TRAIN or TEST"),
    "INTERLAYER": Row(2, _GATED, "ZERO", True, "TRAIN TEST", "TRAIN or TEST"),
    "OUTPUT": Row(3, _STEP, "ZERO", True, "TRAIN TEST", "TRAIN or TEST"),
    "WEIGHT": Row(4, _MATRIX, "ZERO", True, "TRAIN TEST", "TRAIN or TEST"),
    "RECURRENT": Row(5, _GATED, "ZERO HOLD", True, "TRAIN TEST", "TRAIN or TEST"),
    "HIDDEN": Row(6, _STEP, "ZERO HOLD", True, "TRAIN TEST", "TRAIN or TEST"),
    "UPDATE": Row(7, _STEP, "ZERO", True, "TRAIN TEST", "TRAIN or TEST"),
    "CELL": Row(8, _STEP, "ZERO HOLD", False, "TEST", "TEST"),
    "CARRY": Row(9, _STEP, "ZERO HOLD", False, "TEST", "TEST"),
}

EDGES = [pytest.param(Edge[name], row, id=name) for name, row in TABLE.items()]


def _exists(name: str, sharing: dict[str, object], fill: str, noise: bool, scale: str | None):
    row = TABLE[name]
    if any(axis not in row.axes for axis in sharing) or fill not in row.fills.split():
        return False
    if noise:
        return row.noise and fill == "ZERO" and scale in (None, "TRAIN")
    if fill == "HOLD":
        gates_apart = name == "RECURRENT" and sharing.get("gate") == 1
        return scale in (None, "MEAN") and not gates_apart
    return scale is None or scale in row.scales.split()


def _extents(axis: str) -> tuple[object, ...]:
    if axis == "direction":
        return (ALL,)
    return (1, ALL) if axis in ("word", "gate") else (1, 10, ALL)


def _drop(sharing: dict[str, object], fill: str, noise: bool, scale: str | None) -> Drop:
    return Drop(
        0.5,
        Sharing(**sharing),
        fill=Fill[fill],
        noise=GAUSSIAN if noise else BERNOULLI,
        scale=None if scale is None else Scale[scale],
    )


ONE_AXIS = [{}, *({axis: extent} for axis in AXES for extent in _extents(axis))]
WAYS = list(itertools.product(("ZERO", "HOLD"), (False, True), (None, "TRAIN", "TEST", "MEAN")))


def test_the_table_names_every_edge_once():
    """The ten edges carry the numbers 0 to 9, which are addresses of masks."""
    assert {edge.name: edge.number for edge in Edge} == {
        name: row.number for name, row in TABLE.items()
    }


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_exactly_the_combinations_of_the_table_exist(edge, row):
    """Edge x axis x extent x fill x noise x scale: inside the table it is built, outside refused
    in one sentence that names the edge or what HOLD and noise are tied to."""
    built = refused = 0
    for sharing, (fill, noise, scale) in itertools.product(ONE_AXIS, WAYS):
        drop = _drop(sharing, fill, noise, scale)
        if _exists(edge.name, sharing, fill, noise, scale):
            assert edge in Placement({edge: drop}), drop.text
            built += 1
        else:
            with pytest.raises(AblateError) as raised:
                Placement({edge: drop})
            words = str(raised.value)
            assert edge.label in words
            assert "\n" not in words
            assert ". " not in words
            refused += 1
    assert built + refused == len(ONE_AXIS) * len(WAYS)
    assert built >= len(row.axes)


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_axes_are_free_of_each_other(edge, row):
    """Any extents on all of an edge's axes at once stand in the placement as they were given."""
    for extents in itertools.product(*(_extents(axis) for axis in row.axes)):
        sharing = Sharing(**dict(zip(row.axes, extents, strict=True)))
        assert Placement({edge: Drop(0.5, sharing)})[edge].sharing == sharing


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_what_is_left_open_takes_the_edges_default(edge, row):
    """A bare rate gets the sharing and the scale of the edge's row, the fill ZERO and BERNOULLI."""
    drop = Placement({edge: Drop(0.5)})[edge]
    stated = Drop(0.5, Sharing(**row.default), scale=Scale[row.scales.split()[0]])
    assert drop == stated
    assert (drop.fill, drop.noise) == (Fill.ZERO, BERNOULLI)


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_one_stated_axis_leaves_the_others_at_their_default(edge, row):
    """Sharing over one axis says nothing of the others."""
    for axis in row.axes:
        sharing = Placement({edge: Drop(0.5, Sharing(**{axis: ALL}))})[edge].sharing
        assert dict(sharing.given()) == row.default | {axis: ALL}


@pytest.mark.parametrize(
    ("edge", "row"), [case for case in EDGES if "HOLD" in case.values[1].fills]
)
def test_hold_mixes_in_evaluation(edge, row):
    """HOLD has the scale MEAN, stated or not."""
    assert Placement({edge: Drop(0.5, fill=Fill.HOLD)})[edge].scale is Scale.MEAN


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_a_foreign_axis_is_refused_by_name(edge, row, refused):
    """The message names the edge, the axis and the axes that the edge has."""
    for axis in sorted(set(AXES) - set(row.axes)):
        with refused(WrongValue, given=axis):
            Placement({edge: Drop(0.5, Sharing(**{axis: ALL}))})


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_each_direction_by_itself_is_what_every_edge_has(edge, row):
    """Stated or not it is one placement with one text; sharing both is another."""
    plain, stated, shared = (
        Placement({edge: Drop(0.5, sharing)})
        for sharing in (None, Sharing(direction=1), Sharing(direction=ALL if row.number else 1))
    )
    assert stated == plain
    assert stated.text == plain.text
    assert "direction" not in plain.text
    if row.number:
        assert shared != plain
        assert shared.text == plain.text.replace(",update=1;", ",update=1,direction=ALL;")
        assert Placement.parse(shared.text) == shared


@pytest.mark.parametrize(("edge", "row"), EDGES)
def test_a_foreign_scale_is_refused_by_name(edge, row, refused):
    """The message names the edge, the fill, the scales that it has and the one given."""
    for scale in sorted({"TRAIN", "TEST", "MEAN"} - set(row.scales.split())):
        with refused(WrongValue, given=scale):
            Placement({edge: Drop(0.5, scale=Scale[scale])})


@pytest.mark.parametrize(
    ("edge", "drop", "given"),
    [
        pytest.param(
            Edge.INPUT,
            Drop(0.5, fill=Fill.HOLD),
            "HOLD",
            id="hold-outside",
        ),
        pytest.param(
            Edge.RECURRENT,
            Drop(0.5, Sharing(gate=1), fill=Fill.HOLD),
            1,
            id="hold-by-gate",
        ),
        pytest.param(
            Edge.CELL,
            Drop(0.5, fill=Fill.HOLD, scale=Scale.TEST),
            "TEST",
            id="hold-scaled",
        ),
        pytest.param(
            Edge.CARRY,
            Drop(0.5, noise=GAUSSIAN),
            "GAUSSIAN",
            id="noise-on-the-cell",
        ),
        pytest.param(
            Edge.HIDDEN,
            Drop(0.5, fill=Fill.HOLD, noise=GAUSSIAN),
            "GAUSSIAN",
            id="noise-held",
        ),
        pytest.param(
            Edge.OUTPUT,
            Drop(0.5, noise=GAUSSIAN, scale=Scale.TEST),
            "TEST",
            id="noise-scaled-in-test",
        ),
    ],
)
def test_other_refusals_say_what_is_allowed(edge, drop, given, refused):
    """Each refusal is one sentence with the rule and the value that broke it."""
    with refused(WrongValue, given=given):
        Placement({edge: drop})
