"""Each bug of the field, seen by hand in its wrong module and not in the correct one.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

import pytest
import torch
from auditing.field.handling import built, called, gradient_error, parameters, window
from auditing.field.table import SUBJECTS, WORDS
from torch import Tensor, nn

BY_BUG = {subject.bug: subject for subject in (*SUBJECTS, *WORDS)}


def pair(bug: str, *sizes: int) -> tuple[nn.Module, nn.Module]:
    """The correct and the wrong module of a bug, in training."""
    subject = BY_BUG[bug]
    return built(subject.correct, *sizes).train(), built(subject.wrong, *sizes).train()


def dropped_inputs(module: nn.Module, time: int, batch: int, seed: int = 0) -> Tensor:
    """Where the first layer's input has no influence on anything: [T, B, D]."""
    x, h, c = window(time, batch, 8, 8, 1)
    out = called(module, x, h, c, seed)
    (slope,) = torch.autograd.grad(sum(part.sum() for part in out), x)
    return slope == 0.0


@pytest.mark.parametrize("bug", ["1", "1b"])
def test_locked_masks_are_constant_along_one_axis(bug):
    """Bug 1: along time in the correct module, along the batch in the wrong one."""
    for module, shared, apart in zip(pair(bug, 8, 8, 1), (0, 1), (1, 0), strict=True):
        mask = dropped_inputs(module, 4, 3)
        assert (mask == mask.select(shared, 0).unsqueeze(shared)).all()
        assert not (mask == mask.select(apart, 0).unsqueeze(apart)).all()


def test_weight_drop_in_evaluation():
    """Bug 2: two evaluations differ."""
    _, wrong = pair("2", 8, 8, 2)
    one, other = (called(wrong.eval(), *window(3, 2, 8, 8, 2), seed)[0] for seed in (0, 1))
    assert not torch.equal(one, other)


def test_weights_overwritten():
    """Bug 3: after 100 calls the recurrent weights are zero."""
    _, wrong = pair("3", 8, 8, 1)
    for seed in range(100):
        called(wrong, *window(1, 1, 8, 8, 1), seed)
    assert (parameters(wrong)[0, "weight_hh"] == 0.0).all()


@pytest.mark.parametrize("bug", ["4", "4b"])
def test_masks_through_data_are_not_in_the_gradient(bug):
    """Bug 4: forward is the same, the gradient is not that of forward."""
    correct, wrong = pair(bug, 3, 2, 2)
    one, other = (called(module, *window(3, 2, 3, 2, 2)) for module in (correct, wrong))
    assert all(torch.equal(*parts) for parts in zip(one, other, strict=True))
    assert gradient_error(wrong, window(3, 2, 3, 2, 2)) > 1e-2


def test_recurrent_mask_goes_upward():
    """Bug 5: units of the output are zero."""
    whole, masked = (called(m, *window(3, 2, 8, 8, 1))[0] == 0.0 for m in pair("5", 8, 8, 1))
    assert not whole.any()
    assert masked.any()


@pytest.mark.parametrize("bug", ["6", "6b"])
def test_one_mask_for_the_batch(bug):
    """Bug 6: rows with the same input and the same state stay the same."""
    x, h, c = (part[:, :1].repeat(1, 2, 1) for part in window(3, 1, 8, 8, 1))
    for module, same in zip(pair(bug, 8, 8, 1), (False, True), strict=True):
        y, *_ = called(module, x, h, c)
        assert torch.equal(y[:, 0], y[:, 1]) is same


@pytest.mark.parametrize(
    ("bug", "state_tied"), [("7", (False, False)), ("17", (True, False))], ids=["7", "17"]
)
def test_recurrent_dropout_unties_masks(bug, state_tied):
    """Bugs 7, 17: a column of zeros in a gate's gradient is a dropped value of that gate."""
    for module, tied, of_h in zip(pair(bug, 8, 8, 1), (True, False), state_tied, strict=True):
        out = called(module, *window(1, 1, 8, 8, 1), seed=2)
        own = parameters(module)
        slopes = torch.autograd.grad(out[0].sum(), [own[0, "weight_ih"], own[0, "weight_hh"]])
        of_input, of_state = ((s.unflatten(0, (4, 8)) == 0.0).all(1) for s in slopes)
        assert of_input.any()
        assert of_state.any()
        assert (of_input == of_input[0]).all().item() is tied
        assert (of_state == of_state[0]).all().item() is of_h


@pytest.mark.parametrize(("bug", "again"), [("8", False), ("8b", True)])
def test_a_seed_makes_all_steps_alike(bug, again):
    """Bug 8: all steps drop the same inputs; with a number as seed, all windows too."""
    correct, wrong = pair(bug, 8, 8, 1)
    one, fresh = dropped_inputs(wrong, 4, 2), dropped_inputs(correct, 4, 2)
    assert (one == one[0]).all()
    assert not (fresh == fresh[0]).all()
    assert torch.equal(one, dropped_inputs(wrong, 4, 2, seed=1)) is again


