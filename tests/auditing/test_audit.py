"""`ablate.audit` finds every mask where it is, and tells wrong placements from right ones."""

import os

import numpy as np
import pytest
import torch
from auditing.field.cached import NeverResetLSTM
from torch import nn

import ablate
from ablate.auditing import audit
from ablate.auditing.compare import compare
from ablate.auditing.layer_edges import expected
from ablate.auditing.measure import Measurement, measure_layers
from ablate.auditing.recognition import find_subject
from ablate.auditing.sharing import extent
from ablate.auditing.tails import few_errors, spread_refuted
from ablate.compiling import eagerly
from ablate.drops import ALL, PER_STEP, VARIATIONAL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.errors import AblateError, WrongValue
from ablate.model.copies import same_stacks
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.strategies import get

# The README's audits, tested beside it, are of others. One has two layers: a second one shows no
# more of the other two.
STRATEGIES = {"gal2016": 2, "semeniuta2016": 1, "merity2017": 1}


def _own(placement: Placement, layers: int = 2):
    elsewhere = Edge.EMBEDDING if layers > 1 else Edge.EMBEDDING | Edge.INTERLAYER
    return ablate.LSTM(5, 8, layers, placement=placement - elsewhere, seed=4)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        pytest.param(*each, marks=() if each[0] == "semeniuta2016" else pytest.mark.slow)
        for each in STRATEGIES.items()
    ],
)
def test_every_strategy_is_the_placement_that_it_says(name, layers):
    """The engine's module agrees with the placement that it runs, words aside."""
    placement = get(name).place()
    assert audit(_own(placement, layers), placement).disagreements == ()


SINGLE = {
    "input-apart": Placement({Edge.INPUT: Drop(0.3, Sharing(gate=1, unit=2))}),
    "interlayer-bursts": Placement({Edge.INTERLAYER: Drop(0.4, Sharing(time=3))}),
    "output-batch": Placement({Edge.OUTPUT: Drop(0.4, Sharing(batch=2), scale=Scale.TEST)}),
    "weight-noise": Placement({Edge.WEIGHT: Drop(0.3, noise=GAUSSIAN)}),
    "recurrent-updates": Placement({Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, update=2))}),
    "recurrent-held": Placement({Edge.RECURRENT: Drop(0.3, fill=Fill.HOLD)}),
    "hidden-held": Placement({Edge.HIDDEN: Drop(0.2, Sharing(time=4), Fill.HOLD)}),
    "hidden": Placement({Edge.HIDDEN: Drop(0.3, VARIATIONAL)}),
    "update": Placement({Edge.UPDATE: Drop(0.3, VARIATIONAL)}),
    "cell": Placement({Edge.CELL: Drop(0.3, PER_STEP)}),
    "cell-held": Placement({Edge.CELL: Drop(0.3, VARIATIONAL, Fill.HOLD)}),
    "carry": Placement({Edge.CARRY: Drop(0.3, Sharing(time=2))}),
}


# UPDATE is audited with semeniuta2016; HIDDEN, CELL and held states where others act beside them.
SEEN_ELSEWHERE = ("hidden", "update", "cell", "hidden-held", "recurrent-updates")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SEEN_ELSEWHERE else (), id=name)
        for name in SINGLE
    ],
)
def test_an_edge_alone_is_found_with_its_rate_sharing_and_scale(name):
    """Every axis that can be seen is seen as it is, and nothing is found anywhere else."""
    placement = SINGLE[name]
    found = audit(_own(placement, 2 if Edge.INTERLAYER in placement else 1), placement)
    assert found.disagreements == ()
    ((edge, drop),) = placement.items()
    assert {finding.edge for finding in found.found} == {edge}
    assert {finding.fill for finding in found.found} == {drop.fill}
    for finding in found.found:
        wanted = dict(drop.shared.given())
        seen = {axis: extent for axis, extent in finding.sharing.items() if extent is not None}
        assert seen == {axis: wanted[axis] for axis in seen}
        assert {"update", "unit"} <= set(seen)
        if edge is not Edge.WEIGHT:
            assert {"time", "batch"} <= set(seen)


@pytest.mark.parametrize(
    "placement",
    [
        # A mask that all rows and units share is one on the state that every row shares.
        pytest.param(Placement({Edge.WEIGHT: Drop(0.5, Sharing(unit=ALL))}), id="weight-or-state"),
        # What came through CELL before is dropped by UPDATE now and then.
        pytest.param(
            Placement(
                {
                    Edge.UPDATE: Drop(0.2, Sharing(time=2)),
                    Edge.CELL: Drop(0.5, Sharing(time=3)),
                }
            ),
            marks=pytest.mark.slow,
            id="bursts-behind-bursts",
        ),
    ],
)
def test_what_looks_like_another_mask_agrees(placement):
    """Each was once a false disagreement of ablate's own module."""
    found = audit(ablate.LSTM(5, 8, placement=placement, seed=0), placement)
    assert found.agrees, found


