"""Updates of a cohort on one window again and again, as training makes them: what is timed.

Shapes: T time, B batch, K trials.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ablate.model import language_model
from ablate.model.parameters import Parameters
from ablate.training.graph import WARM_UPS, CapturedUpdate
from ablate.training.tensor_update import TensorUpdate, capturable
from ablate.training.update import Task, cohort_update, product_copies


class Repeated:
    """One update after the other, called with 0, 1, 2 and so on.

    `values` [K, ...] are trained in place; `first` plus the number called with is the update's own.
    Captured where training captures it, within the first call.
    """

    def __init__(
        self,
        values: Parameters,
        tasks: Sequence[Task],
        window: tuple[Tensor, Tensor],
        *,
        learning_rate: float,
        clip: float,
        first: int = 0,
    ) -> None:
        like = values["decoder.weight"]
        self._values, self._tasks, self.window = values, tasks, window
        self._rate, self._clip, self._first = learning_rate, clip, first
        self._captured = None
        time, batch = window[0].shape
        if capturable(tasks, like):
            update = TensorUpdate.of(values, tasks, (time, batch), **self._given(0))
            self._captured = CapturedUpdate(update)
            return
        self._copies = product_copies(values, tasks[0].precision)
        self._state = language_model.zero_cohort_state(tasks[0].net, len(tasks), batch, like)

    def __call__(self, number: int) -> object:
        """One update; what it returns is to be kept until the device has done it."""
        if self._captured is not None:
            # The first call ends with the capture: what comes after it is replayed.
            for _ in range(0 if number else WARM_UPS):
                self._captured(*self.window)
            return self._captured(*self.window)
        done = cohort_update(
            self._values,
            *self.window,
            self._state,
            self._tasks,
            **self._given(number),
            copies=self._copies,
        )
        self._state = done.state
        return done

    def _given(self, number: int) -> dict[str, Any]:
        trials = len(self._tasks)
        return {
            "updates": [self._first + number] * trials,
            "learning_rates": [self._rate] * trials,
            "clips": [self._clip] * trials,
        }
