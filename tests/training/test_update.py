"""One update: Zaremba's by hand, each trial's own in a cohort, frozen where it is not finite.

Law 8 (`test_law8.py`) follows whole epochs in PyTorch's modules; here the arithmetic after the
gradients is in the open, and what a captured graph relies on.
"""

import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import pytest
import torch
from torch.nn import functional
from training import cohorts
from waits import NoWaiting, Waits

from ablate.addresses import LIMITS
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Path
from ablate.errors import AblateWarning
from ablate.model.net import Net
from ablate.model.parameters import stacked
from ablate.noise import GAUSSIAN, Noise
from ablate.placement import Placement
from ablate.schedules import ANNEALED, CURRICULUM, Schedule
from ablate.strategies import get
from ablate.testing.close import assert_same
from ablate.training import sgd
from ablate.training.epoch import Training, repeatedly
from ablate.training.graph import WARM_UPS, Captured
from ablate.training.update import TrialPlan, Update, capturable, product_copies

V, T, B = 11, 5, 4
# Whole vectors: eager sigmoids treat the rest of a row otherwise, wherever it begins.
NET = Net(layers=2, hidden=16)
_NONE = Placement()
_EVERYWHERE = Placement(
    {
        Edge.EMBEDDING: Drop(0.3),
        Edge.VERTICAL: Drop(0.3),
        Edge.WEIGHT: Drop(0.2),
        Edge.RECURRENT: Drop(0.2, Sharing(time=ALL)),
        Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD),
        Edge.CARRY: Drop(0.2),
    }
)


def _given(trials, **changed):
    """Where each of so many trials stands; no two alike."""
    stated = {
        "updates": [k + 1 for k in range(trials)],
        "learning_rates": [0.1 * (k + 1) for k in range(trials)],
        "clips": [0.5 * 2.0**k for k in range(trials)],
    }
    return stated | changed


def test_it_is_zarembas_by_hand():
    """Gradients of the sum over time of the batch's mean, clipped as one, times the rate."""
    plans = cohorts.plans_of(NET, [_NONE])
    (before,) = cohorts.initial(plans, V, dtype=torch.float64)
    ((x_TB, y_TB),) = cohorts.windows_of(V, T, B)
    for clip in (0.05, 50.0):
        leaves = {name: value.clone().requires_grad_() for name, value in before.items()}
        lstm = torch.nn.LSTM(16, 16, 2, dtype=torch.float64)
        names = [name for name in leaves if name.startswith("lstm.")]
        y, (h, c) = torch.func.functional_call(
            lstm,
            {name.removeprefix("lstm."): leaves[name] for name in names},
            (leaves["embedding.weight"][x_TB],),
        )
        scores = functional.linear(y, leaves["decoder.weight"], leaves["decoder.bias"])
        nll = functional.cross_entropy(scores.flatten(0, 1), y_TB.flatten(), reduction="sum")
        gradients = torch.autograd.grad(nll / B, list(leaves.values()))
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
        assert 0.05 < norm < 50.0
        shrink = min(1.0, clip / norm)
        given = _given(1, learning_rates=[0.7], clips=[clip])
        update = cohorts.start(plans, [before], (T, B), **given)
        (found,) = cohorts.updated(update, [(x_TB, y_TB)])
        assert found["told"][0].tolist() == pytest.approx([nll.item(), norm], rel=1e-9)
        close = {"rtol": 1e-9, "atol": 1e-12}
        for (name, value), gradient in zip(before.items(), gradients, strict=True):
            wanted = value - 0.7 * shrink * gradient
            torch.testing.assert_close(found[name], wanted, msg=name, **close)
        torch.testing.assert_close(found["s"], h.detach(), **close)
        torch.testing.assert_close(found["c"], c.detach(), **close)


