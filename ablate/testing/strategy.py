"""The whole contract of a strategy."""

from ablate.testing.language import LanguageContract
from ablate.testing.masks import MasksContract
from ablate.testing.paths import PathsContract
from ablate.testing.training import TrainingContract


class StrategyContract(LanguageContract, MasksContract, PathsContract, TrainingContract):
    """What holds for every strategy; a subclass says which.

    class TestSandwich(StrategyContract):
        strategy = "sandwich"

    A strategy that gives each layer a rate of its own fits nets of one depth only: say which with
    `layers = (2,)`.
    """
