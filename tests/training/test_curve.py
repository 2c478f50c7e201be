"""What a learning curve says: the best epoch, and when a trial has diverged."""

import math

import pytest

from ablate.training.curve import best_epoch, diverged

#: 2 ln 10, to three digits.
TWICE = 4.605


def rows(*losses, valid=1.0):
    return [{"running_nll": loss, "valid_nll": valid} for loss in losses]


@pytest.mark.parametrize(
    ("curve", "types", "over"),
    [
        pytest.param([], 10, False, id="not-begun"),
        pytest.param(rows(TWICE + 0.01), 10, False, id="one-bad-epoch"),
        pytest.param(rows(TWICE + 0.01, TWICE + 0.01), 10, True, id="two-running"),
        pytest.param(rows(TWICE + 0.01, TWICE - 0.01), 10, False, id="left-behind"),
        pytest.param(rows(9.0, 1.0, 9.0), 10, False, id="not-running"),
        pytest.param(rows(1.0, 9.0, 9.0), 10, True, id="late"),
        pytest.param(rows(6.2, 6.2), 23, False, id="more-types"),
        pytest.param(rows(6.3, 6.3), 23, True, id="more-types-above-twice"),
        pytest.param(rows(1.8, 1.8), 2, False, id="two-types-count-as-ten"),
        pytest.param(rows(TWICE + 0.01, TWICE + 0.01), 2, True, id="two-types-above-that"),
        pytest.param(rows(0.0, 0.0), 1, False, id="one-type"),
        pytest.param(rows(1.0, valid=900.0), 10, False, id="validation-overflows"),
        pytest.param(rows(1.0, 1.0, valid=math.inf), 10, False, id="validation-infinite"),
        pytest.param(rows(1.0, 1.0, valid=math.nan), 10, False, id="validation-nan"),
        pytest.param(rows(1.0, valid=None), 10, True, id="left-within-the-epoch"),
        pytest.param(rows(None, valid=None), 10, True, id="left-at-once"),
    ],
)
def test_divergence_is_the_training_losss_alone(curve, types, over):
    """Not finite, or above 2 ln V in two epochs running; what validation says ends nothing."""
    assert diverged(curve, types) is over


@pytest.mark.parametrize(
    ("valid", "epoch"),
    [
        ([3.0, 2.0, 2.5], 2),
        ([3.0, 2.0, 2.0], 2),
        ([math.nan, 3.0], 2),
        ([math.inf, 800.0, math.nan], 2),
        ([math.nan, math.nan], 1),
        ([2.0, None], 1),
    ],
)
def test_the_best_epoch_has_the_lowest_finite_validation(valid, epoch):
    """The first of equals; one that is not finite loses to any."""
    assert best_epoch([{"valid_nll": nll} for nll in valid]) == epoch