@pytest.mark.parametrize("path", [Path.LOOPED, Path.LIBRARY], ids=lambda path: path.value)
def test_rates_clips_and_schedules_are_each_trials_own(path):
    """Three updates of a cohort have the bits of three updates of each trial alone."""
    outside = Placement({Edge.VERTICAL: Drop(0.5), Edge.WEIGHT: Drop(0.3)})
    drops = outside if path is Path.LIBRARY else _EVERYWHERE
    own = [drops, Placement(drops, CURRICULUM), Placement(drops, ANNEALED), _NONE]
    plans = cohorts.plans_of(NET, own, path)
    windows = cohorts.windows_of(V, T, B, 3)
    pairs = cohorts.together_and_alone(plans, cohorts.initial(plans, V), windows, **_given(4))
    for together, alone in pairs:
        assert_same(together, alone)
    norms = torch.stack([together["told"][:, 1] for together, _ in pairs])
    clips = torch.tensor(_given(4)["clips"]).unsqueeze(1)
    assert (norms > clips).any()
    assert (norms < clips).any()


@dataclass(frozen=True)
class Plugin(Schedule):
    """Another package's: off, half, on, in turn."""

    name: str = "PLUGIN"

    def factor(self, update: int, total: int) -> float:
        return (update % 3) / 2


@pytest.mark.parametrize(
    "schedule", [CURRICULUM, ANNEALED, Plugin()], ids=lambda schedule: schedule.name
)
def test_a_schedule_on_the_device_is_the_placement_of_its_moment(schedule):
    """A whole trial of ten updates, and as many updates of `placement_at`: bit for bit."""
    (planned,) = cohorts.plans_of(NET, [Placement(_EVERYWHERE, schedule)])
    each = cohorts.initial([planned], V)
    windows = cohorts.windows_of(V, T, B, 10)
    update = cohorts.start([planned], each, (T, B), **_given(1, updates=[0]))
    stepped, state = each, None
    for number, window in enumerate(windows):
        (found,) = cohorts.updated(update, [window])
        at = replace(planned, placement=planned.placement_at(number))
        one = cohorts.start([at], stepped, (T, B), state=state, **_given(1, updates=[number]))
        (wanted,) = cohorts.updated(one, [window])
        assert_same(found, wanted, number)
        stepped, state = [{name: wanted[name] for name in each[0]}], one.state


def test_the_clock_goes_on_with_each_update():
    """Ten updates of one update are those of ten that each begin at their own number."""
    (planned,) = cohorts.plans_of(NET, [_EVERYWHERE])
    update = cohorts.start(
        [planned], cohorts.initial([planned], V), (T, B), **_given(1, updates=[7])
    )
    for number, window in enumerate(cohorts.windows_of(V, T, B, 3)):
        assert update.masks.clock.updates_K.tolist() == [7 + number]
        update(*window)


def test_an_epoch_begins_anew():
    """A zero state, other updates and rates, and everyone live: as an update made for it."""
    plans = cohorts.plans_of(NET, [_EVERYWHERE, _NONE])
    each, window = cohorts.initial(plans, V), cohorts.windows_of(V, T, B)
    update = cohorts.start(plans, each, (T, B), **_given(2))
    cohorts.updated(update, window)
    update.live_K[1] = False
    now = [{name: value[k] for name, value in update.parameters.items()} for k in range(2)]
    later = {"updates": [5, 6], "learning_rates": [0.3, 0.05]}
    fresh = cohorts.start(plans, now, (T, B), **_given(2, **later))
    update.begin(later["updates"], later["learning_rates"])
    for found, wanted in zip(
        cohorts.updated(update, window), cohorts.updated(fresh, window), strict=True
    ):
        assert_same(found, wanted)


