"""The update of tensors equals `cohort_update`, by Triton's interpreter: no GPU is asked for."""

import importlib.util
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ablate.engine.cohort import Trial
from ablate.engine.tossed import CohortTosses
from ablate.training.tensor_update import TensorUpdate, capturable
from training.tensor_cases import CASES, WINDOWS, B, NoWaiting, T, Waits, diverged, trained

from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.engine import plan, steps
from ablate.engine.plan import Path as EnginePath
from ablate.engine.slots import Window
from ablate.errors import AblateError
from ablate.masks import LIMITS
from ablate.model import language_model
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.schedules import CURRICULUM
from ablate.training import sgd
from ablate.training.graph import WARM_UPS, CapturedUpdate
from ablate.training.update import Task, cohort_update

TESTS = Path(__file__).parents[1]

# float32 on both sides; sums are taken in another order, and tanh is another's.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
# Products in bfloat16: one unit in the last place of what it rounds.
COARSE = {"rtol": 2.0**-7, "atol": 2.0**-9}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the process of `tensor_cases` computes."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    folder = tmp_path_factory.mktemp("tensors")
    given = {
        "PYTHONPATH": str(TESTS),
        "ABLATE_COMPILE": "0",
        "TRITON_CACHE_DIR": str(folder),
        "TRITON_INTERPRET": "1",
    }
    saved = folder / "made.pt"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "training.tensor_cases", str(saved), str(folder)],
        cwd=TESTS.parent,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return torch.load(saved, weights_only=False)


def _plain(case):
    """The same updates by `cohort_update`, no weight spoilt."""
    parameters, given = case.parameters(), case.given
    like = parameters["decoder.weight"]
    state = language_model.zero_cohort_state(case.net, len(case.placements), B, like)
    told = []
    for number, window in enumerate(case.windows()):
        now = given | {"updates": [update + number for update in given["updates"]]}
        done = cohort_update(parameters, *window, state, case.tasks, **now)
        state = done.state
        told.append(torch.tensor([done.nlls, done.norms], dtype=torch.float64))
    return parameters | {"s": state[0], "c": state[1], "told": torch.stack(told)}


def _of(values, k):
    """What one trial of a cohort has."""
    in_front = {name: value[k] for name, value in values.items() if name not in ("s", "c", "told")}
    by_layer = {name: values[name][:, k] for name in ("s", "c")}
    return in_front | by_layer | {"told": values["told"][:, :, k]}


@pytest.mark.parametrize(
    ("name", "close"), [("gates-apart", CLOSE), ("beside", CLOSE), ("bf16", COARSE)]
)
def test_it_equals_cohort_update(made, name, close):
    """Parameters, states, losses and norms after some updates, of every kind of mask."""
    case, expected = CASES[name], _plain(CASES[name])
    for what, wanted in expected.items():
        torch.testing.assert_close(made[name][what], wanted, **close)
    start = case.parameters()
    assert all((made[name][what] != value).any() for what, value in start.items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["gates-apart", "beside"])
def test_a_gpu_replays_it(name):
    """Captured for good, after calls in which nothing waited for the device."""
    # PyTorch's deterministic products ask for a setting of the whole process.
    torch.use_deterministic_algorithms(False)
    case = CASES[name]._replace(updates=WARM_UPS + 3)
    parameters = {what: value.cuda() for what, value in case.parameters().items()}
    update = CapturedUpdate(TensorUpdate.of(parameters, case.tasks, (T, B), **case.given))
    windows, told = [(x_TB.cuda(), y_TB.cuda()) for x_TB, y_TB in case.windows()], []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
        told += [update(*window).clone() for window in windows[:WARM_UPS]]
        torch.cuda.set_sync_debug_mode("default")
    told += [update(*window).clone() for window in windows[WARM_UPS:]]
    expected = _plain(case)
    torch.testing.assert_close(torch.stack(told).cpu(), expected["told"], **COARSE)
    for what, value in parameters.items():
        torch.testing.assert_close(value.cpu(), expected[what], **COARSE)


def test_the_clip_holds_some_back():
    """Else half of what is compared above would not be there."""
    norms = _plain(CASES["gates-apart"])["told"][:, 1]
    assert (norms > CASES["gates-apart"].clip).any()
    assert (norms < CASES["gates-apart"].clip).any()


def test_who_is_not_finite_stays_for_good(made):
    """Bit for bit, also when its weights are finite again; its companions do not notice."""
    case, found, expected = CASES["spoilt"], made["spoilt"], _plain(CASES["spoilt"])
    k = case.spoilt
    before = {name: found[f"before {name}"] for name in case.parameters()}
    before["lstm.weight_hh_l0"][0, 0] = 0.25
    for name, value in before.items():
        bits, wanted = (own.view(torch.int32) for own in (found[name][k].contiguous(), value))
        assert torch.equal(bits, wanted), name
    assert found["told"][:, :, k].isfinite().all(1).tolist() == [True, False, True]
    kept = {name: value for name, value in found.items() if not name.startswith("before")}
    for other in set(range(len(case.placements))) - {k}:
        wanted = _of(expected, other)
        for name, value in _of(kept, other).items():
            torch.testing.assert_close(value, wanted[name], **CLOSE)


