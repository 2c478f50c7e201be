"""An audit tells each module of the field as it was meant from the same as it was shipped."""

import pytest
from auditing.field.table import SUBJECTS, WORDS, meant

from ablate.auditing import audit
from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.placement import Placement

EVERY = (*SUBJECTS, *WORDS)
MEANT = meant(EVERY)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEANT)
def test_a_module_as_it_was_meant_agrees(name):
    """A correct module is its placement, and no law is broken."""
    subject = MEANT[name]
    assert audit(subject.correct(), subject.placement).disagreements == ()


@pytest.mark.parametrize("subject", [pytest.param(subject, id=subject.bug) for subject in EVERY])
def test_a_module_as_it_was_shipped_does_not(subject):
    """The wrong module disagrees, in words that name what is wrong."""
    sizes = (12, 8) if subject in WORDS else (8, 8, 1)
    found = audit(subject.wrong(*sizes), subject.placement)
    assert not found.agrees
    assert any(subject.sentence in sentence for sentence in found.disagreements), found


def test_what_an_update_made_of_tied_masks_is_a_placement_too():
    """Bug 17 is wrong beside what was meant alone: a mask for each gate, where it is said so."""
    (subject,) = (subject for subject in SUBJECTS if subject.bug == "17")
    gates = Sharing(time=ALL, gate=1)
    placement = Placement({Edge.INPUT: Drop(0.3, gates), Edge.RECURRENT: Drop(0.25, gates)})
    assert audit(subject.wrong(8, 8, 1), placement).agrees