def _bits(values):
    return {name: value.contiguous().view(torch.int32) for name, value in values.items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("on_cpu", [True, False], ids=["one-by-one", "at-once"])
def test_who_is_not_finite_stays_as_it_was(precision, on_cpu, monkeypatch):
    """To the bit and the sign of a zero, also when it is finite again; companions do not notice."""
    monkeypatch.setattr(sgd, "_on_cpu", lambda value: on_cpu)
    plans = cohorts.plans_of(NET, [_NONE] * 3, precision=precision)
    each, windows = cohorts.initial(plans, V), cohorts.windows_of(V, T, B, 3)
    healthy = cohorts.updated(cohorts.start(plans, each, (T, B), **_given(3)), windows)
    update = cohorts.start(plans, each, (T, B), **_given(3))
    told = [update(*windows[0])]
    # The vector of a word that is read: infinite, and zeros with a sign beside it.
    vector = update.parameters["embedding.weight"][1, windows[1][0][0, 0]]
    vector[:3] = torch.tensor([torch.inf, -0.0, -0.0])
    before = {name: value[1].clone() for name, value in update.parameters.items()}
    told.append(update(*windows[1]))
    assert update.live_K.tolist() == [True, False, True]
    vector[0], before["embedding.weight"][windows[1][0][0, 0], 0] = 0.25, 0.25
    told.append(update(*windows[2]))
    assert update.live_K.tolist() == [True, False, True]
    frozen = {name: value[1] for name, value in update.parameters.items()}
    assert_same(_bits(frozen), _bits(before))
    assert torch.stack(told)[:, :, 1].isfinite().all(1).tolist() == [True, False, True]
    for k in (0, 2):
        own = {name: value[k] for name, value in update.parameters.items()}
        wanted = {name: healthy[k][name] for name in own}
        assert_same(own, wanted)
        assert torch.equal(torch.stack(told)[:, :, k], healthy[k]["told"])
    fresh = product_copies(update.parameters, precision)
    for name, copy in update.copies.layers.items():
        live = copy[[0, 2]], fresh.layers[name][[0, 2]]
        assert torch.equal(*live), name


def _diverged():
    """Parameters, plans and windows; one trial is well, one infinite at once, one at a mad rate."""
    plans = cohorts.plans_of(NET, [_NONE] * 3)
    each, windows = cohorts.initial(plans, V), cohorts.windows_of(V, T, B, 5)
    each[1]["decoder.bias"][0] = torch.inf
    given = _given(3, learning_rates=[0.1, 0.1, 1e38], clips=[1e38] * 3)
    return plans, each, windows, given


def test_sums_end_with_the_last_finite_update():
    """Who leaves, with which weights, and what was gathered until then."""
    plans, each, windows, given = _diverged()
    training = Training(stacked(each), plans, (T, B), clips=given["clips"])
    sums = training.epoch(windows, updates=given["updates"], learning_rates=given["learning_rates"])
    assert [own.finite for own in sums] == [True, False, False]
    lengths = [len(own.norms) for own in sums]
    assert lengths[0] == 5
    assert lengths[1] == 0
    assert 0 < lengths[2] < 5
    for k in range(3):
        own = {name: values[k : k + 1] for name, values in given.items()}
        alone = cohorts.start(plans[k : k + 1], each[k : k + 1], (T, B), **own)
        (found,) = cohorts.updated(alone, windows[: lengths[k]] or windows[:1])
        told = found["told"][: lengths[k]]
        assert sums[k].targets == lengths[k] * T * B
        assert sums[k].nll == pytest.approx(told[:, 0].sum().item())
        assert sums[k].norms == told[:, 1].tolist()
        kept = training.one(k)
        assert_same(kept, {name: found[name] for name in kept})
    assert_same(training.one(1), each[1])


def test_epochs_of_one_training_are_those_of_fresh_ones():
    """What is kept from epoch to epoch is the parameters and nothing else."""
    plans = cohorts.plans_of(NET, [_NONE, Placement(_EVERYWHERE, CURRICULUM)])
    windows, each, given = cohorts.windows_of(V, T, B, 3), cohorts.initial(plans, V), _given(2)
    training = Training(stacked(each), plans, (T, B), clips=given["clips"])
    rates = given["learning_rates"]
    for first in (0, 3):
        sums = training.epoch(windows, updates=[first] * 2, learning_rates=rates)
        fresh = Training(stacked(each), plans, (T, B), clips=given["clips"])
        assert fresh.epoch(windows, updates=[first] * 2, learning_rates=rates) == sums
        each = [fresh.one(k) for k in range(2)]
        for k in range(2):
            assert_same(training.one(k), each[k])


#: Every way in which a mask comes about, in cohorts that may be captured.
CAPTURED = [
    pytest.param([_NONE, get("zaremba2014").place(), get("gal2016").place()], id="gates-apart"),
    pytest.param(
        [
            get("merity2017").place(),
            get("moon2015").place(),
            Placement(_EVERYWHERE, CURRICULUM),
            Placement({Edge.HIDDEN: Drop(0.3, noise=GAUSSIAN), Edge.OUTPUT: Drop(0.4)}, ANNEALED),
            Placement({Edge.INPUT | Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, batch=ALL))}),
        ],
        id="mixed",
    ),
]


