"""A later step of a window that does not drop as the first one does is told."""

import pytest
from auditing.scaled import HOLD_RIGHT, RIGHT, WRONG, ChangesItsWay, DropsAt
from torch import nn

from ablate.auditing import audit
from ablate.auditing.tails import unlike
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement

NONE, DROPS, SELDOM = RIGHT["train"](0.0), RIGHT["train"](0.4), RIGHT["train"](0.05)


@pytest.mark.parametrize(
    ("edge", "first", "later", "step"),
    [
        # The usual form: `if step > 0: h = dropout(h)`.
        pytest.param("RECURRENT", NONE, DROPS, 1, id="not-the-first"),
        pytest.param("INPUT", DROPS, NONE, 1, id="the-first-alone"),
        pytest.param("UPDATE", DROPS, SELDOM, 1, id="another-rate"),
        pytest.param("OUTPUT", DROPS, WRONG["none"](0.4), 1, id="another-scale"),
        pytest.param("HIDDEN", RIGHT["test"](0.4), (0.4, 1.0, 1.0), 9, id="in-evaluation"),
        pytest.param("CELL", (0.0, 0.0), HOLD_RIGHT["mean"](0.3), 1, id="held"),
    ],
)
def test_a_step_that_drops_as_no_other_is_told(edge, first, later, step, wording):
    """Rate, scale and presence of a mask are those of every step, or the sentence names two."""
    found = audit(ChangesItsWay(edge, first, later, step))
    (sentence,) = (one for one in found.disagreements if "steps of a window differ" in one)
    wording(sentence)


class SamplesLate(DropsAt):
    """In evaluation, too, from the tenth step on."""

    def at(self, edge, value, old=None):
        if edge == self.edge and self.step >= 9:
            return nn.functional.dropout(value, 0.4)
        return super().at(edge, value, old)


def test_evaluation_is_quiet_at_every_step():
    """A mask that is sampled there from the tenth step on is sampled."""
    found = audit(SamplesLate("INPUT", DROPS))
    assert any("still sampled" in sentence for sentence in found.disagreements)


def test_when_a_mask_changes_is_undecided_where_it_is_not_seen():
    """A mask of the first step alone is neither fresh at each step nor the same for all."""
    placement = Placement({Edge.INPUT: Drop(0.4)})
    found = audit(ChangesItsWay("INPUT", DROPS, NONE, 1), placement)
    assert any("fresh at each step was not seen" in sentence for sentence in found.undecided)


def test_two_counts_of_one_rate_are_not_told_apart():
    """Fisher's exact test: 5 of 5 beside 0 of 5 is 1 in 252 for each tail."""
    assert not unlike(0, 5, 5, 5)
    assert unlike(0, 50, 50, 50)
    assert unlike(500, 1000, 700, 1000)
    assert not unlike(500, 1000, 520, 1000)
    assert not unlike(0, 1000, 0, 10)
