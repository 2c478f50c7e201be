"""The contract of training: an update of a tiny language model is finite, and can be repeated."""

import torch

from ablate.model.language_model import zero_state
from ablate.model.net import Net
from ablate.model.parameters import Parameters, initial_parameters
from ablate.testing.points import OfAStrategy
from ablate.training.update import Task, Updated, train_update

# Odd, and no two alike: what is transposed by mistake does not fit.
VOCABULARY, HIDDEN, EMBEDDING, T, B = 23, 13, 5, 7, 3


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


def _parameters(layers: int) -> Parameters:
    """A tiny net's initial values, as leaves."""
    parameters = initial_parameters(_net(layers), VOCABULARY, seed=1409, radius=0.5)
    return {name: value.requires_grad_() for name, value in parameters.items()}
