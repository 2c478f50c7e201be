"""Law 1 and law 4 for the Triton kernels, by Triton's interpreter: no GPU is asked for.

What the interpreter takes and a GPU's compiler does not is caught by compiling the kernels for one
that need not be there.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import assert_close
from engine.case import everything
from engine.triton_cases import COHORTS, LAYER, MASKS, STEP_KIND, last_words, step_case

from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine import steps
from ablate.engine.cohort import Trial, factors_and_tosses
from ablate.engine.factors import Slot, Window, activation_mask, weight_mask
from ablate.engine.kernels import kernels
from ablate.engine.plan import Mode
from ablate.engine.plan import Path as EnginePath
from ablate.engine.triton_toss import Column, edge_toss, layer_tosses
from ablate.errors import AblateError
from ablate.noise import GAUSSIAN
from ablate.placement import Placement

TESTS = Path(__file__).parents[1]

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)


def _python(module, *arguments, folder, **environment):
    """Run a module of the tests in a process of its own."""
    given = {"PYTHONPATH": str(TESTS), "ABLATE_COMPILE": "0", "TRITON_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module, *arguments],
        cwd=TESTS.parent,
        env=os.environ | given | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _interpreted(names, folder):
    """The tensors of the named cases."""
    saved = folder / "interpreted.pt"
    _python("engine.triton_cases", str(saved), *names, folder=folder, TRITON_INTERPRET="1")
    return torch.load(saved)


@needs_triton
def test_cohorts_equal_the_specification(tmp_path):
    """Each slot alone beside other sharings and rates, unlike trials, noises, means, two layers."""
    for name, found in _interpreted(COHORTS, tmp_path).items():
        cohort = COHORTS[name]
        for k, placement in enumerate(cohort.placements):
            window = cohort.window(k)
            expected = everything(cohort.case(k), placement, window, EnginePath.REFERENCE)
            own = {what: found[what][k].view_as(wanted) for what, wanted in expected.items()}
            assert_close(own, expected, f"trial {k} of {name}")


def _assert_step(found):
    """One step, both passes, equals the eager kernels', products in bfloat16."""
    x, slots = step_case()
    here = {slot: value[:, 0].transpose(1, 2)[:, 0] for slot, value in slots.items()} | {
        Slot.RECURRENT: slots[Slot.RECURRENT][:, 1].transpose(1, 2)
    }
    values = [here[slot] for slot in STEP_KIND.slots]
    pair = kernels(STEP_KIND, eager=True)
    made = pair.forward(x["projection"], x["product"], x["c"], x["s"], x["bias"], *values)
    back = pair.backward(x["gy"], x["p"], x["ds_held"], x["dc"], *made[:5], x["c"], *values)
    for number, wanted in enumerate((*made, *back)):
        value = found[number]
        assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype), number
        # What is rounded to bfloat16 may go the other way at a tie: one unit in its last place.
        allowed = 2.0**-7 if wanted.dtype == torch.bfloat16 else 1e-5
        error = (value.float() - wanted.float()).abs()
        assert (error <= allowed * wanted.float().abs() + 1e-5).all(), number
    new, held = found[6], found[7]
    taken = torch.where(slots[Slot.STATE_HOLD][:, 0, :, 0] == 1.0, new, x["s"])
    assert torch.equal(held, taken), "a state is held or taken without rounding"


def _mask(case, k, window):
    """What `ablate.masks` says of trial k, no axis shortened."""
    drop = case.placements[k][case.edge]
    if case.edge is Edge.WEIGHT:
        size = (4, case.units, case.units)
        return weight_mask(drop, LAYER, 0, case.units, window).expand(size)
    size = (window.time, window.batch, case.gates, case.units)
    tokens = case.tokens_TB
    mask = activation_mask(drop, case.edge, LAYER, 0, case.units, window, tokens_TB=tokens)
    return mask.expand(size)


@needs_triton
def test_masks_are_those_of_their_addresses(tmp_path):
    """Bit for bit: at the limits of every coordinate, shared on every axis, of words and weights.

    In the same process one step over several blocks of units.
    """
    made = _interpreted(["masks", "step"], tmp_path)
    _assert_step(made["step"])
    drawn = made["masks"]
    for name, case in MASKS.items():
        for k in range(len(case.drops)):
            found = drawn[name][k]
            if case.edge is Edge.WEIGHT:
                found = found[0].permute(1, 2, 0)
            assert torch.equal(found, _mask(case, k, case.window)), f"{k} of {name}"
    case = MASKS["shared"]
    later = replace(case.window, update=case.window.update + 1)
    for k in range(2):
        assert torch.equal(drawn["next"][k], _mask(case, k, later))
    words = last_words()
    first = words[0, 0, 0, 0]
    assert torch.equal(drawn["threshold"][0] > 0, words >= first), "the threshold itself is kept"


