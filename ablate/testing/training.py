"""The contract of training: an update of a tiny language model is finite, can be repeated, and is
the same beside other trials as alone."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ablate.engine.plan import alike
from ablate.model.net import Net
from ablate.model.parameters import Parameters, initial_parameters, stacked
from ablate.testing.points import OfAStrategy
from ablate.training.update import TrialPlan, Update

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
            before, after, again = (_parameters(self._net(layers)) for _ in range(3))
            nll, norm = self._update(after, layers)
            self._update(again, layers)
            told = f"the loss of an update is {nll}, its gradient {norm}"
            assert math.isfinite(nll), told
            assert math.isfinite(norm), told
            assert any(not torch.equal(after[name], before[name]) for name in before)
            for name, value in after.items():
                assert value.isfinite().all(), f"an update makes {name} infinite"
                assert torch.equal(again[name], value), (
                    f"an update, run twice from one state, gives two values of {name}"
                )

    def test_a_trial_never_knows_its_companions(self) -> None:
        """An update in a cohort, beside other seeds and points, has the bits of one alone."""
        for layers in self.layers:
            net = Net(layers=layers, hidden=_EVEN, cell=self.cell)
            own = self.place({})
            kind = alike(own, layers, cell=self.of_cell)
            others = self.few_placements()
            points = [own, own]
            points += [p for p in others if alike(p, layers, cell=self.of_cell) == kind]
            plans = [
                TrialPlan.planned(net, placement, seed=seed, device="cpu", updates=2)
                for seed, placement in enumerate(points, start=1409)
            ]
            each = [_parameters(net, planned.seed) for planned in plans]
            together, alone = stacked(each), stacked(each[:1])
            for parameters, size in ((together, len(plans)), (alone, 1)):
                _update(parameters, _WORDS, plans[:size])
            for name, value in alone.items():
                assert torch.equal(together[name][0], value[0]), (
                    f"beside {len(plans) - 1} other trials, {name} of a trial of "
                    f"'{self.strategy}' gets other values than alone"
                )

    def _net(self, layers: int) -> Net:
        return Net(layers=layers, hidden=HIDDEN, embedding=EMBEDDING, cell=self.cell)

    def _update(self, parameters: Parameters, layers: int) -> tuple[float, float]:
        """Change `parameters` by an update; return its nll and the norm of its gradient."""
        planned = TrialPlan.planned(
            self._net(layers), self.place({}), seed=1409, device="cpu", updates=2
        )
        words_TB = torch.arange((T + 1) * B).view(T + 1, B) ** 2 % VOCABULARY
        alone = {name: value.unsqueeze(0) for name, value in parameters.items()}
        nll, norm = _update(alone, words_TB, [planned]).flatten().tolist()
        return nll, norm


def _update(parameters: Parameters, words_TB: Tensor, plans: Sequence[TrialPlan]) -> Tensor:
    """The second of two updates, where a schedule is under way; nll and norm, [2, K]."""
    (time, batch), size = words_TB[1:].shape, len(plans)
    update = Update.of(
        parameters, plans, (time, batch),
        updates=[1] * size, learning_rates=[0.1] * size, clips=[5.0] * size,
    )  # fmt: skip
    return update(words_TB[:-1], words_TB[1:])


def _parameters(net: Net, seed: int = 1409) -> Parameters:
    """A tiny net's initial values."""
    return initial_parameters(net, VOCABULARY, seed=seed, radius=0.5)