@contextmanager
def _as_on_a_gpu():
    """The arithmetic of a GPU, on the CPU: trials at once, a row for each place of the text."""
    with patch.object(sgd, "_on_cpu", lambda value: False):
        yield


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("placements", CAPTURED)
def test_an_update_waits_for_nothing(placements, precision):
    """After the first call, in which kernels are made, no number comes from the device."""
    plans = cohorts.plans_of(NET, placements, precision=precision)
    windows = cohorts.windows_of(V, T, B, 2)
    with _as_on_a_gpu():
        given = _given(len(plans))
        update = cohorts.start(plans, cohorts.initial(plans, V), (T, B), **given)
        told = [update(*windows[0])]
        with NoWaiting():
            told.append(update(*windows[1]))
    here = cohorts.start(plans, cohorts.initial(plans, V), (T, B), **given)
    expected = [here(*window) for window in windows]
    close = {"rtol": 2.0**-7, "atol": 1e-3} if precision == "bf16" else {"rtol": 1e-5, "atol": 0}
    torch.testing.assert_close(torch.stack(told), torch.stack(expected), **close)
    for name, value in update.parameters.items():
        close = {"rtol": 2.0**-7, "atol": 2.0**-9} if precision == "bf16" else {}
        torch.testing.assert_close(value, here.parameters[name], msg=name, **close)


@pytest.mark.parametrize("placements", CAPTURED)
def test_an_update_asks_nothing_of_the_device(placements):
    """A device that has shapes alone takes the whole update."""
    plans = cohorts.plans_of(NET, placements)
    each = [
        {name: value.to("meta") for name, value in own.items()} for own in cohorts.initial(plans, V)
    ]
    update = cohorts.start(plans, each, (T, B), **_given(len(plans)))
    words = torch.zeros(T, B, dtype=torch.int64, device="meta")
    for _ in range(2):
        told = update(words, words)
        assert (told.shape, told.dtype, told.device.type) == (
            (2, len(plans)),
            torch.float64,
            "meta",
        )


def test_waiting_would_be_noticed():
    """The CPU's own update, which reads numbers, is refused; so is each way to wait."""
    plans = cohorts.plans_of(NET, [_NONE])
    update = cohorts.start(plans, cohorts.initial(plans, V), (T, B), **_given(1))
    (window,) = cohorts.windows_of(V, T, B)
    with NoWaiting(), pytest.raises(Waits):
        update(*window)
    given = torch.tensor([1.0, 0.0])
    for waits in (
        lambda: float(given[0]),
        lambda: given.nonzero(),
        lambda: given[given > 0],
        lambda: given.unique(),
        lambda: torch.tensor([1.0]),
        lambda: given.masked_select(given > 0),
        lambda: given.tolist(),
    ):
        with NoWaiting(), pytest.raises(Waits):
            waits()