@needs_triton
def test_the_kernels_compile_for_a_gpu(tmp_path):
    """Tosses with gates apart in bfloat16, every slot a factor, and none at all."""
    done = _python("engine.triton_compiled", folder=tmp_path, TRITON_INTERPRET="0")
    assert done.split() == ["silent:0", "factors:0", "tosses:many", "window:many"]


_WINDOW = Window(seed=1, update=2, time=3, batch=2)


def test_only_bernoulli_in_training_is_tossed():
    """Means, other noises, folded masks and what acts outside a layer stay factors."""
    tossed = Placement({Edge.HIDDEN: Drop(0.3), Edge.CELL: Drop(0.2, fill=Fill.HOLD)})
    other = Placement({Edge.HIDDEN: Drop(0.3, noise=GAUSSIAN), Edge.INPUT: Drop(0.5)})
    constant = Placement({Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, batch=ALL))})

    def slots(*placements, window=_WINDOW):
        windows = [window] * len(placements)
        return list(layer_tosses(placements, windows, 0, hidden=5))

    assert slots(tossed) == [Slot.CELL_HOLD, Slot.HIDDEN]
    assert slots(tossed, other) == [Slot.CELL_HOLD]
    assert slots(tossed, window=replace(_WINDOW, mode=Mode.MEAN)) == []
    assert slots(constant) == []
    by_layer = Placement({Edge.UPDATE: Drop((0.0, 0.3))})
    assert slots(by_layer) == []
    assert list(layer_tosses([by_layer], [_WINDOW], 1, hidden=5)) == [Slot.UPDATE]


def test_a_trial_without_the_edge_keeps_everything():
    """Its row has threshold 0 and scale 1; the others' are those of their own drop."""
    placements = [Placement({Edge.HIDDEN: Drop(0.5)}), Placement()]
    toss = edge_toss(Edge.HIDDEN, placements, [_WINDOW] * 2, 0, units=5)
    assert toss.trials == 2
    assert toss.table_KC[:, Column.THRESHOLD].tolist() == [2**31, 0]
    assert toss.scale_K.tolist() == [2.0, 1.0]
    assert toss.updates_K.tolist() == [2, 2]
    assert edge_toss(Edge.HIDDEN, [Placement()], [_WINDOW], 0, units=5) is None


def test_what_is_tossed_is_not_drawn():
    """Each trial's other noises, folded masks and masks outside the loop stay factors."""
    gates_apart = Placement({Edge.RECURRENT: Drop(0.3, Sharing(gate=1)), Edge.HIDDEN: Drop(0.2)})
    folded = Placement({Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, batch=ALL))})
    held = Placement({Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD), Edge.INPUT: Drop(0.5)})
    other = Placement({Edge.HIDDEN: Drop(0.3, noise=GAUSSIAN)})

    def slots(*placements):
        trials = [Trial(placement, _WINDOW) for placement in placements]
        return factors_and_tosses(trials, 0, inputs=4, hidden=5)

    factors, tosses = slots(gates_apart, folded, held)
    assert list(factors) == [Slot.INPUT, Slot.WEIGHT]
    assert list(tosses) == [Slot.RECURRENT, Slot.HIDDEN, Slot.HIDDEN_HOLD]
    assert [toss.apart for toss in tosses.values()] == [True, False, False]
    factors, tosses = slots(gates_apart, held, other)
    assert list(factors) == [Slot.INPUT, Slot.HIDDEN]
    assert list(tosses) == [Slot.RECURRENT, Slot.HIDDEN_HOLD]


def test_the_gpus_kernels_run_on_a_gpu_alone(monkeypatch):
    """In float32, and where Triton is: elsewhere the loop is eager, and one sentence says so."""
    here, there = torch.zeros(1), SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
    monkeypatch.setattr(steps, "can_compile", lambda: True)
    steps._has_triton.cache_clear()
    assert not steps.takes_triton(here)
    assert not steps.takes_triton(SimpleNamespace(device=there.device, dtype=torch.float64))
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.warns(RuntimeWarning, match="install triton to compile it"):
        assert not steps.takes_triton(there)
    assert not steps.takes_triton(there)
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace())
    steps._has_triton.cache_clear()
    assert steps.takes_triton(there)
    monkeypatch.setattr(steps, "can_compile", lambda: False)
    assert not steps.takes_triton(there)
    steps._has_triton.cache_clear()


def test_a_coordinate_beyond_its_bits_has_no_toss():
    """As where a mask is drawn: the error names the limit."""
    placement = Placement({Edge.HIDDEN: Drop(0.5)})
    late = replace(_WINDOW, start=2**30 - 2)
    with pytest.raises(AblateError, match=r"a mask's time lies in \[0, 1073741824\)"):
        edge_toss(Edge.HIDDEN, [placement], [late], 0, units=5)
    with pytest.raises(AblateError, match="a mask's unit lies"):
        edge_toss(Edge.HIDDEN, [placement], [_WINDOW], 0, units=2**14 + 1)
