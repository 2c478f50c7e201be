"""Two modules of one model that sample the same masks are told of once; two models are not."""

import copy
import gc
import pickle
import re
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import ablate
from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.errors import AblateWarning
from ablate.model.copies import same_stacks
from ablate.placement import Placement

D, T, B, V = 6, 4, 3, 9

DROPPED = Placement({Edge.RECURRENT: Drop(0.3)})
SHARED = Placement({Edge.RECURRENT: Drop(0.3, Sharing(direction=ALL))})
X = torch.randn(T, B, D, generator=torch.Generator().manual_seed(2))
TOKENS = torch.randint(V, (T, B), generator=torch.Generator().manual_seed(2))


def lstm(**options: object) -> ablate.LSTM:
    return ablate.LSTM(D, D, **({"placement": DROPPED, "seed": 1} | options))


class Chain(nn.Module):
    """Modules one after the other, each an LSTM."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)[0]
        return x


class Siamese(nn.Module):
    """Two towers side by side."""

    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.left(x)[0], self.right(x)[0]
        if isinstance(left, nn.utils.rnn.PackedSequence):
            left, right = left.data, right.data
        return (left - right).square()


class Uneven(Siamese):
    """Two towers, the left one called twice a step."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.left(x)
        return super().forward(x)


class Last(nn.Module):
    """An LSTM inside a block of its own."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.lstm = lstm(**options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


MEETING = {
    "chain": lambda: (Chain(lstm(), lstm()), X),
    "siamese": lambda: (Siamese(lstm(), lstm()), X),
    "sequential": lambda: (nn.Sequential(Last(), nn.ReLU(), Last()), X),
    "within-a-model": lambda: (nn.Sequential(nn.Linear(D, D), Siamese(lstm(), lstm())), X),
    "pickled-twice": lambda: (Chain(*pickle.loads(pickle.dumps([lstm(), lstm()]))), X),
    "copied-alike": lambda: (_copied_alike(), X),
    "language-models": lambda: (Siamese(_language_model(), _language_model()), TOKENS),
    "one-called-twice": lambda: (Uneven(lstm(), lstm()), X),
    "one-language-model-called-twice": lambda: (
        Uneven(_language_model(), _language_model()),
        TOKENS,
    ),
    "two-cells": lambda: (Chain(lstm(), gru()), X),
    "two-directions": lambda: (Siamese(_both(backward=DROPPED), _both(backward=DROPPED)), X),
    "one-direction-and-two": lambda: (Siamese(gru(hidden=2 * D), _both(forward=DROPPED)), X),
    "directions-that-share": lambda: (Siamese(_both(SHARED, None), _both(None, SHARED)), X),
    "packed": lambda: (Siamese(lstm(), lstm()), nn.utils.rnn.pack_padded_sequence(X, [4, 3, 1])),
    "one-edge-of-two": lambda: (
        Chain(lstm(), lstm(placement=Placement({Edge.RECURRENT | Edge.CELL: Drop(0.1)}))),
        X,
    ),
}


def gru(hidden: int = D, **options: object) -> ablate.GRU:
    return ablate.GRU(D, hidden, **({"placement": DROPPED, "seed": 1} | options))


def _both(forward: Placement | None = None, backward: Placement | None = None) -> ablate.GRU:
    return gru(bidirectional=True, placement=(forward, backward))


def _copied_alike() -> nn.Module:
    with same_stacks():
        return copy.deepcopy(Chain(lstm(), lstm()))


def _language_model(**options: int) -> ablate.LanguageModel:
    placement = DROPPED | Placement({Edge.EMBEDDING: Drop(0.2)})
    return ablate.LanguageModel(V, D, placement=placement, **({"seed": 1} | options))


@pytest.mark.parametrize("case", list(MEETING))
def test_two_of_one_model_are_told_of(case):
    """Once, at the first call in training, by their names in it, and by nothing afterwards."""
    model, x = MEETING[case]()
    with pytest.warns(AblateWarning, match="seed 1 and stack 0") as told:
        _in_turn(model, x=x)
    assert len(told) == 1
    assert told[0].filename == __file__


@pytest.mark.parametrize("case", list(MEETING))
def test_the_mend_that_is_told_mends(case):
    """Executed as it stands, where the names in it are what they say."""
    model, x = MEETING[case]()
    with pytest.warns(AblateWarning) as told:
        model(x)
    (mend,) = re.findall(r"`(.+)`", str(told[0].message))
    fresh, _ = MEETING[case]()
    exec(mend, {"model": fresh})
    fresh(x).sum().backward()
    fresh(x).sum().backward()


def test_two_that_no_module_holds_are_told_of_in_backward():
    """An encoder and a decoder in variables of a script: one backward pass reaches both."""

    def trained(encoder: nn.Module, decoder: nn.Module) -> None:
        for _ in range(2):
            decoder(X, encoder(X)[1])[0].sum().backward()

    with pytest.warns(AblateWarning, match="one backward pass reaches LSTM and LSTM") as told:
        trained(lstm(), lstm())
    assert len(told) == 1
    (mend,) = re.findall(r"`(.+)`", str(told[0].message))
    first, second = lstm(), lstm()
    exec(mend, {"second": second})
    trained(first, second)


def _in_turn(*models: nn.Module, x: torch.Tensor = X) -> None:
    for _ in range(3):
        for model in models:
            out = model(x)
            (out[0] if isinstance(out, tuple) else out).sum().backward()


class Trained(nn.Module):
    """A loss that is a module and calls the model it is given."""

    def forward(self, model: nn.Module) -> torch.Tensor:
        return model(X).sum()


def _by_one_loss() -> None:
    loss, models = Trained(), (Chain(lstm()), Chain(lstm()))
    for _ in range(2):
        for model in models:
            loss(model).backward()


def _checkpointed() -> None:
    model = Chain(lstm())
    for update in range(2):
        run = checkpoint(
            lambda x, update: model.layers[0](x, update=update)[0], X, update, use_reentrant=False
        )
        run.sum().backward()


def _compiled() -> None:
    _in_turn(torch.compile(Chain(lstm()), backend="eager"), Chain(lstm()))


def _one_twice() -> None:
    one = lstm()
    _in_turn(Chain(one, one), Siamese(one, one))


def _named_apart() -> None:
    encoder, decoder = lstm(), lstm()
    for n in range(3):
        _, state = encoder(X, update=2 * n)
        decoder(X, state, update=2 * n + 1)[0].sum().backward()


APART = {
    "two-models-in-turn": lambda: _in_turn(Chain(lstm()), Chain(lstm())),
    "two-bare-modules-in-turn": lambda: _in_turn(lstm(), lstm()),
    "held-by-a-dict-of-modules": lambda: _in_turn(
        *nn.ModuleDict({"a": lstm(), "b": lstm()}).values()
    ),
    "two-language-models-in-turn": lambda: _in_turn(_language_model(), _language_model(), x=TOKENS),
    "one-loss-for-two-models": _by_one_loss,
    "one-module-twice": _one_twice,
    "deep-copies": lambda: _in_turn(Chain(one := lstm(), copy.deepcopy(one), copy.deepcopy(one))),
    "seeds": lambda: _in_turn(Chain(lstm(), lstm(seed=2))),
    "stacks": lambda: _in_turn(Chain(lstm(), lstm(stack=1))),
    "drawn-seeds": lambda: _in_turn(Chain(lstm(seed=None), lstm(seed=None))),
    "other-edges": lambda: _in_turn(
        Chain(lstm(), lstm(placement=Placement({Edge.INPUT: Drop(0.3)})))
    ),
    "other-directions": lambda: _in_turn(Siamese(_both(DROPPED, None), _both(None, DROPPED))),
    "nothing-dropped": lambda: _in_turn(Chain(lstm(), lstm(placement=None))),
    "evaluation": lambda: _in_turn(Chain(lstm(), lstm()).eval()),
    "teacher-in-evaluation": lambda: _in_turn(Siamese(lstm(), lstm().eval())),
    "parts-of-one-language-model": lambda: _in_turn(_language_model(), x=TOKENS),
    "checkpointing": _checkpointed,
    "compiled": _compiled,
    "updates-named-apart": _named_apart,
}


@pytest.mark.parametrize("case", list(APART))
def test_what_does_not_meet_is_not_told_of(case):
    """Above all two models that are trained in turn on one seed, to be compared in pairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", AblateWarning)
        APART[case]()


def test_a_mend_is_no_number_that_is_taken():
    """The stack that is proposed is nobody's of this seed."""
    model = Chain(lstm(), lstm(), lstm(stack=1), lstm(stack=2))
    with pytest.warns(AblateWarning, match=r"get_submodule\('layers.1'\).stack = (\d+)") as told:
        model(X)
    (number,) = re.findall(r"stack = (\d+)", str(told[0].message))
    assert int(number) > 2


def test_watching_keeps_nothing_alive():
    """Neither module is held once it is dropped."""
    model = Chain(lstm(), lstm(stack=1))
    model(X).sum().backward()
    seen = [weakref.ref(each) for each in model.modules()]
    del model
    gc.collect()
    assert [each() for each in seen] == [None] * len(seen)