def test_an_epoch_of_replays_has_the_rows_of_the_plain_loop(made, tmp_path, monkeypatch):
    """Two epochs of two trials: curves and measurements."""
    monkeypatch.setattr(plan, "FUSED_IS_FASTER", {"cpu": False})
    expected = trained(tmp_path)
    assert made["replays"] == 2 * (WINDOWS - WARM_UPS)
    assert list(made["outcomes"]) == list(expected)
    for key, plain in expected.items():
        found = made["outcomes"][key]
        assert found.status == plain.status == "ok"
        for row, wanted in zip(found.epochs, plain.epochs, strict=True):
            assert row["epoch"] == wanted["epoch"]
            for name in ("running_nll", "gradient_norm", "train_nll", "valid_nll"):
                assert row[name] == pytest.approx(wanted[name], rel=1e-4)
        assert found.trial["test_nll_last"] == pytest.approx(plain.trial["test_nll_last"], rel=1e-4)


def test_sums_end_with_the_last_finite_update(made):
    """As the plain epoch's: who leaves, with which weights, and what was gathered until then."""
    found, expected = made["diverged"], diverged()
    assert found.live == expected.live == [0]
    assert [own.targets for own in found.sums] == [own.targets for own in expected.sums]
    assert found.sums[1].targets == 0
    assert 0 < found.sums[2].targets < found.sums[0].targets
    for own, wanted in zip(found.sums, expected.sums, strict=True):
        assert own.nll == pytest.approx(wanted.nll, rel=1e-5)
        assert own.norms == pytest.approx(wanted.norms, rel=1e-5)
    assert sorted(found.left) == sorted(expected.left) == [1, 2]
    for name, value in expected.parameters.items():
        torch.testing.assert_close(found.parameters[name], value, **CLOSE)
        assert torch.equal(found.left[1][name], expected.left[1][name])
        torch.testing.assert_close(found.left[2][name], expected.left[2][name], **CLOSE)


def test_waiting_would_be_noticed():
    """The plain update, which reads losses back, is refused; so is each way to wait."""
    case = CASES["spoilt"]
    parameters = case.parameters()
    state = language_model.zero_cohort_state(case.net, 3, B, parameters["decoder.weight"])
    (window, *_) = case.windows()
    with NoWaiting(), pytest.raises(Waits):
        cohort_update(parameters, *window, state, case.tasks, **case.given)
    given = torch.tensor([1.0, 0.0])
    for waits in (
        lambda: float(given[0]),
        lambda: given.nonzero(),
        lambda: given[given > 0],
        lambda: given.unique(),
        lambda: torch.tensor([1.0]),
        lambda: given.masked_select(given > 0),
    ):
        with NoWaiting(), pytest.raises(Waits):
            waits()


def test_what_can_be_captured(monkeypatch):
    """On a GPU with its kernels, constant rates, masks that are tosses, our own loop."""
    gpu = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
    monkeypatch.setattr(steps, "can_compile", lambda: True)
    monkeypatch.setattr(steps, "_has_triton", lambda: True)
    dropped = Placement({Edge.CELL: Drop(0.3), Edge.OUTPUT: Drop(0.2)})
    task = Task(CASES["beside"].net, dropped, 1)

    def with_(placement):
        return replace(task, placement=placement)

    assert capturable([task, with_(Placement())], gpu)
    assert not capturable([task], torch.zeros(1))
    assert not capturable([task, with_(Placement(dropped, CURRICULUM))], gpu)
    assert not capturable([task, with_(Placement({Edge.HIDDEN: Drop(0.3, noise=GAUSSIAN)}))], gpu)
    assert not capturable([replace(task, train_path=EnginePath.FUSED)], gpu)
    monkeypatch.setattr(steps, "_has_triton", lambda: False)
    assert not capturable([task], gpu)


def _tosses(placement, words=11):
    window = Window(seed=1, update=0, time=T, batch=B)
    given = {"inputs": 3, "hidden": 5, "layers": 1, "updates_K": torch.zeros(1, dtype=torch.int64)}
    return CohortTosses.of([Trial(placement, window)], words=words, **given)


def test_what_has_no_toss_is_refused():
    """Rather than left out: another noise, and a word that an address has no bits for."""
    with pytest.raises(AblateError, match=r"every drop's noise is BERNOULLI, got .*GAUSSIAN"):
        _tosses(Placement({Edge.INPUT: Drop(0.3, noise=GAUSSIAN)}))
    by_word = Placement({Edge.EMBEDDING: Drop(0.3)})
    by_place = Placement({Edge.EMBEDDING: Drop(0.3, Sharing(word=ALL, time=1))})
    assert _tosses(by_word, LIMITS["word"]).embedding is not None
    with pytest.raises(AblateError, match=r"1,048,576 words, got a vocabulary of 1,048,577"):
        _tosses(by_word, LIMITS["word"] + 1)
    assert _tosses(by_place, LIMITS["word"] + 1).embedding is not None


def test_words_are_summed_alike_whether_they_are_counted(monkeypatch):
    """The same table's gradient and norm, a row for each word or for each place."""
    tokens_TB = torch.tensor([[3, 0], [3, 5], [0, 3]])
    dx_KTBD = torch.randn(2, 3, 2, 4, generator=torch.Generator().manual_seed(1))
    table = torch.zeros(2, 7, 4).index_add_(1, tokens_TB.flatten(), dx_KTBD.flatten(1, 2))
    for counted in (True, False):
        monkeypatch.setattr(sgd, "_counted", lambda _, counted=counted: counted)
        at_R, values_KRD = sgd.Rows.of(tokens_TB, dx_KTBD)
        found = torch.zeros(2, 7, 4).index_add_(1, at_R, values_KRD)
        torch.testing.assert_close(found, table)
        torch.testing.assert_close(values_KRD.norm(), table.norm())
