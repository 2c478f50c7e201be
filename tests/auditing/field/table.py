"""The field's silent placement bugs, each as a pair of plain torch modules: meant and shipped."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from auditing.field import (
    augmented,
    cached,
    dynet,
    hidden,
    keras,
    keras3,
    locked,
    moon,
    seeded,
    semeniuta,
    variational_cell,
    weight_drop,
    words,
    zaremba,
    zoneout,
)
from torch import nn

from ablate.drops import ALL, PER_STEP, VARIATIONAL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.placement import Placement


@dataclass(frozen=True, slots=True)
class Subject:
    """A module as it was meant, the same with the bug, and the placement that was meant.

    correct and wrong take (input_size, hidden_size, num_layers), of words (num_embeddings,
    embedding_dim); sentence is part of what an audit of `wrong` says.
    """

    bug: str
    title: str
    shipped_in: str
    correct: Callable[..., nn.Module]
    wrong: Callable[..., nn.Module]
    placement: Placement
    sentence: str


def _pair(
    correct: type[nn.Module], wrong: type[nn.Module], **rates: Any
) -> dict[str, Callable[..., nn.Module]]:
    return {"correct": partial(correct, **rates), "wrong": partial(wrong, **rates)}


_BELOW = Edge.INPUT | Edge.INTERLAYER

_LOCKED = Placement(
    {
        Edge.INPUT: Drop(0.4, VARIATIONAL),
        Edge.INTERLAYER: Drop(0.25, VARIATIONAL),
        Edge.OUTPUT: Drop(0.3, VARIATIONAL),
    }
)
_ENDS = Placement({Edge.INPUT: Drop(0.3, VARIATIONAL), Edge.OUTPUT: Drop(0.4, VARIATIONAL)})
_ZAREMBA = Placement({Edge.VERTICAL: Drop(0.4, PER_STEP)})
_MOON = Placement({Edge.CELL: Drop(0.3, VARIATIONAL)})
_DYNET = Placement({_BELOW: Drop(0.3, VARIATIONAL), Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
_ZONEOUT = Placement(
    {
        Edge.CARRY: Drop(0.3, PER_STEP, Fill.HOLD),
        Edge.HIDDEN: Drop(0.2, PER_STEP, Fill.HOLD),
    }
)

SUBJECTS = (
    Subject(
        "1",
        "locked mask over the wrong axis",
        "awd-lstm-lm, before pull request 5",
        **_pair(
            locked.LockedLSTM,
            locked.LockedOverBatchLSTM,
            dropouti=0.4,
            dropouth=0.25,
            dropout=0.3,
        ),
        placement=_LOCKED,
        sentence="INPUT at layer 0: its mask is fresh at each step; the placement says "
        "the same for the whole window",
    ),
    Subject(
        "1b",
        "locked mask over the wrong axis, batch first",
        "PyTorch-NLP, issue 71",
        **_pair(
            locked.BatchFirstLSTM,
            locked.BatchFirstLockedOverBatchLSTM,
            dropouti=0.4,
            dropouth=0.25,
            dropout=0.3,
        ),
        placement=_LOCKED,
        sentence="INPUT at layer 0: its mask is fresh at each step; the placement says "
        "the same for the whole window",
    ),
    Subject(
        "2",
        "weight drop still on in evaluation",
        "awd-lstm-lm, issue 72",
        **_pair(
            weight_drop.WeightDropLSTM,
            weight_drop.NeverEvaluatedLSTM,
            dropouti=0.3,
            dropoutw=0.25,
            dropouto=0.4,
            variational=True,
        ),
        placement=_ENDS | Placement({Edge.WEIGHT: Drop(0.25, Sharing(source=ALL))}),
        sentence="two calls in evaluation mode differ: something is still sampled",
    ),
    Subject(
        "3",
        "weights overwritten by their masked copy",
        "Better_LSTM, issue 7",
        **_pair(
            weight_drop.WeightDropLSTM,
            weight_drop.OverwritingLSTM,
            dropouti=0.3,
            dropoutw=0.25,
            dropouto=0.4,
        ),
        placement=_ENDS | Placement({Edge.WEIGHT: Drop(0.25)}),
        sentence="a call in training changes the parameter weight_hh_l0 itself",
    ),
    Subject(
        "4",
        "mask through .data on the cell",
        "lstms.pth (Moon)",
        **_pair(moon.MoonLSTM, moon.MoonThroughData, dropout=0.3),
        placement=_MOON,
        sentence="the gradient of x is not that of what is computed",
    ),
    Subject(
        "4b",
        "mask through .data on the state",
        "lstms.pth (Gal)",
        **_pair(hidden.HiddenLSTM, hidden.HiddenThroughData, dropout=0.3),
        placement=Placement({Edge.HIDDEN: Drop(0.3, VARIATIONAL)}),
        sentence="the gradient of x is not that of what is computed",
    ),
    Subject(
        "5",
        "recurrent mask also hits the h that goes upward",
        "allennlp, issue 2320; lstms.pth",
        **_pair(augmented.AugmentedLSTM, augmented.AugmentedUpwardLSTM, recurrent_dropout=0.3),
        placement=Placement({Edge.RECURRENT: Drop(0.3, VARIATIONAL)}),
        sentence="HIDDEN at layer 0: the module drops",
    ),
    Subject(
        "6",
        "one mask for the whole batch, on what the gates read",
        "DyNet, before pull request 812",
        **_pair(dynet.DynetLSTM, dynet.DynetForTheBatch, dropout=0.3, dropout_h=0.25),
        placement=_DYNET,
        sentence="RECURRENT at layer 0: its mask is the same for the whole batch",
    ),
    Subject(
        "6b",
        "one mask for the whole batch, on the cell",
        "lstms.pth (Moon)",
        **_pair(moon.MoonLSTM, moon.MoonForTheBatch, dropout=0.3),
        placement=_MOON,
        sentence="CELL at layer 0: its mask is the same for the whole batch",
    ),
    Subject(
        "7",
        "recurrent dropout unties the input mask",
        "Keras",
        **_pair(keras.KerasLSTM, keras.KerasSwitchingLSTM, dropout=0.3, recurrent_dropout=0.25),
        placement=Placement(
            {
                _BELOW: Drop(0.3, VARIATIONAL),
                Edge.RECURRENT: Drop(0.25, Sharing(time=ALL, gate=1)),
            }
        ),
        sentence="INPUT at layer 0: its mask is of its own for each gate; the placement "
        "says the same for the four gates",
    ),
    Subject(
        "8",
        "a seed makes the masks of all steps identical",
        "TensorFlow, issue 2789",
        **_pair(seeded.UnrolledLSTM, seeded.SeededOperationsLSTM, dropout=0.4),
        placement=_ZAREMBA,
        sentence="INPUT at layer 0: its mask is the same for the whole window; the "
        "placement says fresh at each step",
    ),
    Subject(
        "8b",
        "a seed makes the masks of all steps and windows identical",
        "ports of the same",
        **_pair(seeded.UnrolledLSTM, seeded.SeededOnceLSTM, dropout=0.4),
        placement=_ZAREMBA,
        sentence="INPUT at layer 0: its mask is the same at every call",
    ),
    Subject(
        "10",
        "recurrent mask also hits the cell",
        "MXNet, before the review of pull request 7067",
        **_pair(
            variational_cell.VariationalDropoutLSTM,
            variational_cell.AllStatesDropoutLSTM,
            drop_inputs=0.3,
            drop_states=0.25,
            drop_outputs=0.4,
        ),
        placement=_DYNET | Placement({Edge.OUTPUT: Drop(0.4, VARIATIONAL)}),
        sentence="CELL at layer 0: the module drops",
    ),
    Subject(
        "11",
        "rate taken for keep probability, zoneout",
        "ports of zoneout",
        **_pair(zoneout.ZoneoutLSTM, zoneout.KeepingZoneoutLSTM, zoneout_c=0.3, zoneout_h=0.2),
        placement=_ZONEOUT,
        sentence="the placement says 0.3, the probability of dropping, not that of keeping",
    ),
    Subject(
        "11b",
        "rate taken for keep probability, Gal",
        "DyNet, pull request 182",
        **_pair(dynet.DynetLSTM, dynet.DynetKeepsTheRate, dropout=0.3, dropout_h=0.25),
        placement=_DYNET,
        sentence="the placement says 0.25, the probability of dropping, not that of keeping",
    ),
    Subject(
        "12",
        "zoneout sends the new h upward",
        "RETURNN, issue 1313",
        **_pair(zoneout.ZoneoutLSTM, zoneout.NewUpwardZoneoutLSTM, zoneout_c=0.3, zoneout_h=0.2),
        placement=_ZONEOUT,
        sentence="HIDDEN at layer 0: nothing drops; the placement holds there",
    ),
    Subject(
        "12b",
        "zoneout holds output and state with two masks",
        "MXNet, issue 18669",
        **_pair(zoneout.ZoneoutLSTM, zoneout.TwoMasksZoneoutLSTM, zoneout_c=0.3, zoneout_h=0.2),
        placement=_ZONEOUT,
        sentence="HIDDEN at layer 0: nothing drops; the placement holds there",
    ),
    Subject(
        "13a",
        "no scale, on the vertical connections",
        "ports of Zaremba",
        **_pair(zaremba.ZarembaLSTM, zaremba.UnscaledZarembaLSTM, dropout=0.4),
        placement=_ZAREMBA,
        sentence="INPUT at layer 0: the scale is wrong",
    ),
    Subject(
        "13a2",
        "no scale, on the update",
        "ports of Semeniuta",
        **_pair(semeniuta.SemeniutaLSTM, semeniuta.UnscaledSemeniutaLSTM, dropout=0.3),
        placement=Placement({Edge.UPDATE: Drop(0.3, PER_STEP, scale=Scale.TEST)}),
        sentence="UPDATE at layer 0: the scale is wrong",
    ),
    Subject(
        "13b",
        "scaled twice",
        "ports of Zaremba",
        **_pair(zaremba.ZarembaLSTM, zaremba.ScaledTwiceZarembaLSTM, dropout=0.4),
        placement=_ZAREMBA,
        sentence="INPUT at layer 0: the scale is wrong",
    ),
    Subject(
        "13c",
        "the top mask missing",
        "TensorFlow's PTB tutorial in cuDNN mode",
        **_pair(zaremba.ZarembaLSTM, zaremba.NoTopZarembaLSTM, dropout=0.4),
        placement=_ZAREMBA,
        sentence="OUTPUT at layer 0: nothing drops; the placement drops there",
    ),
    Subject(
        "16",
        "input dropout still on in evaluation where cuDNN runs",
        "Keras 3.4.0 to 3.8.0 on TensorFlow",
        **_pair(keras3.CudnnKerasLSTM, keras3.NeverEvaluatedCudnnKerasLSTM, dropout=0.3),
        placement=Placement({_BELOW: Drop(0.3, VARIATIONAL)}),
        sentence="two calls in evaluation mode differ: something is still sampled",
    ),
    Subject(
        "17",
        "recurrent dropout tied until an update of the library",
        "Keras 3.8.0",
        **_pair(keras3.TiedKerasLSTM, keras3.ApartKerasLSTM, dropout=0.3, recurrent_dropout=0.25),
        placement=_DYNET,
        sentence="RECURRENT at layer 0: its mask is of its own for each gate; the placement says "
        "the same for the four gates",
    ),
    Subject(
        "18",
        "masks of the first call stand for good",
        "TensorFlow, issue 29391",
        **_pair(cached.CachingLSTM, cached.NeverResetLSTM, dropout=0.3, recurrent_dropout=0.25),
        placement=_DYNET,
        sentence="INPUT at layer 0: its mask is the same at every call; the placement says new at "
        "each call",
    ),
)

WORDS = (
    Subject(
        "9",
        "equal words tied only where the whole batch repeats them",
        "BayesianRNN, issue 4",
        **_pair(words.TiedDropout, words.ComparedByBatchDropout, dropout=0.3),
        placement=Placement({Edge.EMBEDDING: Drop(0.3)}),
        sentence="EMBEDDING at layer 0: its mask is fresh at each step; the placement "
        "says the same for the whole window",
    ),
    Subject(
        "9b",
        "words dropped by position",
        "ports of awd-lstm-lm",
        **_pair(words.EmbeddedDropout, words.PositionDropout, dropout=0.3),
        placement=Placement({Edge.EMBEDDING: Drop(0.3, Sharing(batch=ALL))}),
        sentence="EMBEDDING at layer 0: its mask is fresh at each step; the placement "
        "says the same for the whole window",
    ),
)


def meant(subjects: Iterable[Subject]) -> dict[str, Subject]:
    """Each correct module once, by name and rates, with one of the bugs that it has not."""
    return {f"{s.correct.func.__name__} {s.correct.keywords}": s for s in subjects}
