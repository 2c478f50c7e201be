import torch
from torch import nn

import ablate
from ablate import VARIATIONAL, Drop, Edge, Placement


def series(rows: int) -> torch.Tensor:  # two sines of any speed, and noise of variance 0.09
    t, speed, phase = torch.arange(61.0), 0.1 + 0.5 * torch.rand(2, rows, 1), torch.rand(2, rows, 1)
    return (torch.sin(speed * t + 6.3 * phase).sum(0) + 0.3 * torch.randn(rows, 61))[..., None]


class Forecaster(nn.Module):
    def __init__(self, placement: Placement) -> None:
        super().__init__()
        self.lstm = ablate.LSTM(1, 64, batch_first=True, placement=placement)  # was: nn.LSTM
        self.out = nn.Linear(64, 1)

    def error(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(self.out(self.lstm(x[:, :-1])[0]), x[:, 1:])


def errors(placement: Placement, seed: int, updates: int = 300) -> list[float]:
    torch.manual_seed(seed)
    train, new, model = series(32), series(512), Forecaster(placement)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(updates):
        optimizer.zero_grad()
        model.error(train).backward()
        optimizer.step()
    model.eval()  # from here on nothing is sampled
    return [model.error(x).item() for x in (train, new)]


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model is slower on two
    for placement in (Placement(), Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})):
        print(placement, *(errors(placement, seed) for seed in (1, 2, 3)))
