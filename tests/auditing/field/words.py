"""Dropout of whole words, with the interface of `nn.Embedding`.

Bug 9: equal words are not dropped together.

Shapes: T time, B batch, V vocabulary, D embedding.
"""

import torch
from auditing.field.cells import kept
from torch import Tensor, nn


class EmbeddedDropout(nn.Embedding):
    """A word is dropped wherever it stands in the batch, in the manner of awd-lstm-lm."""

    def __init__(self, num_embeddings: int = 12, embedding_dim: int = 8, *, dropout: float) -> None:
        super().__init__(num_embeddings, embedding_dim)
        self.dropout = dropout

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        mask = kept(self.dropout, self.weight, self.num_embeddings, 1) / (1.0 - self.dropout)
        return nn.functional.embedding(input, self.weight * mask)


class PositionDropout(EmbeddedDropout):
    """Bug 9: each position has a mask of its own."""

    def forward(self, input: Tensor) -> Tensor:
        found = nn.Embedding.forward(self, input)
        if not self.training:
            return found
        return found * kept(self.dropout, found, *input.shape, 1) / (1.0 - self.dropout)


class TiedDropout(EmbeddedDropout):
    """A word is dropped wherever it stands in its row of the batch, in the manner of BayesianRNN.

    Each position has a mask, and a position takes over that of an earlier one with the same word.
    """

    def forward(self, input: Tensor) -> Tensor:
        found = nn.Embedding.forward(self, input)
        if not self.training:
            return found
        mask = kept(self.dropout, found, *input.shape)
        for later in range(len(input)):
            for earlier in range(later):
                same = self.same(input[later], input[earlier])
                mask[later] = torch.where(same, mask[earlier], mask[later])
        return found * mask[..., None] / (1.0 - self.dropout)

    def same(self, later: Tensor, earlier: Tensor) -> Tensor:
        return later == earlier


class ComparedByBatchDropout(TiedDropout):
    """Bug 9, as BayesianRNN had it (issue 4): words are compared for the whole batch at once.

    Two steps are tied only where all rows of the batch repeat their words, which hardly happens.
    """

    def same(self, later: Tensor, earlier: Tensor) -> Tensor:
        return (later == earlier).all()