@pytest.mark.parametrize(
    "placement",
    [
        pytest.param(
            Placement(
                {
                    Edge.CELL: Drop(0.3, fill=Fill.HOLD),
                    Edge.CARRY: Drop(0.2, fill=Fill.HOLD),
                    Edge.HIDDEN: Drop(0.4, scale=Scale.TEST),
                }
            ),
            id="hidden-behind-two",
        ),
        *(
            pytest.param(placement, marks=pytest.mark.slow, id=name)
            for name, placement in {
                "hidden-behind-carry": Placement(
                    {
                        Edge.CARRY: Drop(0.3, fill=Fill.HOLD),
                        Edge.HIDDEN: Drop(0.3, scale=Scale.TEST),
                    }
                ),
                "hidden-behind-cell": Placement(
                    {
                        Edge.CELL: Drop(0.3, fill=Fill.HOLD),
                        Edge.HIDDEN: Drop(0.3, scale=Scale.TEST),
                    }
                ),
                "held-beside-update": Placement(
                    {Edge.UPDATE: Drop(0.3, VARIATIONAL), Edge.CELL: Drop(0.4, fill=Fill.HOLD)}
                ),
                # What goes up is dropped, and what is handed on is of the step before.
                "hidden-beside-state": Placement(
                    {Edge.HIDDEN: Drop(0.5), Edge.RECURRENT: Drop(0.2, fill=Fill.HOLD)}
                ),
                "carry-behind-cell": Placement(
                    {
                        Edge.CELL: Drop(0.3, VARIATIONAL, fill=Fill.HOLD),
                        Edge.CARRY: Drop(0.3, VARIATIONAL, scale=Scale.TEST),
                        Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, batch=ALL, unit=2), Fill.HOLD),
                    }
                ),
            }.items()
        ),
    ],
)
def test_what_is_dropped_of_a_held_value_is_told(placement):
    """Rates and scales of masks behind others that hold, once false disagreements too."""
    found = audit(ablate.LSTM(5, 8, placement=placement, seed=0), placement)
    assert found.disagreements == (), found
    assert {(one.edge, one.fill) for one in found.found} == {
        (edge, drop.fill) for edge, drop in placement.items()
    }


def test_groups_are_not_all_where_nobody_looked_between_them():
    """Of a mask on weights each row reads three sources: pairs of rows show no boundary of twos."""
    values = np.repeat(np.random.default_rng(0).integers(0, 2, (400, 4)), 2, axis=1)
    apart = np.where(np.arange(8) < 2, values, np.nan) * 1.0
    assert extent(values * 1.0, 1) == 2
    assert extent(apart, 1) is None


def test_a_noise_of_few_decisions_is_refuted_by_no_rate():
    """Two values have any variance, and a mean that chance moves far."""
    assert not spread_refuted(0.014, 2, 0.25)
    assert spread_refuted(0.014, 40, 0.25)
    assert not spread_refuted(0.26, 1000, 0.25)
    assert few_errors(2) > 1e4
    assert few_errors(1000) < 1.1


OTHERS = {
    "time": Placement({Edge.RECURRENT: Drop(0.3, PER_STEP)}),
    "keep": Placement({Edge.RECURRENT: Drop(0.7, VARIATIONAL)}),
    "gates": Placement({Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, gate=1))}),
    "place": Placement({Edge.HIDDEN: Drop(0.3, VARIATIONAL)}),
    "none": Placement(),
}


@pytest.fixture(scope="module")
def variational() -> Measurement:
    """A variational mask on the state, and how often HIDDEN did not drop."""
    module = _own(Placement({Edge.RECURRENT: Drop(0.3, VARIATIONAL)}), 1)
    with same_stacks(), eagerly():
        return measure_layers(find_subject(module), expected(OTHERS["time"] | OTHERS["place"], 1))


@pytest.mark.parametrize("name", OTHERS)
def test_another_placement_is_refused_in_a_sentence(name, variational, wording):
    """One difference between module and placement is one sentence that names it."""
    differ = compare(variational, expected(OTHERS[name], 1)).differ
    assert differ
    for sentence in differ:
        wording(sentence)


