"""`ablate.audit`: where a running module masks, when the masks change, and who shares them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ablate.auditing.checks import Check, check_module
from ablate.auditing.compare import Meant, disagreements, meant, unscaled
from ablate.auditing.findings import Finding
from ablate.auditing.measure import BATCH, FEW, LONG, measure
from ablate.auditing.subject import Subject
from ablate.auditing.words import TOSSES, Words, check_words, measure_words
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.model.copies import same_stacks
from ablate.placement import Placement

_SMALL = 128  # units: a second thread costs more than it brings below


@dataclass(frozen=True, slots=True)
class Audit:
    """What a module does, and where that is not what a placement means.

    found: the masks that act; checks: the laws of every module; meant: what the placement means
    (None where none was given); disagreements: one sentence for each difference or broken law.
    """

    found: tuple[Finding, ...]
    checks: tuple[Check, ...]
    meant: tuple[Meant, ...] | None
    disagreements: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether no law is broken and the module is the placement, where one was given."""
        return not self.disagreements

    def __str__(self) -> str:
        from ablate.auditing.table import text

        return text(self)

    def __or__(self, other: "Audit") -> "Audit":
        """Two modules of one model: its embedding and its layers."""
        both = None if self.meant is None or other.meant is None else self.meant + other.meant
        return Audit(
            self.found + other.found,
            self.checks + other.checks,
            both,
            self.disagreements + other.disagreements,
        )


# What is repeated on a copy of one of ablate's modules has to toss as the module did.
@same_stacks()
def audit(
    module: nn.Module, placement: Placement | None = None, *, batch_first: bool = False
) -> Audit:
    """Find out by perturbation and by gradient where `module` drops, and compare with `placement`.

    module: anything with the call and the parameter names of `torch.nn.LSTM` (x [T, B, D] or batch
    first, which is found out), or with the interface of `torch.nn.Embedding` (tokens [T, B]; [B, T]
    where `batch_first`). It is a black box: calls, gradients, named parameters; the audit works on
    copies in float64 and leaves the module and every generator as they were. Without a placement it
    reports what it found, and disagrees only where evaluation, gradients or scale are broken.

    EMBEDDING is looked at in an embedding alone, every other edge in an LSTM alone. A schedule's
    rates are those at factor 1. README.md in this folder says what cannot be told from outside.

    Raises AblateError where the module has another interface, draws from a source that no seed
    reaches, or where rates by layer do not fit it.
    """
    if not isinstance(module, nn.Module):
        raise AblateError(f"an audit takes a torch.nn.Module that was made, got {module!r}")
    if placement is not None and not isinstance(placement, Placement):
        raise AblateError(
            f"an audit compares with a Placement, got {placement!r}; a strategy's is "
            "ablate.strategies.get(name).place()"
        )
    with _one_thread(module):
        if any("weight_hh" in name for name, _ in module.named_parameters()):
            return _audit_layers(Subject.of(module), placement)
        return _audit_words(Words.of(module, batch_first=batch_first), placement)


def _audit_layers(subject: Subject, placement: Placement | None) -> Audit:
    checks = check_module(subject)
    findings = measure(subject)
    wanted = None
    if placement is not None:
        wanted = tuple(one for one in meant(placement, subject.layers) if one.edge is not _WORDS)
    sizes = {
        "time": LONG[0],
        "update": FEW,
        "batch": BATCH,
        "unit": min(subject.hidden, subject.inputs),
        "source": subject.hidden,
    }
    return _judged(findings, checks, wanted, sizes)


def _audit_words(words: Words, placement: Placement | None) -> Audit:
    wanted = None
    if placement is not None:
        wanted = tuple(one for one in meant(placement, 1) if one.edge is _WORDS)
    return _judged(
        measure_words(words), check_words(words), wanted, {"batch": BATCH, "update": TOSSES}
    )


_WORDS = Edge.EMBEDDING


def _judged(
    findings: tuple[Finding, ...],
    checks: tuple[Check, ...],
    wanted: tuple[Meant, ...] | None,
    sizes: dict[str, int],
) -> Audit:
    broken = tuple(check.sentence for check in checks if not check.holds)
    # What is still tossed in evaluation has no scale to speak of.
    wrong = unscaled(findings) if all(c.holds for c in checks if c.name == "evaluation") else ()
    differ = () if wanted is None else disagreements(findings, wanted, sizes=sizes)
    return Audit(findings, checks, wanted, (*broken, *wrong, *differ))


@contextlib.contextmanager
def _one_thread(module: nn.Module) -> Iterator[None]:
    """Let small products run on one thread."""
    threads = torch.get_num_threads()
    widest = max((max(p.shape, default=0) for p in module.parameters()), default=0)
    if not widest:
        raise AblateError("an audit sets a module's parameters, and this module has none")
    if widest <= 4 * _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
