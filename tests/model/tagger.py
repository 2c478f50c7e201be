import torch
from torch import nn

import ablate
from ablate import VARIATIONAL, Drop, Edge, Placement

WORDS, TAGS = 60, 3
PLACEMENT = Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(0.25, VARIATIONAL)})


def sentences(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Words and tags [B, T], and lengths; the kinds of the words at both sides decide a tag."""
    lengths, steps = torch.randint(3, 13, (rows,)), torch.arange(12)
    words = torch.randint(1, WORDS, (rows, 12)) * (steps < lengths[:, None])
    kinds = nn.functional.pad(words % TAGS, (1, 1))
    tags = kinds[:, :-2].maximum(kinds[:, 2:])
    wrong = torch.rand(rows, 12) < 0.1  # as in every corpus
    tags = torch.where(wrong, torch.randint(TAGS, (rows, 12)), tags)
    return words, torch.where(steps < lengths[:, None], tags, -100), lengths


class Tagger(nn.Module):
    def __init__(self, placement: Placement, hidden: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, hidden, padding_idx=0)
        self.gru = ablate.GRU(  # was: nn.GRU, between pack_ and pad_packed_sequence
            hidden, hidden, batch_first=True, bidirectional=True, placement=placement
        )
        self.out = nn.Linear(2 * hidden, TAGS)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(self.embedding(words), lengths=lengths)[0])


def accuracies(placement: Placement, seed: int, updates: int = 300) -> list[float]:
    torch.manual_seed(seed)
    train, new, model = sentences(300), sentences(1000), Tagger(placement)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(updates):
        rows = torch.randint(300, (32,))
        words, tags, lengths = (part[rows] for part in train)
        loss = nn.functional.cross_entropy(model(words, lengths).transpose(1, 2), tags)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    found = []
    for words, tags, lengths in (train, new):
        right = model(words, lengths).argmax(-1) == tags
        found.append((right.sum() / (tags >= 0).sum()).item())
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    for placement in (Placement(), PLACEMENT):
        print(placement, *(accuracies(placement, seed) for seed in (1, 2, 3)))
