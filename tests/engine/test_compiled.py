"""Compiled kernels and masks equal the eager ones: one source, two ways to run it."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from engine.compiled_cases import CASES, KINDS
from engine.stepping import by_halves, step_case

from ablate import compiling
from ablate.compiling import (
    EAGER_NOTE,
    TRITON_NOTE,
    can_compile,
    compiles,
    eagerly,
    lowered,
    telling,
)
from ablate.engine.step import kernels
from ablate.testing import assert_close

TESTS = Path(__file__).parents[1]

# Each variant of each kernel compiles for seconds: one mask and one pair of kernels.
QUICK = ["mask", "cell", "update"]

# Of the largest entry: tanh is another function's, and where a product takes what a step made it is
# rounded to bfloat16, by one unit in its last place otherwise.
CLOSE = {torch.float32: 1e-6, torch.bfloat16: 2.0**-8}

needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++")),
    reason="no C++ compiler",
)


def _no_examples(device):
    return ()


def _compiled(names, folder):
    """The named cases from a process that compiles."""
    saved = folder / "compiled.pt"
    environment = os.environ | {"ABLATE_COMPILE": "1", "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-m", "engine.compiled_cases", str(saved), *names],
        cwd=TESTS.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return torch.load(saved)


def _assert_equal(names, folder):
    found = _compiled(names, folder)
    assert list(found) == list(names)
    for name, made in found.items():
        expected = CASES[name]()
        assert list(made) == list(expected)
        for what, wanted in expected.items():
            value = made[what]
            if name in ("mask", "words"):
                assert torch.equal(value, wanted), what
            elif name in KINDS:
                assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype)
                error = (value.float() - wanted.float()).abs().max()
                assert error <= CLOSE[value.dtype] * wanted.float().abs().max(), (name, what)
            else:
                assert_close({what: value}, {what: wanted}, name)
            if what.endswith(" alone"):
                together = made[what.removesuffix("alone") + "in a cohort"]
                assert torch.equal(value, together), what


@needs_compiler
@pytest.mark.slow
def test_a_compiled_mask_and_one_pair_of_kernels_equal_eager_ones(tmp_path):
    """The mask bit for bit; outputs and gradients to float32's tolerance."""
    _assert_equal(QUICK, tmp_path)


@needs_compiler
@pytest.mark.slow
def test_other_compiled_kernels_equal_eager_ones(tmp_path):
    """Other shapes, views, gates apart, HOLD, evaluation, every site inside the loop at once."""
    _assert_equal([name for name in CASES if name not in [*QUICK, *KINDS]], tmp_path)


_PARTS = 6


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("part", range(_PARTS))
def test_the_compiled_kernels_of_a_step_equal_eager_ones(part, tmp_path):
    """Each site alone, all together, gates apart, without a bias, products in either precision."""
    _assert_equal(list(KINDS)[part::_PARTS], tmp_path)


@pytest.fixture
def undecided():
    """Forget what this process has decided about compiling, before and after."""
    compiles.cache_clear()
    yield
    compiles.cache_clear()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_gpus_compiled_kernels_equal_the_cpus_eager_ones(name, undecided, monkeypatch):
    """As above for what Inductor makes of the same graphs for Triton."""
    kind = KINDS[name]
    given = step_case(kind)
    here = by_halves(kernels.__wrapped__(kind), *given)
    compiles.cache_clear()
    monkeypatch.setenv("ABLATE_COMPILE", "1")
    moved = ([value.cuda() for value in part] for part in given)
    there = by_halves(kernels.__wrapped__(kind), *moved)
    close = {torch.float32: 1e-5, torch.bfloat16: 2.0**-7}
    for values, wanted in zip(there, here, strict=True):
        for value, other in zip(values, wanted, strict=True):
            assert (value.shape, value.dtype) == (other.shape, other.dtype)
            error = (value.cpu().float() - other.float()).abs().max()
            assert error <= close[value.dtype] * other.float().abs().max()


def test_compiling_can_be_switched_off(undecided, monkeypatch):
    """ABLATE_COMPILE=0 runs the very function that was given, without a word."""
    monkeypatch.setenv("ABLATE_COMPILE", "0")
    assert not can_compile()
    seen = []
    two = torch.tensor(2)
    assert lowered(lambda x: seen.append(x) or x + 1, _no_examples)(two) == 3
    assert seen == [two]


