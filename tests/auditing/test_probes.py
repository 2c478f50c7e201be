"""One step's probes read every gate, and every depth, on one scale."""

import numpy as np
import pytest
import torch
from auditing.scaled import DropsAt

from ablate.auditing.probes import CLOSE, read_step
from ablate.auditing.recognition import find_subject
from ablate.auditing.subject import mask_draws

# As a noise has them now and then: about what is taken for nothing, and well beside it.
NEAR_NOTHING = (0.0, 4e-6, -2.4e-5, 1.1e-4, 1.9e-4, -3e-3, 0.5, 1.0)


class Multiplies(DropsAt):
    """The same small multipliers at each call, at one edge."""

    def at(self, edge, value, old=None):
        by = torch.tensor(NEAR_NOTHING, dtype=value.dtype)
        return value * by[: value.shape[-1]] if edge == self.edge else value


@pytest.mark.parametrize("edge", ["INPUT", "RECURRENT"])
def test_a_multiplier_near_nothing_is_read_alike_by_all_gates(edge):
    """No gate takes for a drop what another reads as a value (a noise is seldom exactly 0)."""
    subject = find_subject(Multiplies(edge, (0.0, 1.0, 1.0), inputs=8))
    seen = read_step(subject, next(mask_draws(subject, time=1, batch=2)))
    table = seen.input if edge == "INPUT" else seen.recurrent
    for gate in range(4):
        assert np.allclose(table[0, gate, 0], NEAR_NOTHING, rtol=0.0, atol=CLOSE / 2.0)
