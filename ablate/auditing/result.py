"""An audit as people read it: a table of masks, the laws that were checked, the differences."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from ablate.auditing.checks import Check
from ablate.auditing.findings import Finding, Unmeasured
from ablate.auditing.layer_edges import Expected
from ablate.drops import ALL, Extent, Fill
from ablate.tables import plain_table, printed

HEADINGS = ("edge", "layer", "what", "rate", "changes", "shared by", "scale", "seen")

_CHANGES = {1: "every step", ALL: "every window"}
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Audit:
    """What a module does, and where that is not what a placement means.

    found: the masks that act; checks: the laws of every module; expected: what the placement means
    (None where none was given); disagreements: one sentence for each difference or broken law;
    undecided: one for each question that the calls that were made leave open; unmeasured: edges of
    which nothing can be told, and why.
    """

    found: tuple[Finding, ...]
    checks: tuple[Check, ...]
    expected: tuple[Expected, ...] | None
    disagreements: tuple[str, ...]
    undecided: tuple[str, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether no law is broken, the module is the placement, and nothing was left open.

        An audit that neither agrees nor disagrees has `undecided` and no `disagreements`.
        """
        return not self.disagreements and not self.undecided

    def __str__(self) -> str:
        return printed(self, _WIDTH)

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [Text("no mask acts"), Text()]
        if self.found or self.unmeasured:
            table = plain_table()
            for heading in HEADINGS:
                table.add_column(heading, no_wrap=heading != "shared by")
            for row in self.rows():
                table.add_row(*row)
            parts[0] = table
        for check in self.checks:
            parts.append(Text(f"{'holds ' if check.holds else 'BROKEN'}  {check.sentence}"))
        parts += [Text(), Text(self.verdict, style="bold")]
        parts += [Text(f"  - {sentence}") for sentence in self.disagreements]
        if self.undecided:
            parts += [Text(), Text("not decided:", style="bold")]
            parts += [Text(f"  - {sentence}") for sentence in self.undecided]
        return Group(*parts)

    def __or__(self, other: "Audit") -> "Audit":
        """Two modules of one model: its embedding and its layers."""
        both = None
        if self.expected is not None and other.expected is not None:
            both = self.expected + other.expected
        return Audit(
            self.found + other.found,
            self.checks + other.checks,
            both,
            self.disagreements + other.disagreements,
            self.undecided + other.undecided,
            self.unmeasured + other.unmeasured,
        )

    @property
    def verdict(self) -> str:
        """One sentence: what the audit comes to."""
        count = len(self.disagreements)
        open_ = "; not everything was decided" if self.undecided else ""
        if self.expected is None:
            laws = "law is" if count == 1 else "laws are"
            return f"{count or 'no'} {laws if count else 'law is'} broken{':' if count else open_}"
        if count:
            return f"{count} disagreement{'s' if count > 1 else ''}:"
        if open_:
            return f"nothing that was seen differs from the placement{open_}"
        return "the module does what the placement says"

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The table's rows under `HEADINGS`, one a mask, in the order of the listing."""
        for finding in sorted(self.found, key=lambda one: (one.edge.number, one.layer)):
            yield (
                finding.name or ("state, as written" if finding.written else finding.edge.label),
                str(finding.layer),
                "hold" if finding.fill is Fill.HOLD else _what(finding),
                _rate(finding),
                _changes(finding),
                _shared(finding),
                _scale(finding),
                f"{finding.seen:,}",
            )
        for one in self.unmeasured:
            yield (one.edge.label, str(one.layer), "not measured", *[""] * 5)


def _rate(finding: Finding) -> str:
    """A rate and its standard error in as many figures as the error has two of."""
    figures = next((n for n in (3, 5, 7) if finding.error >= 0.5 * 10.0**-n), 9)
    return f"{finding.rate:.{figures}f} ± {finding.error:.{figures}f}"


def _scale(finding: Finding) -> str:
    """The scale, and the factor of training and evaluation beside it."""
    if finding.gain is None or finding.scale not in ("TRAIN", "TEST"):
        return finding.scale
    return f"right, x {finding.gain:.4g}"


def _what(finding: Finding) -> str:
    return "noise" if finding.kept is None else "drop"


def _changes(finding: Finding) -> str:
    if finding.sharing.get("update") is ALL:
        return "never"
    time = finding.sharing.get("time", ALL)
    often = "not seen" if time is None else _CHANGES.get(time) or f"every {time} steps"
    update = finding.sharing.get("update")
    if isinstance(update, int) and update > 1:
        return f"{often}, anew every {update} calls"
    return often


def _shared(finding: Finding) -> str:
    words = [
        _many(axis, extent)
        for axis, extent in finding.sharing.items()
        if axis not in ("time", "update") and extent not in (1, None)
    ]
    if finding.sharing.get("word") == 1:
        words.insert(0, "equal words")
    return ", ".join(words) or "each its own"


def _many(axis: str, extent: Extent) -> str:
    if extent is ALL:
        return {"batch": "batch", "gate": "gates", "word": "all words"}.get(axis, f"{axis}s")
    return f"{extent} {axis}s"
