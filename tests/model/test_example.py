"""The guide's worked example: what it shows is what runs, and it trains."""

from pathlib import Path

import pytest
from model import forecaster

from ablate.drops import VARIATIONAL, Drop
from ablate.edges import Edge
from ablate.placement import Placement

PAGE = "docs/guide/your-model.md"
DROPPED = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})


def test_the_guide_shows_it():
    """Word for word."""
    page = (Path(__file__).parents[2] / PAGE).read_text(encoding="utf-8")
    assert f"```python\n{Path(forecaster.__file__).read_text()}```" in page


@pytest.mark.parametrize("placement", [Placement(), DROPPED], ids=["none", "dropped"])
def test_it_trains(placement):
    """A few updates make both errors smaller."""
    before = forecaster.errors(placement, 1, updates=0)
    after = forecaster.errors(placement, 1, updates=12)
    assert all(b < 0.6 * a for a, b in zip(before, after, strict=True))


@pytest.mark.slow
def test_recurrent_dropout_forecasts_better():
    """On new series, for each of three seeds; what is learnt by heart is less."""
    for seed in (1, 2, 3):
        (train, new), (train_dropped, new_dropped) = (
            forecaster.errors(placement, seed) for placement in (Placement(), DROPPED)
        )
        assert new_dropped < 0.95 * new
        assert train_dropped > train
