"""What findings and README say of a run is what the run says."""

import re

import pytest
from snippets import README, ROOT

RUNS = ROOT / "results/reference"
PAGE = ROOT / "docs/evidence/findings.md"

_RUN = re.compile(r"results/reference/([\w-]+)/README\.md")
_NUMBER = re.compile(r"(?<![\w.])[+\u2212]?\d*\.\d+(?: ± \d+\.\d+)?(?!\w|\.\d)")


def findings() -> list[str]:
    """The points of both pages that name a run."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in (PAGE, README))
    points = re.split(r"^(?=\* |#)", text, flags=re.MULTILINE)
    return [point for point in points if point.startswith("* ") and _RUN.search(point)]


@pytest.mark.parametrize("finding", findings(), ids=lambda point: point[:40])
def test_each_number_of_a_finding_stands_in_a_run_that_it_names(finding: str):
    """With its sign and its interval, as the run's tables or text have it."""
    pages = [page for name in _RUN.findall(finding) for page in (RUNS / name).glob("*.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    said = _NUMBER.findall(" ".join(finding.split()))
    assert not [number for number in said if not any(number in text for text in texts)]


def test_every_run_of_study_placement_is_in_the_findings():
    """But for the quick one, whose placements the larger `tenth` has too."""
    runs = {page.parent.name for page in RUNS.glob("placement-*/README.md")}
    assert runs - {"placement-quick"} <= set(_RUN.findall(PAGE.read_text(encoding="utf-8")))
