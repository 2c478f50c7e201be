"""`ablate.audit`: where a running module masks, when the masks change, and who shares them."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import nn

from ablate.auditing.checks import Check, check_module
from ablate.auditing.compare import compare, judge
from ablate.auditing.dropout_layer import DropoutLayer, check_dropout_layer, measure_dropout_layer
from ablate.auditing.embedding import EmbeddingSubject, check_embedding, measure_embedding
from ablate.auditing.layer_edges import Expected, expected
from ablate.auditing.measure import Measurement, measure_layers
from ablate.auditing.recognition import find_subject, refuse_gru
from ablate.auditing.result import Audit
from ablate.auditing.subject import Subject
from ablate.auditing.visibility import find_unread, find_visibility
from ablate.compiling import eagerly
from ablate.edges import Edge
from ablate.errors import AblateError, WrongValue
from ablate.model.copies import same_stacks
from ablate.placement import Placement

_SMALL = 128  # units: a second thread costs more than it brings below

_WORDS = Edge.EMBEDDING


# What is repeated on a copy of one of ablate's modules has to sample as the module did.
@same_stacks()
def audit(
    module: nn.Module,
    placement: Placement | None = None,
    *,
    batch_first: bool | None = None,
    edge: Edge | None = None,
    names: Mapping[str, str] | None = None,
) -> Audit:
    """Find out by perturbation and by gradient where `module` drops, and compare with `placement`.

    module: an LSTM, its embedding, a language model of the two, or a layer that only drops. It is
    a black box: calls, gradients, named parameters; the audit works on copies in float64 and leaves
    the module and every generator as they were. Layout, form of the state, gates and parameters are
    found out. What cannot be is told: `batch_first` of an embedding and of a layer that only drops
    (False by default); `edge`, at which such a layer stands (by default the one that the placement
    drops); `names`, the module's parameters by the names of `torch.nn.LSTM`. Without a placement it
    reports what it found, and disagrees only where a law or a scale is broken.

    EMBEDDING is looked at in an embedding alone, every other edge in an LSTM alone. A schedule's
    rates are those at factor 1. README.md in this folder says what cannot be told from outside.

    Raises AblateError where the module has another interface, draws from a source that no seed
    reaches, or where rates by layer do not fit it.
    """
    if not isinstance(module, nn.Module):
        raise WrongValue("an audit", "a torch.nn.Module that was made", module)
    if placement is not None and not isinstance(placement, Placement):
        raise WrongValue(
            "an audit",
            "a Placement to compare with",
            placement,
            mend="a strategy's is ablate.strategies.get(name).place()",
        )
    _check_told(batch_first, edge, names)
    if isinstance(module, torch.jit.ScriptModule):
        raise AblateError(
            "an audit copies a module and hooks into it, which torch.jit does not allow; audit "
            "the module that this one was scripted or traced from"
        )
    # Masks of a few numbers: compiling takes longer than running them.
    with _one_thread(module), eagerly():
        if names or any("weight_hh" in name for name, _ in module.named_parameters()):
            subject = find_subject(module, batch_first=batch_first, names=names)
            return _audit_layers(subject, placement, batch_first=bool(batch_first))
        layout, said = _layout(module, batch_first), []
        try:
            return _audit_words(EmbeddingSubject.of(module, batch_first=layout), placement)
        except AblateError as error:
            said.append(f"as an embedding: {error}")
        try:
            bare = DropoutLayer.of(module, batch_first=layout)
        except AblateError as error:
            said.append(f"as a layer that only drops: {error}")
        else:
            return _audit_bare(bare, placement, edge, told=batch_first is not None)
        return _audit_shaped(module, placement, batch_first, said)


def _check_told(batch_first: object, edge: object, names: object) -> None:
    if not isinstance(batch_first, bool | None):
        raise WrongValue("batch_first", "True, False or None", batch_first)
    if edge is not None and not (isinstance(edge, Edge) and len(edge) == 1):
        raise WrongValue("edge", "one Edge such as Edge.INPUT, or None", edge)
    pairs = names.items() if isinstance(names, Mapping) else [(names, names)]
    if names is not None and not all(isinstance(word, str) for pair in pairs for word in pair):
        raise WrongValue(
            "names",
            "a mapping from names of torch.nn.LSTM to the module's, as in "
            "{'weight_ih_l0': 'x2h.weight'}",
            names,
        )


def _audit_shaped(
    module: nn.Module, placement: Placement | None, batch_first: bool | None, said: list[str]
) -> Audit:
    """An LSTM whose parameters have names of their own, or a refusal that says all."""
    try:
        subject = find_subject(module, batch_first=batch_first)
    except AblateError as error:
        shaped = any(4 * min(p.shape) == max(p.shape) for p in module.parameters() if p.dim() == 2)
        if shaped:
            raise
        refuse_gru(module)
        raise AblateError(
            "an audit reads an LSTM, an embedding, or a layer that only drops, and this "
            f"{type(module).__name__} is none of them. {'; '.join(said)}; as an LSTM: {error}"
        ) from None
    return _audit_layers(subject, placement, batch_first=bool(batch_first))


def _layout(module: nn.Module, batch_first: bool | None) -> bool:
    said = getattr(module, "batch_first", False)
    return said is True if batch_first is None else batch_first


def _audit_layers(subject: Subject, placement: Placement | None, *, batch_first: bool) -> Audit:
    outlook = find_visibility(subject)
    checks = check_module(subject, rows_meet_behind=outlook.rows_meet)
    sampled = any(check.name == "evaluation" and not check.holds for check in checks)
    # What is still sampled in evaluation is no matrix there, and another law's.
    unread = {} if sampled else find_unread(subject)
    subject = replace(subject, sequence_hidden=outlook.hidden, unread=unread)
    wanted = None
    if placement is not None:
        wanted = tuple(one for one in expected(placement, subject.layers) if one.edge is not _WORDS)
    found = _judged(measure_layers(subject, wanted), checks, wanted)
    if outlook.beside:
        found = replace(
            found,
            undecided=(
                *found.undecided,
                f"{outlook.beside}: a mask on that way was not measured",
            ),
        )
    if subject.form.vectors is None:
        return found
    embedding = subject.module.get_submodule(subject.form.vectors)
    words = EmbeddingSubject.of(embedding, batch_first=subject.form.batch_first or batch_first)
    return _audit_words(words, placement) | found


def _audit_words(words: EmbeddingSubject, placement: Placement | None) -> Audit:
    wanted = None
    if placement is not None:
        wanted = tuple(one for one in expected(placement, 1) if one.edge is _WORDS)
    want = wanted[0] if wanted else None
    return _judged(measure_embedding(words, want), check_embedding(words), wanted)


def _audit_bare(
    bare: DropoutLayer, placement: Placement | None, edge: Edge | None, *, told: bool
) -> Audit:
    """told: whether the layout was said and not presumed."""
    wanted = None
    if placement is not None:
        # Deep enough for every edge, and a rate by layer is that of the edge's lowest layer.
        edges = list(placement) if edge is None else [edge]
        if edge is None and len(edges) != 1:
            there = ", ".join(each.label for each in edges) or "nothing"
            raise AblateError(
                "a layer that only drops is compared with one edge, and the placement drops "
                f"{there}; say which by edge=Edge.INPUT, or --edge INPUT",
                given=tuple(edges),
            )
        (edge,) = edges
        wanted = _of_bare(placement, edge)
    layer = wanted[0].layer if wanted else 0
    want = wanted[0] if wanted else None

    def read_as(bare: DropoutLayer) -> Audit:
        return _judged(
            measure_dropout_layer(bare, edge, layer, want), check_dropout_layer(bare), wanted
        )

    found = read_as(bare)
    if told or not found.disagreements:
        return found
    other = replace(bare, batch_first=not bare.batch_first)
    if read_as(other).disagreements:
        return found
    layouts = ("[T, B, D]", "[B, T, D]")
    hint = (
        f"x was read as {layouts[bare.batch_first]}; as {layouts[other.batch_first]} nothing "
        f"differs: say batch_first={other.batch_first} if that is its layout"
    )
    return replace(found, undecided=(*found.undecided, hint))


def _of_bare(placement: Placement, edge: Edge) -> tuple[Expected, ...]:
    """What the placement means at `edge`, at the lowest layer at which it acts."""
    if edge not in placement:
        return ()
    # In the shallowest net that has the edge, where a rule by layer is its rate.
    layer = 1 if edge is Edge.INTERLAYER else 0
    drop = placement.within(layer + 1)[edge]
    rate = drop.rate_of(0)
    return (Expected(edge, layer, rate, drop),) if rate else ()


def _judged(
    measured: Measurement, checks: tuple[Check, ...], wanted: tuple[Expected, ...] | None
) -> Audit:
    broken = tuple(check.sentence for check in checks if not check.holds)
    judged = judge(measured, sampled=any(c.name == "evaluation" and not c.holds for c in checks))
    differ, undecided = (), ()
    if wanted is not None:
        compared = compare(measured, wanted)
        differ, undecided = compared.differ, compared.undecided
    return Audit(
        measured.found,
        checks,
        wanted,
        (*broken, *judged.differ, *differ),
        (*judged.undecided, *undecided),
        measured.unmeasured,
    )


@contextlib.contextmanager
def _one_thread(module: nn.Module) -> Iterator[None]:
    """Let small products run on one thread."""
    threads = torch.get_num_threads()
    widest = max((max(p.shape, default=0) for p in module.parameters()), default=0)
    if widest <= 4 * _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
