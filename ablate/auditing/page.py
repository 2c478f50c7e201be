"""An audit as one self-contained HTML page."""

from ablate.auditing.result import HEADINGS, Audit
from ablate.pages import template
from ablate.placement import Placement
from ablate.version import __version__


def page(audit: Audit, *, title: str, placement: Placement | None = None) -> str:
    """The page of an audit; `title` names what was audited."""
    # The report's style sheet: a page of ablate looks like a page of ablate.
    made = template("audit.html.j2", "ablate.auditing", "ablate.report")
    return made.render(
        audit=audit,
        title=title,
        headings=HEADINGS,
        rows=list(audit.rows()),
        verdict=audit.verdict.removesuffix(":"),
        placement=placement.lines if placement is not None else (),
        version=__version__,
    )
