"""Where a module and a placement disagree, one sentence for each difference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ablate.auditing.findings import Finding
from ablate.drops import ALL, Drop, Extent, Fill, Scale
from ablate.edges import Edge, layers_of
from ablate.noise import BERNOULLI
from ablate.placement import Placement

_LONGEST = 12  # steps: sharing over more was not looked at

_SELDOM = 1e-4  # a chance smaller than this of seeing no drop is a drop that is not there

_REACH = {
    "time": ("fresh at each step", "the same for the whole window", "the same for {} steps"),
    "word": ("of its own for each word", "the same for all words of a row", ""),
    "batch": ("of its own for each row", "the same for the whole batch", "the same for {} rows"),
    "gate": ("of its own for each gate", "the same for the four gates", ""),
    "unit": ("of its own for each unit", "the same for all units", "the same for {} units"),
    "source": ("of its own for each source", "the same for all sources", "the same for {} sources"),
    "update": ("new at each call", "the same at every call", "the same for {} calls"),
}


@dataclass(frozen=True, slots=True)
class Meant:
    """What a placement means at one edge of one layer."""

    edge: Edge
    layer: int
    rate: float
    drop: Drop


def meant(placement: Placement, layers: int) -> tuple[Meant, ...]:
    """What a placement means, layer by layer."""
    placement.check(layers)
    return tuple(
        Meant(edge, layer, drop.rate_of(index), drop)
        for edge, drop in placement.items()
        for index, layer in enumerate(layers_of(edge, layers))
        if drop.rate_of(index)
    )


def disagreements(
    findings: Sequence[Finding], wanted: Sequence[Meant], *, sizes: Mapping[str, int]
) -> tuple[str, ...]:
    """Every difference between what was found and what was meant.

    sizes: the length of an axis, beyond which sharing cannot be told from ALL.
    """
    found = {(f.edge, f.layer, f.fill): f for f in findings if not f.written}
    sentences = [
        f"the state handed on at layer {f.layer} is masked when it is written (rate "
        f"{f.rate:.2f}), so that the next call begins from a masked state; a mask on RECURRENT "
        "acts when the gates read, and leaves the state whole"
        for f in findings
        if f.written
    ]
    for want in wanted:
        finding = found.pop((want.edge, want.layer, want.drop.fill), None)
        if finding is None:
            if (1.0 - want.rate) ** _decisions(want, sizes) > _SELDOM:
                continue
            sentences.append(
                f"{_where(want)}: nothing drops; the placement {_verb(want.drop.fill)}s there with "
                f"rate {want.rate:g}"
            )
        else:
            sentences += _differences(finding, want, sizes)
    for finding in found.values():
        sentences.append(
            f"{finding.where}: the module {_verb(finding.fill)}s with rate {finding.rate:.2f}; the "
            "placement is silent there"
        )
    return tuple(sentences)


def unscaled(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Findings whose evaluation has not the mean of training, in sentences."""
    return tuple(
        f"{finding.where}: the scale is wrong: the mean of the mask is {finding.mean:.2f} in "
        f"training, and {finding.evaluation:.2f} stands there in evaluation"
        for finding in findings
        if finding.scaled is False
    )


def _decisions(want: Meant, sizes: Mapping[str, int]) -> float:
    """How many separate decisions of an edge an audit must have seen, at the least."""
    count = 1.0
    for axis in ("batch", "unit", "update"):
        extent = getattr(want.drop.shared, axis)
        if isinstance(extent, int):
            count *= max(1, sizes.get(axis, 1) // extent)
    return count


def _where(want: Meant) -> str:
    return f"{want.edge.label} at layer {want.layer}"


def _verb(fill: Fill) -> str:
    return "hold" if fill is Fill.HOLD else "drop"


def _differences(finding: Finding, want: Meant, sizes: Mapping[str, int]) -> Iterator[str]:
    if abs(finding.rate - want.rate) > 5.0 * finding.error + 0.005:
        verb = _verb(finding.fill)
        sentence = (
            f"{finding.where}: it {verb}s with rate {finding.rate:.2f}; the placement says "
            f"{want.rate:g}"
        )
        if abs(finding.rate + want.rate - 1.0) < 5.0 * finding.error + 0.005:
            sentence += ", the probability of dropping, not that of keeping"
        yield sentence
    for axis, extent in want.drop.shared.given():
        shown = finding.sharing.get(axis)
        if shown is None or _same(shown, extent, min(sizes.get(axis, _LONGEST), _LONGEST * 8)):
            continue
        yield (
            f"{finding.where}: its mask is {_reach(axis, shown)}; the placement says "
            f"{_reach(axis, extent)}"
        )
    if finding.fill is Fill.ZERO and finding.scaled and want.drop.noise == BERNOULLI:
        scale = want.drop.scale or Scale.TRAIN
        if finding.scale != scale.value:
            yield f"{finding.where}: the scale is {finding.scale}; the placement says {scale.value}"


def _same(shown: Extent, extent: Extent, size: int) -> bool:
    """Whether what was seen on an axis of `size` neighbours fits what is meant."""
    if shown == extent:
        return True
    return shown is ALL and isinstance(extent, int) and extent >= size


def _reach(axis: str, extent: Extent) -> str:
    own, whole, some = _REACH[axis]
    if extent is ALL:
        return whole
    return own if extent == 1 else some.format(extent)