def test_a_difference_is_a_disagreement_of_the_audit(wording):
    """What differs from the placement is told, and the audit does not agree."""
    found = audit(_own(Placement({Edge.RECURRENT: Drop(0.3, VARIATIONAL)}), 1), OTHERS["gates"])
    assert not found.agrees
    (sentence,) = found.disagreements
    wording(sentence)


def test_the_stock_module_is_found_to_drop_between_layers():
    """`torch.nn.LSTM(dropout=.5)` drops INTERLAYER, fresh at each step, and nothing else."""
    found = audit(nn.LSTM(6, 8, 3, dropout=0.5))
    assert found.agrees
    assert [(one.edge, one.layer, one.scale) for one in found.found] == [
        (Edge.INTERLAYER, 1, "TRAIN"),
        (Edge.INTERLAYER, 2, "TRAIN"),
    ]
    assert all(one.sharing["time"] == 1 and one.sharing["gate"] is ALL for one in found.found)
    against = audit(nn.LSTM(6, 8, 2, dropout=0.5), get("zaremba2014").place())
    assert [sentence.partition(":")[0] for sentence in against.disagreements] == [
        "INPUT at layer 0",
        "OUTPUT at layer 1",
    ]


def test_the_audit_leaves_module_and_generators_as_they_were():
    """Weights, mode, counter and torch's generator are what they were."""
    module = ablate.LSTM(5, 8, placement=Placement({Edge.INPUT: Drop(0.3)}), seed=1).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    masks, state = module.mask_state(), torch.get_rng_state()
    threads = torch.get_num_threads()
    audit(module)
    assert not module.training
    assert module.mask_state() == masks
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("batch_first", [False, True])
def test_batch_first_is_found_out(batch_first):
    """The layout of the call needs no telling."""
    module = nn.Sequential(nn.LSTM(5, 8, 2, batch_first=batch_first, dropout=0.3))[0]
    assert [one.edge for one in audit(module).found] == [Edge.INTERLAYER]


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(nn.LSTM(4, 8, bidirectional=True), id="two-directions"),
        pytest.param(nn.LSTM(4, 8, 2, bidirectional=True), id="two-deep"),
        pytest.param(nn.GRU(4, 8), id="gru"),
        pytest.param(nn.RNN(4, 8), id="rnn"),
        pytest.param(nn.LSTM(4, 8, proj_size=3), id="projection"),
        pytest.param(nn.LayerNorm(8), id="norm"),
    ],
)
def test_what_cannot_be_audited_is_refused_with_the_reason(module, refused):
    """A module with another interface is one sentence."""
    with refused(AblateError):
        audit(module)


def test_a_module_that_keeps_an_earlier_call_is_told_by_what_it_holds(refused):
    """Masks of another batch fit no audit's call; one that was not called is audited (bug 18)."""
    module = NeverResetLSTM(dropout=0.3, recurrent_dropout=0.25)
    module(torch.zeros(5, 4, 8))
    module.scale = torch.tensor(2.0)
    with refused(AblateError):
        audit(module)


def test_what_no_reading_fits_is_refused_with_all_reasons():
    """Torch's own words are among them."""
    with pytest.raises(AblateError, match="takes no tokens"):
        audit(nn.Linear(4, 3))


class FromTheSystem(nn.Module):
    """A mask that no generator makes."""

    def forward(self, x):
        drawn = np.frombuffer(os.urandom(x.numel()), dtype=np.uint8).reshape(x.shape) % 2
        return x * torch.from_numpy(drawn).to(x) if self.training else x


@pytest.mark.parametrize(
    ("module", "told"),
    [
        pytest.param(nn.LSTM(6, 8), {"edge": "INPUT"}, id="edge-by-name"),
        pytest.param(nn.LSTM(6, 8), {"edge": Edge.INPUT | Edge.OUTPUT}, id="two-edges"),
        pytest.param(nn.LSTM(6, 8), {"names": ["weight_ih_l0"]}, id="names-in-a-list"),
        pytest.param(nn.LSTM(6, 8), {"batch_first": "yes"}, id="layout-in-words"),
        pytest.param(nn.LSTM(6, 8, device="meta"), {}, id="without-values"),
        pytest.param(FromTheSystem(), {}, id="of-the-system"),
    ],
)
def test_what_is_told_and_given_is_checked(module, told, refused):
    """Before anything is measured."""
    with refused(AblateError):
        audit(module, **told)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_a_scripted_module_is_refused(refused):
    """It can be neither copied nor tapped."""
    with refused(AblateError):
        audit(torch.jit.script(nn.LSTM(6, 8)))


