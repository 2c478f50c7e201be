"""Contract tests for authors of strategies, noises and schedules.

Subclass one class, name what is under test, and run pytest:

    from ablate.testing import StrategyContract

    class TestSandwich(StrategyContract):
        strategy = "sandwich"

Each test says in one sentence what it holds, and each failure what to do.
"""
# ruff: noqa: E402  (what asserts is imported after it was registered)

from pkgutil import iter_modules

try:
    import pytest
except ImportError as error:
    raise ImportError(
        "ablate.testing needs pytest, which ablate alone does not install: "
        "install the extra, ablate-dropout[test]"
    ) from error

# Before the first import of a module that asserts, so that its failures show values. This package
# is being imported already, so that its modules are named one by one.
pytest.register_assert_rewrite(*(f"{__name__}.{part.name}" for part in iter_modules(__path__)))

from ablate.testing.close import TOLERANCE, assert_close
from ablate.testing.noise import NoiseContract
from ablate.testing.schedule import ScheduleContract
from ablate.testing.strategy import StrategyContract

__all__ = [
    "TOLERANCE",
    "NoiseContract",
    "ScheduleContract",
    "StrategyContract",
    "assert_close",
]
