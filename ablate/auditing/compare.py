"""Where a module and a placement disagree, one sentence for each difference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ablate.auditing.findings import EXACT, Finding, Silent
from ablate.auditing.layer_edges import Expected
from ablate.auditing.measure import Measurement
from ablate.auditing.probes import SIGNAL
from ablate.auditing.sharing import SURE
from ablate.auditing.tails import ERRORS, unseen
from ablate.drops import ALL, Extent, Fill, Scale
from ablate.edges import Edge
from ablate.noise import BERNOULLI

_LONGEST = 12  # steps: sharing over more was not looked at

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
class Comparison:
    """One sentence for each difference, and one for each question that was left open."""

    differ: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


def compare(measured: Measurement, wanted: Sequence[Expected]) -> Comparison:
    """Every difference between what was found and what was meant, and what cannot be told."""
    found = {(f.edge, f.layer, f.fill): f for f in measured.found if not f.written}
    unmeasured = {(one.edge, one.layer): one for one in measured.unmeasured}
    differ = [
        f"the state handed on at layer {f.layer} is masked when it is written (rate "
        f"{_rate(f)}), so that the next call begins from a masked state; a mask on RECURRENT "
        "acts when the gates read, and leaves the state whole"
        for f in measured.found
        if f.written
    ]
    undecided: list[str] = []
    meant = {(want.edge, want.layer) for want in wanted}
    for want in wanted:
        key = (want.edge, want.layer, want.drop.fill)
        state = (Edge.RECURRENT, want.layer, Fill.ZERO)
        if want.edge is Edge.WEIGHT and key not in found and state[:2] not in meant:
            # Of a mask that every row of the batch shares the two are one function.
            if state in found and found[state].sharing.get("batch") is ALL:
                found[key] = _as_weight(found.pop(state))
        finding = found.pop(key, None)
        if finding is not None:
            differ += _differences(finding, want, measured.sizes)
            undecided += _open(finding, want)
        elif (one := unmeasured.get((want.edge, want.layer))) is not None:
            silent = measured.silent.get(want.at)
            if one.shut and silent is not None and not unseen(1.0 - want.rate, silent.decisions):
                differ.append(
                    f"{_where(want)}: nothing comes through; the placement drops there with rate "
                    f"{want.rate:g}"
                )
        else:
            silent = measured.silent[want.at]
            if _gone(silent, want):
                differ.append(
                    f"{_where(want)}: nothing drops; the placement "
                    f"{_verb(want.drop.fill)}s there with rate {want.rate:g}"
                )
            else:
                undecided.append(
                    f"{_where(want)}: whether anything {_verb(want.drop.fill)}s cannot be told "
                    f"at rate {want.rate:g} with {silent.decisions:,} decisions, none of which did"
                )
    for finding in found.values():
        differ.append(
            f"{finding.where}: the module {_verb(finding.fill)}s with rate {_rate(finding)}; the "
            "placement is silent there"
        )
    return Comparison(tuple(differ), tuple(undecided))


def _as_weight(state: Finding) -> Finding:
    """A mask on the state that is the same for all rows as one on weights, all units alike."""
    sharing = {axis: state.sharing.get(axis) for axis in ("update", "gate")}
    often = state.sharing.get("time")
    steps = {} if often is ALL else {"time": often}
    return replace(
        state,
        edge=Edge.WEIGHT,
        sharing=sharing | {"source": state.sharing.get("unit"), "unit": ALL} | steps,
    )


def judge(measured: Measurement, *, sampled: bool = False) -> Comparison:
    """What is wrong or left open of the findings alone, whatever was meant.

    sampled: a mask that is still sampled in evaluation has no scale to speak of.
    """
    findings = [finding for finding in measured.found if not finding.written and not sampled]
    wrong = [
        f"{finding.where}: the scale is wrong: {_scaling(finding)}"
        for finding in findings
        if finding.scaled is False
    ]
    undecided = [
        f"{finding.where}: the scale is undecided: {_scaling(finding)}; a right scale, none and "
        f"one that is applied twice cannot be told apart at rate {_rate(finding)} with "
        f"{finding.seen:,} decisions"
        for finding in findings
        if finding.scaled is None and finding.evaluation is not None and finding.kept != 0.0
    ]
    undecided += [
        f"{finding.where}: the scale is undecided: what stands there in evaluation was not seen"
        for finding in findings
        if finding.evaluation is None and finding.kept != 0.0
    ]
    undecided += [one.sentence for one in measured.unmeasured]
    # Where evaluation samples, its steps differ as its calls do.
    return Comparison((*wrong, *(() if sampled else measured.unsteady)), tuple(undecided))


def _scaling(finding: Finding) -> str:
    """How training and evaluation multiply a value."""
    if finding.fill is Fill.HOLD:
        return (
            f"training holds with rate {_rate(finding)}, and evaluation keeps "
            f"{finding.evaluation:.4g} of the old value"
        )
    if finding.kept is None:
        return f"the mean is {finding.mean:.4g} in training, {finding.evaluation:.4g} in evaluation"
    return (
        f"what is kept is multiplied by {finding.kept:.6g} in training, what stands there in "
        f"evaluation by {finding.evaluation:.6g}, and the rate is {_rate(finding)}"
    )


def _gone(silent: Silent, want: Expected) -> bool:
    """Whether the drop that is meant is not there."""
    if not unseen(want.rate, silent.decisions):
        return True
    scaled = want.drop.scale is Scale.TRAIN and want.drop.noise == BERNOULLI
    if want.drop.fill is Fill.HOLD or not scaled or silent.kept is None:
        return False
    # What is kept would be larger, whether or not a drop was seen.
    return want.rate > 2.0 * EXACT and abs(silent.kept * (1.0 - want.rate) - 1.0) > EXACT


def _where(want: Expected) -> str:
    return f"{want.edge.label} at layer {want.layer}"


def _verb(fill: Fill) -> str:
    return "hold" if fill is Fill.HOLD else "drop"


def _rate(finding: Finding) -> str:
    """A rate in as many figures as its error leaves, two at the least."""
    if finding.error <= 0.0002:
        return f"{finding.rate:.3g}"
    return f"{finding.rate:.{2 if finding.error > 0.002 else 3}f}"


def _differences(finding: Finding, want: Expected, sizes: Mapping[str, int]) -> Iterator[str]:
    wrong_rate = finding.refutes(want.rate, want.rate)
    if wrong_rate:
        verb = _verb(finding.fill)
        sentence = (
            f"{finding.where}: it {verb}s with rate {_rate(finding)}; the placement says "
            f"{want.rate:g}"
        )
        if not finding.refutes(1.0 - want.rate, 1.0 - want.rate):
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
    # A scale that is wrong by itself has a sentence already.
    if finding.scaled is not False and want.drop.noise == BERNOULLI:
        yield from _scales(finding, want, rate_is_right=not wrong_rate)


def _scales(finding: Finding, want: Expected, *, rate_is_right: bool) -> Iterator[str]:
    """Where the scale is not what the placement says, to the accuracy of what was read."""
    scale = want.drop.scale or Scale.TRAIN
    other = finding.scaled and finding.scale != scale.value and finding.gain is None
    if other and want.rate > 2.0 * EXACT:
        yield f"{finding.where}: the scale is {finding.scale}; the placement says {scale.value}"
        return
    if not rate_is_right or not _off(finding, want, scale):
        return
    if finding.fill is Fill.HOLD:
        means = f"{want.rate:g} of the old value in evaluation"
    else:
        kept, still = _multipliers(scale, want.rate)
        means = f"{kept:.6g} in training and {still:.6g} in evaluation"
        if finding.gain is not None:
            means += ", or as many times a common factor"
    yield (
        f"{finding.where}: the scale is not that of rate {want.rate:g}: {_scaling(finding)}; the "
        f"placement's {scale.value} means {means}"
    )


def _multipliers(scale: Scale, rate: float) -> tuple[float, float]:
    """What a scale multiplies a kept value by, and what stands there in evaluation."""
    return (1.0, 1.0 - rate) if scale is Scale.TEST else (1.0 / (1.0 - rate), 1.0)


def _off(finding: Finding, want: Expected, scale: Scale) -> bool:
    """Whether a multiplier is another than the one that is meant."""
    allowed = EXACT + ERRORS * finding.evaluation_error
    if finding.fill is Fill.HOLD:
        still = finding.evaluation
        return still is not None and abs(still - want.rate) > allowed
    kept, still = _multipliers(scale, want.rate)
    if finding.kept and (gain := finding.gain) is not None:
        # What multiplies in training and in evaluation alike is no scale of the mask's.
        apart = allowed / abs(gain) + (SIGNAL * finding.kept) ** 2
        return abs(finding.kept / gain * (1.0 - want.rate) - 1.0) > apart
    bent = EXACT + (SIGNAL * kept) ** 2
    if finding.kept and abs(finding.kept / kept - 1.0) > bent:
        return True
    return finding.evaluation is not None and abs(finding.evaluation - still) > allowed


def _open(finding: Finding, want: Expected) -> Iterator[str]:
    """What too few drops leave open of a finding, and how often it changes where that is hidden."""
    if finding.kept is None and finding.seen < 2.0 * SURE:
        yield (
            f"{finding.where}: whether the rate of its noise is {want.rate:g} cannot be told with "
            f"{finding.seen:,} decisions"
        )
    for axis, extent in want.drop.shared.given():
        if axis not in finding.sharing or finding.sharing[axis] is not None:
            continue
        if axis == "time":
            yield f"{finding.where}: whether its mask is {_reach(axis, extent)} was not seen"
        elif finding.dropped is not None and finding.rarer < 2.0 * SURE:
            yield (
                f"{finding.where}: whether its mask is {_reach(axis, extent)} cannot be told at "
                f"rate {want.rate:g} with {finding.seen:,} decisions"
            )


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
