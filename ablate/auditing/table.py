"""An audit as people read it: a table of masks, the laws that were checked, the differences."""

from collections.abc import Iterator
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ablate.auditing.audit import Audit
from ablate.auditing.findings import Finding
from ablate.drops import ALL, Extent, Fill

HEADINGS = ("edge", "layer", "what", "rate", "changes", "shared by", "scale", "seen")

_CHANGES = {1: "every step", ALL: "every window"}


def rows(audit: Audit) -> Iterator[tuple[str, ...]]:
    """The table's rows, one a mask, in the order of the listing."""
    for finding in sorted(audit.found, key=lambda one: (one.edge.number, one.layer)):
        yield (
            finding.name or ("state, as written" if finding.written else finding.edge.label),
            str(finding.layer),
            "hold" if finding.fill is Fill.HOLD else _what(finding),
            _rate(finding),
            _changes(finding),
            _shared(finding),
            finding.scale,
            f"{finding.seen:,}",
        )
    for one in audit.unmeasured:
        yield (one.edge.label, str(one.layer), "not measured", *[""] * 5)


def verdict(audit: Audit) -> str:
    """One sentence: what the audit comes to."""
    count = len(audit.disagreements)
    open_ = "; not everything was decided" if audit.undecided else ""
    if audit.meant is None:
        laws = "law is" if count == 1 else "laws are"
        return f"{count or 'no'} {laws if count else 'law is'} broken{':' if count else open_}"
    if count:
        return f"{count} disagreement{'s' if count > 1 else ''}:"
    if open_:
        return f"nothing that was seen differs from the placement{open_}"
    return "the module does what the placement says"


def renderable(audit: Audit) -> RenderableType:
    """The audit for a terminal."""
    parts: list[RenderableType] = []
    if audit.found or audit.unmeasured:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in HEADINGS:
            table.add_column(heading, no_wrap=heading != "shared by")
        for row in rows(audit):
            table.add_row(*row)
        parts += [table, Text()]
    else:
        parts += [Text("no mask acts"), Text()]
    for check in audit.checks:
        parts.append(Text(f"{'holds ' if check.holds else 'BROKEN'}  {check.sentence}"))
    parts += [Text(), Text(verdict(audit), style="bold")]
    parts += [Text(f"  - {sentence}") for sentence in audit.disagreements]
    if audit.undecided:
        parts += [Text(), Text("not decided:", style="bold")]
        parts += [Text(f"  - {sentence}") for sentence in audit.undecided]
    return Group(*parts)


def text(audit: Audit, *, width: int = 110) -> str:
    """The audit as plain text."""
    out = StringIO()
    Console(file=out, width=width, color_system=None, highlight=False).print(renderable(audit))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _rate(finding: Finding) -> str:
    """A rate and its standard error in as many figures as the error has two of."""
    figures = next((n for n in (3, 5, 7) if finding.error >= 0.5 * 10.0**-n), 9)
    return f"{finding.rate:.{figures}f} ± {finding.error:.{figures}f}"


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
