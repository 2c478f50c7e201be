"""An audit as one self-contained HTML page."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.loaders import ChoiceLoader

from ablate.auditing.result import HEADINGS, Audit
from ablate.placement import Placement
from ablate.version import __version__


def page(audit: Audit, *, title: str, placement: Placement | None = None) -> str:
    """The page of an audit; `title` names what was audited."""
    return (
        _environment()
        .get_template("audit.html.j2")
        .render(
            audit=audit,
            title=title,
            headings=HEADINGS,
            rows=list(audit.rows()),
            verdict=audit.verdict.removesuffix(":"),
            placement=placement.lines if placement is not None else (),
            version=__version__,
        )
    )


@cache
def _environment() -> Environment:
    # The report's style sheet: a page of ablate looks like a page of ablate.
    loaders = [PackageLoader("ablate.auditing"), PackageLoader("ablate.report")]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
