"""A deep copy of a module samples masks of its own; what is saved and loaded goes on as it was."""

import copy
import io
import itertools
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.optim.swa_utils import AveragedModel

import ablate
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.model.copies import place_of_copy, same_stacks
from ablate.model.masked import Masked
from ablate.placement import Placement

V, D, H, T, B = 11, 8, 8, 5, 3

LSTM = Placement({Edge.VERTICAL | Edge.RECURRENT | Edge.WEIGHT | Edge.CARRY: Drop(0.5)})
WORDS = Placement({Edge.EMBEDDING: Drop(0.5)})
BACKWARD = Placement({Edge.RECURRENT: Drop(0.3)})

MADE = {
    "LSTM": lambda **options: ablate.LSTM(D, H, 2, placement=LSTM, **options),
    "GRU": lambda **options: ablate.GRU(
        D, H, 2, bidirectional=True, placement=(Placement(), BACKWARD), **options
    ),
    "Embedding": lambda **options: ablate.Embedding(V, D, placement=WORDS, **options),
    "LanguageModel": lambda **options: ablate.LanguageModel(
        V, H, placement=LSTM | WORDS, **options
    ),
}
KINDS = pytest.mark.parametrize("kind", list(MADE))


def made(kind: str = "LSTM", **options: int) -> nn.Module:
    torch.manual_seed(1)
    return MADE[kind](**({"seed": 7} | options))


def read(module: nn.Module, **where: int) -> torch.Tensor:
    """What a call returns of one fixed input."""
    g = torch.Generator().manual_seed(2)
    if isinstance(module, nn.RNNBase):
        return module(torch.randn(T, B, D, generator=g), **where)[0]
    out = module(torch.randint(V, (T, B), generator=g), **where)
    return out[0] if isinstance(out, tuple) else out


def parts(module: nn.Module) -> list[nn.Module]:
    """The modules that sample."""
    return [each for each in module.modules() if isinstance(each, Masked)]


@KINDS
def test_copies_of_a_block_sample_apart(kind):
    """Three in a ModuleList, the original and a copy of a copy: no two drop alike."""
    block = made(kind)
    stack = nn.ModuleList(copy.deepcopy(block) for _ in range(3))
    modules = [block, *stack, copy.deepcopy(stack[1])]
    assert len({module.stack for module in modules}) == len(modules)
    for one, other in itertools.combinations(modules, 2):
        assert not torch.equal(read(one, update=0), read(other, update=0))
    for module in modules:
        assert module.mask_state()["seed"] == 7
        assert len({part.stack for part in parts(module)}) == 1
        assert torch.equal(read(module.eval()), read(block.eval()))


def test_every_mask_of_a_copy_is_another():
    """At each edge, half of the decisions agree by chance."""
    one = made()
    other = copy.deepcopy(one)
    for edge in LSTM:
        first, second = (module.masks(edge, time=40, batch=20) for module in (one, other))
        equal = (first == second).double()
        assert abs(equal.mean().item() - 0.5) < 5 * (0.25 / equal.numel()) ** 0.5, edge


def test_a_copied_model_is_copied_throughout():
    """Each module within it draws; one that stands in two places stays one module."""
    block = made()
    model = nn.ModuleDict({"a": block, "again": block, "b": copy.deepcopy(block)})
    twin = copy.deepcopy(model)
    assert twin["a"] is twin["again"]
    assert twin["a"] is not model["a"]
    stacks = [each.stack for each in (*parts(model), *parts(twin))]
    assert len(stacks) == len(set(stacks)) == 4


def test_the_same_program_draws_the_same_stacks():
    """A lineage counts its own copies: what else the process made or copied does not matter."""

    def stacks() -> list[int]:
        block = made(stack=1)
        return [copy.deepcopy(block).stack for _ in range(4)]

    first = stacks()
    copy.deepcopy(made(stack=1))
    assert stacks() == first


def test_copies_keep_clear_of_stacks_that_are_given():
    """Of eight modules with the stacks 0 to 7 the first 31 copies each share no stack."""
    taken = {place_of_copy(7, stack, number) for stack in range(8) for number in range(32)}
    assert len(taken) == 256
    # Encoder and decoder of one seed, told apart by hand, and a model of three copies of them.
    model = nn.ModuleList([made(), made(stack=1)])
    copies = [copy.deepcopy(model) for _ in range(3)]
    stacks = [each.stack for each in itertools.chain(model, *copies)]
    assert len(set(stacks)) == 8


def test_copies_never_run_out():
    """A model that is copied after each epoch: after 255 copies the seed moves too."""
    block = made()
    places = {(block.seed, block.stack)}
    for _ in range(600):
        kept = copy.deepcopy(block)
        places.add((kept.seed, kept.stack))
    assert len(places) == 601
    assert {seed for seed, stack in places if seed == 7} == {7}
    assert len([stack for seed, stack in places if seed == 7]) == 256
    assert all(0 <= seed < 2**32 for seed, _ in places)
    read(kept)