@dataclass(frozen=True, slots=True)
class Branching(Noise):
    """Noise that asks Python about its rate, and so takes no tensor of rates."""

    name: str = "BRANCHING"

    def mean(self, rate):
        return 1.0

    def variance(self, rate):
        return 0.25 * rate**2

    def multiplier(self, word, rate):
        size = rate / 2 if rate < 0.9 else 0.45
        return 1.0 + size * (2.0 * (word >> 31) - 1.0).double()


CUDA = torch.device("cuda")


def test_what_is_captured(monkeypatch):
    """On a GPU our own loop with any placement, schedule and built-in noise."""
    monkeypatch.delenv("ABLATE_GRAPH", raising=False)
    noisy = Placement({Edge.HIDDEN: Drop(0.3, noise=GAUSSIAN)}, CURRICULUM)
    plans = cohorts.plans_of(NET, [_EVERYWHERE, noisy, _NONE])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert capturable(plans, CUDA)
        assert not capturable(plans, torch.device("cpu"))
        assert not capturable([*plans, *cohorts.plans_of(NET, [_NONE], Path.LIBRARY)], CUDA)
        monkeypatch.setenv("ABLATE_GRAPH", "0")
        assert not capturable(plans, CUDA)
        monkeypatch.setenv("ABLATE_GRAPH", "1")
        assert capturable(plans, CUDA)