def test_one_unit_is_enough():
    """Of a net of one unit nothing can be mixed."""
    assert audit(nn.LSTM(1, 1, 2, dropout=0.4)).disagreements == ()


def test_a_largest_norm_of_words_is_no_mask(wording):
    """A table with `max_norm` shortens its words in place, which is one sentence."""
    found = audit(nn.Embedding(11, 6, max_norm=0.1))
    assert found.found == ()
    (sentence,) = found.disagreements
    wording(sentence)


def test_a_class_is_no_module(refused):
    """What is audited runs."""
    with refused(WrongValue, given=nn.LSTM):
        audit(nn.LSTM)


def test_a_module_that_no_seed_reaches_is_refused(refused):
    """Masks from a generator of the module's own, shared by its copies, cannot be had twice."""
    hidden = torch.Generator()

    class Wild(nn.LSTM):
        def forward(self, x, state):
            if self.training:
                x = x * torch.rand(x.shape, generator=hidden, dtype=x.dtype).round()
            return super().forward(x, state)

    with refused(AblateError):
        audit(Wild(4, 8))


def test_a_state_that_is_masked_when_it_is_written_is_named(wording):
    """The last h is whole in y and masked in the state: the next call begins from a masked one."""

    class Writes(nn.LSTM):
        def forward(self, x, state):
            y, (h, c) = super().forward(x, state)
            return y, (nn.functional.dropout(h, 0.3, self.training), c)

    found = audit(Writes(5, 8), Placement({Edge.RECURRENT: Drop(0.3)}))
    assert [one.edge for one in found.found if one.written] == [Edge.HIDDEN]
    wording("\n".join(found.disagreements))


INPUT = Placement({Edge.INPUT: Drop(0.3)})
LOCKED = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
BOTH = Placement({Edge.INPUT: Drop(0.3)}) | LOCKED
DEEP = BOTH | Placement({Edge.INTERLAYER: Drop(0.4)})
WORDS = Placement({Edge.EMBEDDING: Drop(0.3)})


def _with_hook():
    module = ablate.LSTM(6, 8, placement=BOTH, seed=1)
    module.hook(Edge.RECURRENT, lambda value: value)
    return module


@pytest.mark.parametrize(
    ("make", "placement"),
    [
        pytest.param(
            lambda: ablate.LSTM(6, 8, batch_first=True, bias=False, placement=BOTH, seed=1),
            BOTH,
            marks=pytest.mark.slow,
            id="batch-first-no-bias",
        ),
        # Two layers are gal2016's above.
        pytest.param(
            lambda: ablate.LSTM(6, 8, 2, placement=DEEP, seed=1),
            DEEP,
            id="two-layers",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda: ablate.LSTM(6, 8, placement=LOCKED, seed=1, dtype=torch.bfloat16),
            LOCKED,
            id="bfloat16",
        ),
        pytest.param(
            lambda: ablate.LSTM(6, 8, placement=BOTH, seed=9, stack=3).double().eval(),
            BOTH,
            id="float64-evaluation-stack",
            marks=pytest.mark.slow,
        ),
        pytest.param(_with_hook, BOTH, id="hook", marks=pytest.mark.slow),
        pytest.param(
            lambda: ablate.Embedding(9, 6, placement=WORDS, seed=1, batch_first=True),
            WORDS,
            id="embedding",
        ),
        pytest.param(
            lambda: ablate.LanguageModel(11, 8, 1, 6, placement=BOTH | WORDS, seed=1),
            BOTH | WORDS,
            id="language-model",
        ),
    ],
)
def test_our_own_modules_are_audited_in_every_form(make, placement):
    """Layout, layers, biases, dtype, mode, stack and hooks are no hindrance."""
    found = audit(make(), placement)
    assert found.agrees, found
    assert {finding.edge for finding in found.found} == set(placement)


def test_words_are_found_tied_and_untied():
    """An embedding's mask is one a word, in a row or in the whole batch, or one a position."""
    for sharing, word, time in (
        (Sharing(time=ALL, word=1, batch=1), 1, ALL),
        (Sharing(time=ALL, word=1, batch=ALL), 1, ALL),
        (Sharing(time=1, word=ALL, batch=1), None, 1),
    ):
        placement = Placement({Edge.EMBEDDING: Drop(0.4, sharing)})
        found = audit(ablate.Embedding(6, 5, placement=placement, seed=2), placement)
        assert found.disagreements == ()
        (one,) = found.found
        assert (one.sharing.get("word"), one.sharing["time"]) == (word, time)
        assert one.sharing["batch"] == sharing.batch