def _pickled(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def _saved(module: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@KINDS
@pytest.mark.parametrize("again", [_pickled, _saved], ids=["pickle", "torch.save"])
def test_what_is_saved_keeps_its_stack(kind, again):
    """A copy that is pickled or saved whole goes on with its own masks, and so do its copies."""
    module = copy.deepcopy(made(kind, stack=3))
    read(module)
    loaded = again(module)
    assert loaded.mask_state() == module.mask_state()
    assert torch.equal(read(loaded), read(module))
    assert copy.deepcopy(loaded).stack == copy.deepcopy(module).stack


@KINDS
def test_a_checkpoint_is_another_module_gone_on(kind):
    """`state_dict` and `mask_state` of a copy, into a module that was made anew."""
    module, fresh = copy.deepcopy(made(kind)), made(kind, seed=9)
    read(module)
    fresh.load_state_dict(module.state_dict())
    assert fresh.mask_state()["stack"] == 0
    fresh.load_mask_state(module.mask_state())
    assert torch.equal(read(fresh), read(module))


@KINDS
def test_a_loaded_copy_and_its_copy_sample_apart(kind):
    """A copy of what another module's mask state went into is none of that other module."""
    fresh = made(kind)
    fresh.load_mask_state(copy.deepcopy(made(kind)).mask_state())
    assert (fresh.stack, copy.deepcopy(fresh).stack) == (128, 0)
    assert copy.deepcopy(fresh).stack == 128 ^ 64


@KINDS
def test_copies_of_two_that_were_told_apart_sample_apart(kind):
    """Two modules of one seed, of which one is given the next stack as a warning asks."""
    model = nn.ModuleList([made(kind), made(kind)])
    model.get_submodule("1").stack = 1
    copies = [copy.deepcopy(model) for _ in range(31)]
    stacks = [each.stack for each in itertools.chain(model, *copies)]
    assert len(set(stacks)) == len(stacks) == 64
    assert {part.stack for part in parts(copies[0][1])} == {129}
    # A stack that it has already changes nothing, and leaves the count as it is.
    model[1].stack = 1
    assert copy.deepcopy(model[1]).stack not in stacks


def test_a_stack_is_checked_where_it_is_set(refused):
    """Not at the next call."""
    module = made()
    for wrong in (256, -1, 0.5):
        with refused():
            module.stack = wrong
    assert module.stack == 0


def test_a_shallow_copy_is_the_module_under_another_name():
    """It shares the weights, and so it shares the stack."""
    module = made()
    assert copy.copy(module).stack == module.stack
    assert copy.copy(module).weight_ih_l0 is module.weight_ih_l0


@KINDS
def test_copies_may_be_asked_to_sample_alike(kind):
    """For a call that is repeated on a copy; a later copy draws as if there had been none."""
    module, other = made(kind), made(kind)
    with same_stacks():
        twin = copy.deepcopy(module)
    assert torch.equal(read(twin), read(module))
    assert copy.deepcopy(module).stack == copy.deepcopy(other).stack


def test_an_average_of_weights():
    """`AveragedModel` copies: a stack of its own, and in evaluation the same outputs."""
    module = made()
    average = AveragedModel(module)
    assert average.module.stack != module.stack
    assert torch.equal(read(average.module.eval()), read(module.eval()))


def test_a_parametrized_module_is_copied():
    """One whose class torch has changed, and which cannot be pickled."""
    module = made()
    weight_norm(module, "weight_hh_l0")
    twin = copy.deepcopy(module)
    assert twin.stack != module.stack
    assert torch.equal(read(twin.eval()), read(module.eval()))


def test_parts_of_a_language_model_are_of_one_lineage():
    """A copy of its embedding alone and one of the whole drop different words."""
    model = made("LanguageModel")
    alone, whole = copy.deepcopy(model.embedding), copy.deepcopy(model)
    assert len({model.stack, alone.stack, whole.stack}) == 3
    whole.stack = 5
    assert whole.embedding.stack == whole.lstm.stack == whole.mask_state()["stack"] == 5


class Wider(ablate.LanguageModel):
    """A language model of a user's own, with a module more."""

    def __init__(self) -> None:
        super().__init__(V, H, placement=LSTM, seed=7)
        self.more = made(stack=1)


def test_more_than_a_language_model():
    """What a class below it adds draws for itself."""
    model = Wider()
    twin = copy.deepcopy(model)
    assert len({model.stack, model.more.stack, twin.stack, twin.more.stack}) == 4
    assert twin.embedding.stack == twin.lstm.stack
