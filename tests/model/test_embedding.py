"""`ablate.Embedding` stands in for `torch.nn.Embedding`, and drops words."""

import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import ablate
from ablate.drops import ALL, Drop, Scale, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.testing import assert_close

V, D, T, B = 11, 5, 9, 3

WORDS = Placement({Edge.EMBEDDING: Drop(0.5)})
TOKENS = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(2))


def module(placement: Placement | None = WORDS, **options: object) -> ablate.Embedding:
    torch.manual_seed(1)
    return ablate.Embedding(V, D, placement=placement, **({"seed": 1409} | options))


@pytest.mark.parametrize("padding", [None, 0, -2])
def test_a_silent_module_is_torchs(padding):
    """Weights, padding, outputs, gradients, state, repr; tokens of any shape."""
    torch.manual_seed(1)
    theirs = nn.Embedding(V, D, padding)
    ours = module(None, padding_idx=padding)
    assert repr(ours) == repr(theirs)
    for tokens in (TOKENS, TOKENS[0, 0], TOKENS[:, 0], TOKENS[:, :, None], TOKENS[:0]):
        assert torch.equal(ours(tokens), theirs(tokens))
        assert torch.equal(ours(input=tokens), theirs(input=tokens))
    for each in (ours, theirs):
        each(TOKENS).square().sum().backward()
    assert torch.equal(ours.weight.grad, theirs.weight.grad)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())


def test_options_of_torchs_are_taken_by_name():
    """`max_norm` renormalises, `sparse` gives sparse gradients."""
    embedding = module(None, max_norm=0.5, sparse=True)
    vectors = embedding(TOKENS)
    assert vectors.norm(dim=-1).max() <= 0.5 + 1e-6
    vectors.sum().backward()
    assert embedding.weight.grad.is_sparse


def test_words_are_dropped():
    """A word of a row is dropped in all its places or in none; others are scaled by 1 / (1 - p)."""
    embedding = module()
    vectors = embedding(TOKENS)
    plain = module(None)(TOKENS)
    kept = (vectors != 0).all(-1)
    assert torch.equal(vectors, plain * kept[..., None] * 2)
    assert 0 < kept.sum() < kept.numel()
    for row in range(B):
        for word in TOKENS[:, row].unique():
            assert len(kept[TOKENS[:, row] == word, row].unique()) == 1


@pytest.mark.parametrize(
    "sharing",
    [Sharing(), Sharing(word=ALL, time=1), Sharing(batch=ALL), Sharing(unit=1)],
    ids=["word", "position", "row", "unit"],
)
def test_masks_are_the_ones_a_call_uses(sharing):
    """[T, B, G, U] of the next call; a hook with them is the placement."""
    embedding = module(Placement({Edge.EMBEDDING: Drop(0.5, sharing)}))
    plain = module(None)
    masks = embedding.masks(TOKENS)
    assert torch.equal(embedding(TOKENS), plain(TOKENS) * masks[:, :, 0])
    assert not torch.equal(embedding.masks(TOKENS), masks)
    plain.hook(
        Edge.EMBEDDING,
        lambda value, *, update: value * embedding.masks(TOKENS, update=update)[:, :, 0],
    )
    assert torch.equal(plain(TOKENS, update=6), embedding(TOKENS, update=6))


def test_layouts_sample_the_same_masks():
    """`batch_first`, and tokens without batch."""
    expected = module()(TOKENS, update=3)
    first = module(batch_first=True)
    assert torch.equal(first(TOKENS.t(), update=3), expected.transpose(0, 1))
    assert torch.equal(first.masks(TOKENS.t(), update=3), module().masks(TOKENS, update=3))
    assert torch.equal(first(TOKENS[:, 2], update=3, batch_offset=2), expected[:, 2])
    assert "batch_first=True" in repr(first)


def test_one_step_calls_are_one_long_call(refused):
    """Also where positions are dropped, which `start` tells apart."""
    embedding = module(Placement({Edge.EMBEDDING: Drop(0.5, Sharing(word=ALL, time=1))}))
    whole = embedding(TOKENS, update=3, start=2)
    steps = [embedding(TOKENS[t : t + 1], update=3, start=2 + t) for t in range(T)]
    assert torch.equal(torch.cat(steps), whole)
    with refused():
        embedding(TOKENS, start=2)


def test_evaluation_samples_nothing():
    """TRAIN rests; TEST multiplies by 1 - p."""
    plain = module(None)(TOKENS)
    assert torch.equal(module().eval()(TOKENS), plain)
    scaled = module(Placement({Edge.EMBEDDING: Drop(0.25, scale=Scale.TEST)})).eval()
    assert_close({"x": scaled(TOKENS)}, {"x": plain * 0.75})


def test_updates_are_counted_and_saved(refused):
    """As in the LSTM."""
    embedding = module()
    embedding(TOKENS)
    other = pickle.loads(pickle.dumps(embedding))
    fresh = module(seed=2)
    fresh.load_mask_state(embedding.mask_state())
    assert torch.equal(embedding(TOKENS), other(TOKENS))
    assert torch.equal(fresh(TOKENS), other(TOKENS, update=1))
    y = checkpoint(embedding, TOKENS, use_reentrant=False)
    with refused():
        y.sum().backward()


def test_two_stacks_sample_apart():
    """Two embeddings of one model and one seed."""
    tokens = torch.arange(V).repeat(50, 1).t().contiguous()
    masks = [module(stack=stack).masks(tokens) for stack in (0, 1)]
    equal = (masks[0] == masks[1]).double().mean().item()
    assert abs(equal - 0.5) < 5 * (0.25 / masks[0].numel()) ** 0.5


def test_pretrained_vectors():
    """Frozen by default, as torch's, with a placement if given."""
    vectors = torch.randn(V, D)
    embedding = ablate.Embedding.from_pretrained(vectors, padding_idx=1, placement=WORDS, seed=3)
    assert not embedding.weight.requires_grad
    assert (embedding.padding_idx, embedding.placement) == (1, WORDS)
    assert torch.equal(embedding.eval()(TOKENS), vectors[TOKENS])
    assert ablate.Embedding.from_pretrained(vectors, freeze=False).weight.requires_grad


@pytest.mark.parametrize(
    "make",
    [
        lambda: module(Placement({Edge.INPUT: Drop(0.5)})),
        lambda: module(Placement({Edge.EMBEDDING: Drop((0.1, 0.2))})),
        lambda: module(padding_index=1),
        lambda: module(None).masks(TOKENS),
        lambda: module()(TOKENS[..., None]),
        lambda: module()(TOKENS, input=TOKENS),
        lambda: module()(),
        lambda: module().hook(Edge.OUTPUT, lambda value: value),
        lambda: ablate.Embedding(2**20 + 1, 1, placement=WORDS, device="meta"),
        lambda: ablate.Embedding.from_pretrained(torch.zeros(3)),
    ],
)
def test_what_is_refused(make, refused):
    """Another edge, unknown options, another shape."""
    with refused():
        make()