@pytest.mark.parametrize("bug", ["9", "9b"])
def test_equal_words_are_tied(bug):
    """Bug 9: word 3 stands in all places of row 0; it is there throughout or not at all."""
    words = torch.full((6, 2), 3)
    words[:, 1] = torch.arange(6)
    for make, tied in ((BY_BUG[bug].correct, True), (BY_BUG[bug].wrong, False)):
        module, mixed = make(12, 8).train(), False
        for seed in range(10):
            torch.manual_seed(seed)
            here = (module(words) != 0.0).any(-1)[:, 0]
            mixed |= bool(here.any() and not here.all())
        assert mixed is not tied


def test_the_rest_of_word_dropout():
    """Whole words, scaled by 1 / (1 - rate); awd-lstm-lm ties rows, BayesianRNN does not."""
    words = torch.full((5, 4), 3)
    for bug, tied in (("9", False), ("9b", True)):
        module, rows = BY_BUG[bug].correct(12, 8).train(), []
        for seed in range(10):
            torch.manual_seed(seed)
            whole = (0.7 * module(words) / module.weight[3]).round(decimals=4)
            assert set(whole.unique().tolist()) <= {0.0, 1.0}
            assert (whole == whole[:1, :, :1]).all()
            rows.append((whole == whole[:, :1]).all())
        assert all(rows) is tied
        assert torch.equal(module.eval()(words), module.weight[words])


def test_recurrent_mask_hits_the_cell():
    """Bug 10: units of c_0 have no influence."""
    for module, hit in zip(pair("10", 8, 8, 1), (False, True), strict=True):
        x, h, c = window(2, 2, 8, 8, 1)
        (slope,) = torch.autograd.grad(called(module, x, h, c)[2].sum(), c)
        assert (slope == 0.0).any().item() is hit


def test_rate_of_zoneout_is_the_chance_of_holding():
    """Bug 11: at rates .3 and .2, c holds .7 and h .8 of the time."""
    for module, rates in zip(pair("11", 8, 8, 1), ((0.3, 0.2), (0.7, 0.8)), strict=True):
        x, h, c = window(1, 500, 8, 8, 1)
        _, h_n, c_n = called(module, x, h, c)
        assert (c_n == c).double().mean().item() == pytest.approx(rates[0], abs=0.03)
        assert (h_n == h).double().mean().item() == pytest.approx(rates[1], abs=0.03)


def test_rate_of_gals_dropout_is_the_chance_of_dropping():
    """Bug 11: at the rate .3, .7 of the inputs are dropped."""
    for module, rate in zip(pair("11b", 8, 8, 1), (0.3, 0.7), strict=True):
        mask = dropped_inputs(module, 1, 500)
        assert mask.double().mean().item() == pytest.approx(rate, abs=0.03)


@pytest.mark.parametrize("bug", ["12", "12b"])
def test_output_is_not_the_state(bug):
    """Bug 12: the last output is not h_n."""
    for module, same in zip(pair(bug, 8, 8, 1), (True, False), strict=True):
        y, h_n, _ = called(module, *window(3, 4, 8, 8, 1))
        assert torch.equal(y[-1], h_n[-1]) is same


@pytest.mark.parametrize(
    ("bug", "scale"), [("13a", 1.0), ("13b", 1 / 0.6**2), ("13c", None)], ids=str
)
def test_scale_of_the_output(bug, scale):
    """Bug 13: the last output is h_n, dropped or scaled; in the wrong modules by another scale."""
    for module, wanted in zip(pair(bug, 8, 8, 2), (1 / 0.6, scale), strict=True):
        y, h_n, _ = called(module, *window(2, 4, 8, 8, 2))
        found = (y[-1] / h_n[-1]).round(decimals=6).unique().tolist()
        assert found == pytest.approx([1.0] if wanted is None else [0.0, wanted], abs=1e-6)


def test_scale_of_the_update():
    """Bug 13: what is written in evaluation is the mean of training, or it is not."""
    for module, wanted in zip(pair("13a2", 8, 8, 1), (1 / 0.7, 1.0), strict=True):
        x, h, c = window(1, 4, 8, 8, 1)
        c = torch.zeros_like(c)
        sampled, mean = called(module.train(), x, h, c)[2], called(module.eval(), x, h, c)[2]
        found = (sampled / mean).round(decimals=6).unique().tolist()
        assert found == pytest.approx([0.0, wanted], abs=1e-6)


def test_input_dropout_in_evaluation():
    """Bug 16: evaluation drops inputs as training does, a mask a sequence; others in each call."""
    for module, loud in zip(pair("16", 8, 8, 1), (False, True), strict=True):
        trained = dropped_inputs(module, 4, 3)
        one, other = (dropped_inputs(module.eval(), 4, 3, seed) for seed in (0, 1))
        assert trained.any()
        assert torch.equal(one, trained) is loud
        assert one.any().item() is loud
        assert torch.equal(one, other) is not loud


def test_masks_of_the_first_call_stand():
    """Bug 18: the second call drops what the first one did, whatever the seed and the mode."""
    for module, stand in zip(pair("18", 8, 8, 1), (False, True), strict=True):
        first, second = (dropped_inputs(module, 4, 3, seed) for seed in (0, 1))
        assert first.any()
        assert torch.equal(first, second) is stand
        assert dropped_inputs(module.eval(), 4, 3).any().item() is stand
    silent = BY_BUG["18"].wrong(8, 8, 1).double().eval()
    assert not dropped_inputs(silent, 4, 3).any()
    assert not dropped_inputs(silent.train(), 4, 3).any()