def test_a_noise_without_tensors_is_not_captured_and_that_is_said(monkeypatch):
    """On a GPU alone; where ABLATE_GRAPH=0 nothing would be captured there is nothing to say."""
    monkeypatch.delenv("ABLATE_GRAPH", raising=False)
    own = [_NONE, Placement({Edge.HIDDEN: Drop(0.3, noise=Branching())})]
    plans = cohorts.plans_of(NET, own)
    with pytest.warns(AblateWarning) as caught:
        assert not capturable(plans, CUDA)
    assert [str(warning.message) for warning in caught] == [
        "the noise BRANCHING takes no tensor of rates: updates of its cohorts are not captured in "
        "a CUDA graph, and are slower"
    ]
    monkeypatch.setenv("ABLATE_GRAPH", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not capturable(plans, CUDA)
        assert not capturable(plans, torch.device("cpu"))


def test_a_noise_without_tensors_trains_as_alone():
    """Trial by trial, at each trial's rate, under a schedule too."""
    placement = Placement({Edge.VERTICAL | Edge.CELL: Drop(0.3)})
    noisy = Placement({Edge.HIDDEN: Drop(0.8, noise=Branching())})
    plans = cohorts.plans_of(NET, [noisy, placement, Placement(noisy, ANNEALED)])
    windows = cohorts.windows_of(V, T, B, 2)
    pairs = cohorts.together_and_alone(plans, cohorts.initial(plans, V), windows, **_given(3))
    for together, alone in pairs:
        assert_same(together, alone)


def test_a_captured_update_is_made_where_it_may_be(monkeypatch):
    """On the CPU the update itself is called."""
    plans = cohorts.plans_of(NET, [_NONE])
    update = cohorts.start(plans, cohorts.initial(plans, V), (T, B), **_given(1))
    assert repeatedly(update, plans) is update
    monkeypatch.setattr("ablate.training.epoch.capturable", lambda plans, device: True)
    assert isinstance(repeatedly(update, plans), Captured)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("placements", CAPTURED)
def test_a_gpu_replays_it(placements):
    """Captured for good, after calls in which nothing waited for the device."""
    # PyTorch's deterministic products ask for a setting of the whole process.
    torch.use_deterministic_algorithms(False)
    plans, given = cohorts.plans_of(NET, placements), _given(len(placements))
    windows, each = cohorts.windows_of(V, T, B, WARM_UPS + 3), cohorts.initial(plans, V)
    there = [{name: value.cuda() for name, value in own.items()} for own in each]
    whole = cohorts.start(plans, there, (T, B), **given)
    update, told = repeatedly(whole, plans), []
    assert update is not whole
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        moved = [(x_TB.cuda(), y_TB.cuda()) for x_TB, y_TB in windows]
        told.append(update(*moved[0]).clone())
        torch.cuda.set_sync_debug_mode("error")
        told += [update(*window).clone() for window in moved[1:WARM_UPS]]
        torch.cuda.set_sync_debug_mode("default")
    told += [update(*window).clone() for window in moved[WARM_UPS:]]
    here = cohorts.start(plans, each, (T, B), **given)
    expected = torch.stack([here(*window) for window in windows])
    close = {"rtol": 2.0**-7, "atol": 2.0**-9}
    torch.testing.assert_close(torch.stack(told).cpu(), expected, **close)
    for name, value in whole.parameters.items():
        torch.testing.assert_close(value.cpu(), here.parameters[name], msg=name, **close)


def test_a_word_without_an_address_is_refused_before_anything_is_trained(refused):
    """A vocabulary that is too large for masks by word; by place any is taken."""
    large = LIMITS["word"] + 1
    like = {"decoder.weight": torch.zeros(1, large, 1, device="meta")}

    def masks(sharing):
        (planned,) = cohorts.plans_of(NET, [Placement({Edge.EMBEDDING: Drop(0.3, sharing)})])
        with patch("ablate.training.update.product_copies"):
            return Update.of(
                like, [planned], (T, B), updates=[0], learning_rates=[0.1], clips=[1.0]
            ).masks

    assert masks(Sharing(word=ALL, time=1)).embedding is not None
    with refused(given=LIMITS["word"] + 1):
        masks(None)


@dataclass(frozen=True)
class TooMuch(Schedule):
    """Twice the rates at the last update alone."""

    name: str = "TOO_MUCH"

    def factor(self, update: int, total: int) -> float:
        return 2.0 if update == total else 1.0


def test_a_factor_outside_0_to_1_is_refused_before_anything_is_trained(refused):
    """However late it would come."""
    (planned,) = cohorts.plans_of(NET, [Placement({Edge.CELL: Drop(0.3)}, TooMuch())])
    with refused():
        cohorts.start([planned], cohorts.initial([planned], V), (T, B), **_given(1))


def test_words_are_summed_alike_in_either_way(monkeypatch):
    """The same table's gradient and norm, a row for each word or for each place."""
    tokens_TB = torch.tensor([[3, 0], [3, 5], [0, 3]])
    dx_KTBD = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(1))
    table = torch.zeros(2, 7, 4).index_add_(1, tokens_TB.flatten(), dx_KTBD.flatten(1, 2))
    for on_cpu in (True, False):
        monkeypatch.setattr(sgd, "_on_cpu", lambda _, on_cpu=on_cpu: on_cpu)
        rows = sgd.Rows.of(tokens_TB, dx_KTBD)
        found = torch.zeros(2, 7, 4).index_add_(1, rows.at_R, rows.values_KRD)
        torch.testing.assert_close(found, table)
        norms = sgd.norms({"embedding.weight": rows})
        torch.testing.assert_close(norms.float(), table.flatten(1).norm(dim=1))


def test_a_task_is_planned_for_the_full_rates():
    """A schedule moves no path; a mean that may move takes our own loop in evaluation."""
    placement = Placement({Edge.VERTICAL: Drop(0.5)})
    constant, moving = (
        TrialPlan.planned(NET, own, 1, "cpu", updates=10)
        for own in (placement, Placement(placement, ANNEALED))
    )
    assert moving.train_path == constant.train_path
    assert moving.placement_at(10) == Placement()
    noisy = Placement({Edge.INPUT: Drop(0.5, noise=Branching())}, ANNEALED)
    assert TrialPlan.planned(NET, noisy, 1, "cpu", updates=10).evaluate_path is Path.LOOPED
    assert math.isclose(moving.placement_at(5)[Edge.INPUT].rate, 0.25)
