"""The seeded net of `ablate.testing.case`, under the name by which these tests know it."""

from ablate.testing.case import (  # noqa: F401
    MODES,
    VOCABULARY,
    B,
    Case,
    D,
    H,
    T,
    everything,
    forward,
    make_case,
    outputs,
    window_of,
)