def test_a_scope_is_eager_and_leaves_compiling_as_it_was(undecided, monkeypatch):
    """Within `eagerly` the very function runs, and after it the compiled one is back."""
    monkeypatch.delenv("ABLATE_COMPILE", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/c++")
    monkeypatch.setattr("ablate.compiling._lower", lambda function, examples: lambda x: x + 100)
    call = lowered(lambda x: x + 1, _no_examples)
    for expected in (101, 101):
        with eagerly():
            assert not can_compile()
            assert call(torch.tensor(1)) == 2
        assert can_compile()
        assert call(torch.tensor(1)) == expected
    monkeypatch.setenv("ABLATE_COMPILE", "1")
    with eagerly():
        assert can_compile()


def test_who_listens_hears_what_is_compiled(undecided, monkeypatch):
    """Once for each kernel, before it is compiled, and within the block alone."""
    monkeypatch.delenv("ABLATE_COMPILE", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/c++")
    heard = []

    def lower(function, examples):
        heard.append("lowered")
        return function

    monkeypatch.setattr("ablate.compiling._lower", lower)
    calls = [lowered(lambda x: x + 1, _no_examples, what) for what in ("this", "that", "other")]
    with telling(heard.append):
        for call in (*calls[:2], calls[0]):
            assert call(torch.tensor(1)) == 2
    assert calls[2](torch.tensor(1)) == 2
    assert heard == ["this", "lowered", "that", "lowered", "lowered"]


def test_what_a_listener_raises_is_its_own(undecided, monkeypatch):
    """It is no failure of the compiler, after which the function would run eagerly."""
    monkeypatch.delenv("ABLATE_COMPILE", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/c++")

    def raises(what):
        raise BrokenPipeError(what)

    with telling(raises), pytest.raises(BrokenPipeError, match="the masks"):
        lowered(lambda x: x + 1, _no_examples, "the masks")(torch.tensor(1))


SCOPES = """
import os
import torch
import ablate
from ablate.auditing.command import run_audit
from ablate.compiling import can_compile
from ablate.testing.contract import Contract

before = dict(os.environ)
assert can_compile()
assert run_audit("none", {}, layers=1).audit.agrees
assert can_compile()
scope = Contract.eager_kernels.__wrapped__(Contract())
next(scope)
assert not can_compile()
next(scope, None)
assert can_compile()
assert dict(os.environ) == before
"""


@needs_compiler
def test_contracts_and_audits_switch_nothing_off_for_the_process():
    """A notebook that imports the contracts and audits a module trains as fast as before."""
    environment = {name: value for name, value in os.environ.items() if name != "ABLATE_COMPILE"}
    done = subprocess.run(
        [sys.executable, "-c", "import ablate.testing\n" + SCOPES],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_without_a_compiler_one_sentence_says_what_it_costs(undecided, monkeypatch):
    """The fall-back is eager, warned of once a process, and names what to install."""
    monkeypatch.setenv("ABLATE_COMPILE", "1")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler was found") as caught:
        assert not can_compile()
    assert [str(warning.message) for warning in caught] == [EAGER_NOTE]
    assert "install g++" in EAGER_NOTE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not can_compile()
        assert lowered(lambda x: x + 1, _no_examples)(torch.tensor(2)) == 3


def test_what_is_on_another_device_runs_eagerly(undecided, monkeypatch):
    """Neither C++ nor Triton: nothing is compiled, nor are examples made."""
    monkeypatch.setenv("ABLATE_COMPILE", "1")
    there = torch.zeros(3, device="meta")
    assert lowered(lambda x: x + 1, lambda device: 1 / 0)(there).device.type == "meta"


def test_what_cannot_be_compiled_runs_eagerly(undecided, monkeypatch):
    """The compiler's own words, what it costs and how to be rid of the sentence, said once."""

    def fails(function, examples):
        tried.append(examples)
        raise NotImplementedError("no lowering of aten.sinc")

    tried = []
    monkeypatch.setenv("ABLATE_COMPILE", "1")
    monkeypatch.setattr(compiling, "_lower", fails)
    compiling._warn_once.cache_clear()
    one, two = torch.tensor(1), torch.tensor(2)
    call, other = (
        lowered(lambda x: x + 1, lambda device: (one,)),
        lowered(lambda x: -x, _no_examples),
    )
    with pytest.warns(RuntimeWarning) as caught:
        assert (call(two), call(one), other(two)) == (3, 2, -2)
    assert [str(warning.message) for warning in caught] == [
        "what lies between the products could not be compiled for cpu (NotImplementedError: no "
        "lowering of aten.sinc) and runs eagerly, slower; ABLATE_COMPILE=0 asks for that without a "
        "word"
    ]
    assert len(tried) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call(two) == 3


def test_without_triton_a_gpu_is_told_what_to_install(undecided, monkeypatch):
    """Decided for each kind of device alone; a C++ compiler is none of the GPU's."""
    monkeypatch.setenv("ABLATE_COMPILE", "1")
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/c++")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.warns(RuntimeWarning, match="Triton was not found") as caught:
        assert not can_compile("cuda")
    assert [str(warning.message) for warning in caught] == [TRITON_NOTE]
    assert can_compile("cpu")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    compiles.cache_clear()
    assert can_compile("cuda")
