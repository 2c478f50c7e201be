"""One self-contained HTML page: question, tables, figures, what is missing, where it comes from."""

from dataclasses import dataclass
from functools import cache

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ablate.placement import Placement
from ablate.report.columns import Cell, Column
from ablate.report.combination import Combination
from ablate.report.figures import Drawn
from ablate.report.findings import findings
from ablate.report.inline import inline
from ablate.report.kinds import NOWHERE, WHENS, WHERES, When, Where, when, where
from ablate.report.provenance import provenance
from ablate.report.statistics import PLACEMENT
from ablate.report.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One combination as the page shows it, with the names of its files."""

    part: Combination
    table: Table
    figures: tuple[Drawn, ...]

    @property
    def prefix(self) -> str:
        """What stands before this section's file names: empty where it is the only one."""
        return f"{self.part.slug}-" if self.part.slug else ""

    @property
    def rows(self) -> list[tuple[Where, When, bool, list[Cell]]]:
        """The table's rows: kind, whether it is the baseline, entries."""
        texts, marks = self.table.rows["placement"], self.table.rows["label"] == self.table.baseline
        return [
            (where(text), when(text), mark, [cells[index] for index in self._shown])
            for text, mark, cells in zip(texts, marks, self.table.entries, strict=True)
        ]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The table's columns that the page shows."""
        return tuple(self.table.columns[index] for index in self._shown)

    @property
    def _shown(self) -> list[int]:
        return [index for index, column in enumerate(self.table.columns) if column.page]

    @property
    def findings(self) -> list[str]:
        """What the table says, in sentences."""
        return findings(self.part, self.table)

    @property
    def provenance(self) -> list[tuple[str, str]]:
        """Versions, machine and time."""
        return provenance(self.part)

    @property
    def placements(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each placement's label, its drops, one an edge, and its schedule where it has one."""
        rows = zip(self.table.rows["label"], self.table.rows["placement"], strict=True)
        return [(str(label), Placement.parse(text).lines) for label, text in rows]

    @property
    def missing(self) -> list[str]:
        """The trials that have not run yet, by name."""
        return names_of(self.part.missing)

    @property
    def diverged(self) -> list[str]:
        """The diverged trials, with the epoch they came to."""
        rows = self.part.trials[self.part.trials["status"] == "diverged"]
        ends = rows["epochs"].map(lambda epoch: "" if pd.isna(epoch) else f" in epoch {epoch:.0f}")
        return [f"{name}{end}" for name, end in zip(_each(rows), ends, strict=True)]

    @property
    def failed(self) -> list[str]:
        """The failed trials, with the last error."""
        rows = self.part.trials[self.part.trials["status"] == "failed"]
        errors = rows["error"].fillna("no reason was recorded")
        return [f"{name}: {error}" for name, error in zip(_each(rows), errors, strict=True)]

    def svg(self, figure: Drawn) -> Markup:
        """A figure as an element of the page."""
        return Markup(inline(figure.svg, name=f"{self.prefix}{figure.name}", title=figure.title))


def render(
    study: str,
    profile: str,
    *,
    question: str | None,
    sections: tuple[Section, ...],
    unstarted: tuple[Combination, ...],
    notes: tuple[str, ...] = (),
) -> str:
    """Return the page of one profile of a study.

    `unstarted` are combinations of which nothing has run yet, `notes` what the reader must know
    before the numbers.
    """
    kinds = {kind for s in sections for text in s.table.rows["placement"] for kind in _kinds(text)}
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            study=study,
            profile=profile,
            question=question,
            sections=sections,
            unstarted=[(part.title, names_of(part.missing)) for part in unstarted],
            notes=notes,
            wheres=[kind for kind in WHERES if kind in kinds],
            whens=[kind for kind in WHENS if kind in kinds],
            version=_version(sections),
        )
    )


def names_of(cells: pd.DataFrame) -> list[str]:
    """`zaremba2014 .5 (seeds 1, 2)` for each placement among the cells."""
    groups = cells.sort_values("position", kind="stable").groupby([*PLACEMENT, "label"], sort=False)
    return [
        f"{label} ({'seeds' if len(group) > 1 else 'seed'} {_listed(group['seed'])})"
        for (_, _, label), group in groups
    ]


def _listed(seeds: pd.Series) -> str:
    return ", ".join(map(str, sorted(seeds)))


def _each(rows: pd.DataFrame) -> list[str]:
    return [
        f"{label}, seed {seed}" for label, seed in zip(rows["label"], rows["seed"], strict=True)
    ]


def _kinds(placement: str) -> tuple[Where | When, ...]:
    place = where(placement)
    return (place,) if place is NOWHERE else (place, when(placement))


def _version(sections: tuple[Section, ...]) -> str:
    versions = sorted({str(v) for s in sections for v in s.part.trials["ablate_version"].unique()})
    return ", ".join(versions)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ablate.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
