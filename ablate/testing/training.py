"""The contract of training: an update of a tiny language model is finite, can be repeated, and is
the same beside other trials as alone."""

from collections.abc import Sequence

import torch

from ablate.engine.plan import alike
from ablate.model.language_model import zero_cohort_state, zero_state
from ablate.model.net import Net
from ablate.model.parameters import Parameters, initial_parameters
from ablate.testing.points import OfAStrategy
from ablate.training.update import Task, Updated, cohort_update, train_update

# Odd, and no two alike: what is transposed by mistake does not fit.
VOCABULARY, HIDDEN, EMBEDDING, T, B = 23, 13, 5, 7, 3

# Whole vectors: eager sigmoids treat the rest of a row otherwise, wherever it begins.
_EVEN, _ROWS = 16, 4
_WORDS = torch.arange((T + 1) * _ROWS).view(T + 1, _ROWS) ** 2 % VOCABULARY


class TrainingContract(OfAStrategy):
    """What a study does with a placement, once."""

    def test_an_update_trains_and_can_be_repeated(self) -> None:
        """An update changes parameters, stays finite, and gives the same bits again."""
        for layers in self.layers:
            before, after, again = (_parameters(layers) for _ in range(3))
            done = self._update(after, layers)
            self._update(again, layers)
            assert done.finite, f"the loss of an update is {done.nll}, its gradient {done.norm}"
            assert any(not torch.equal(after[name], before[name]) for name in before)
            for name, value in after.items():
                assert value.isfinite().all(), f"an update makes {name} infinite"
                assert torch.equal(again[name], value), (
                    f"an update, run twice from one state, gives two values of {name}"
                )

    def test_a_trial_never_knows_its_companions(self) -> None:
        """An update in a cohort, beside other seeds and points, has the bits of one alone."""
        for layers in self.layers:
            net = Net(layers=layers, hidden=_EVEN)
            own = self.place({})
            kind = alike(own, layers)
            points = [own, own, *(p for p in self.few_placements() if alike(p, layers) == kind)]
            tasks = [
                Task.planned(net, placement, seed=seed, device="cpu", updates=2)
                for seed, placement in enumerate(points, start=1409)
            ]
            state = zero_cohort_state(net, len(tasks), _ROWS, torch.zeros(1))
            together = _side_by_side(net, tasks)
            alone = _side_by_side(net, tasks[:1])
            for parameters, size in ((together, len(tasks)), (alone, 1)):
                cohort_update(
                    parameters, _WORDS[:-1], _WORDS[1:],
                    (state[0][:, :size], state[1][:, :size]), tasks[:size],
                    updates=[1] * size, learning_rates=[0.1] * size, clips=[5.0] * size,
                )  # fmt: skip
            for name, value in alone.items():
                assert torch.equal(together[name][0], value[0]), (
                    f"beside {len(tasks) - 1} other trials, {name} of a trial of "
                    f"'{self.strategy}' gets other values than alone"
                )

    def _update(self, parameters: Parameters, layers: int) -> Updated:
        """Change `parameters` by the second of two updates, where a schedule is under way."""
        task = Task.planned(_net(layers), self.place({}), seed=1409, device="cpu", updates=2)
        state = zero_state(task.net, B, parameters["decoder.weight"])
        words_TB = torch.arange((T + 1) * B).view(T + 1, B) ** 2 % VOCABULARY
        return train_update(
            parameters, words_TB[:-1], words_TB[1:], state, task,
            update=1, learning_rate=0.1, clip=5.0,
        )  # fmt: skip


def _net(layers: int) -> Net:
    return Net(layers=layers, hidden=HIDDEN, embedding=EMBEDDING)


def _side_by_side(net: Net, tasks: Sequence[Task]) -> Parameters:
    each = [initial_parameters(net, VOCABULARY, seed=task.seed, radius=0.5) for task in tasks]
    return {name: torch.stack([own[name] for own in each]) for name in each[0]}


def _parameters(layers: int) -> Parameters:
    """A tiny net's initial values, as leaves."""
    parameters = initial_parameters(_net(layers), VOCABULARY, seed=1409, radius=0.5)
    return {name: value.requires_grad_() for name, value in parameters.items()}
