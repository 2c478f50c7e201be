"""Colour and marker follow from the placement, not from its name."""

import pytest

from ablate.report.kinds import (
    BETWEEN,
    BOTH,
    INSIDE,
    MIXED,
    NOWHERE,
    STEP,
    WINDOW,
    edge_group,
    mask_lifetime,
)
from ablate.strategies import get


@pytest.mark.parametrize(
    ("strategy", "given", "kind"),
    [
        ("none", {}, (NOWHERE, STEP)),
        ("zaremba2014", {}, (BETWEEN, STEP)),
        ("locked", {}, (BETWEEN, WINDOW)),
        ("embedding", {}, (BETWEEN, WINDOW)),
        ("weight", {}, (INSIDE, WINDOW)),
        ("moon2015", {}, (INSIDE, WINDOW)),
        ("recurrent", {"sharing": "step"}, (INSIDE, STEP)),
        ("naive", {}, (BOTH, STEP)),
        ("gal2016", {}, (BOTH, WINDOW)),
        ("merity2017", {}, (BOTH, WINDOW)),
        ("semeniuta2016", {"sharing": "window"}, (BOTH, MIXED)),
        ("zoneout", {}, (BOTH, STEP)),
    ],
)
def test_kinds_of_strategies(strategy: str, given: dict, kind: tuple):
    """Each published placement has the kind that its paper describes."""
    placement = get(strategy).place(**given).text
    assert (edge_group(placement), mask_lifetime(placement)) == kind


def test_kinds_are_told_apart():
    """No two places share a colour, no two lengths a marker."""
    assert len({kind.colour for kind in (NOWHERE, BETWEEN, INSIDE, BOTH)}) == 4
    assert len({kind.marker for kind in (STEP, WINDOW, MIXED)}) == 3
