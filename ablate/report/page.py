"""One self-contained HTML page: question, tables, figures, what is missing, where it comes from."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

import pandas as pd
from markupsafe import Markup

from ablate.pages import template
from ablate.placement import Placement
from ablate.report.captions import setting_words, table_caption
from ablate.report.columns import Column, Entry
from ablate.report.combination import Combination
from ablate.report.exports import files_of
from ablate.report.figures import Drawn
from ablate.report.findings import findings
from ablate.report.grid import entries_of
from ablate.report.inline import inline
from ablate.report.kinds import (
    EDGE_GROUPS,
    MASK_LIFETIMES,
    NOWHERE,
    EdgeGroup,
    MaskLifetime,
    edge_group,
    mask_lifetime,
)
from ablate.report.panel import Panel
from ablate.report.provenance import provenance
from ablate.report.statistics import PLACEMENT
from ablate.report.sweeps import chosen_by_validation
from ablate.report.table import Table
from ablate.report.tuned import findings as tuned_findings
from ablate.report.tuned import is_tuned, shown
from ablate.status import Status

# A file of the report as the templates link to it: in the page's folder, or in that of the figures.
_LINK: Final = re.compile(r'<a href="([^"]+)" download>')
_FOLDERS: Final = ((), ("figures",))


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One combination as the page shows it, with its files; `name` is the study's and profile's.

    `printed` names the columns of the main table in LaTeX; without it they are the usual ones.
    """

    name: str
    part: Combination
    table: Table
    figures: tuple[Drawn, ...]
    others: Table | None = None
    panels: tuple[Panel, ...] = ()
    printed: Sequence[str] = ()

    @property
    def prefix(self) -> str:
        """What stands before this section's file names: empty where it is the only one."""
        return f"{self.part.slug}-" if self.part.slug else ""

    @property
    def findings(self) -> list[str]:
        """What the table says, and what was searched, in sentences."""
        return [*findings(shown(self.part), self.table), *tuned_findings(self.part)]

    def name_of(self, table: Table | Panel) -> str:
        """What the files of the main table, or of a panel, are called."""
        return f"{self.prefix}{table.name if isinstance(table, Panel) else 'table'}"

    @property
    def caption(self) -> str:
        """The main table's caption."""
        return table_caption(self.part, self.table)

    def files_of(self, table: Table | Panel) -> Mapping[str, str]:
        """What stands in the files of the main table, or of a panel, by suffix."""
        main = isinstance(table, Table)
        words = self.caption if main else f"{table.title}. {table.caption}".strip()
        return files_of(
            table,
            caption=f"{words} {setting_words(self.part, train=main or not table.dropout_on)}",
            label=f"{self.name}-{self.name_of(table)}".removesuffix("-table"),
            others=self.others if main else None,
            printed=self.printed,
        )

    @property
    def choices(self) -> tuple[str, ...]:
        """All rows, and those that validation chose, in words; empty where they are the same."""
        if _chosen(self.table).all():
            return ()
        if self.searched:
            return "what validation chose, and default points", "what validation chose"
        return "every placement", "the best of each sweep, by validation"

    @property
    def known(self) -> bool:
        """Whether the table has perplexities over the words that the vocabulary has."""
        return any(str(name).endswith("_known_ppl") for name in self.table.rows.columns)

    @property
    def searched(self) -> bool:
        """Whether the table's rows are searches."""
        return is_tuned(self.part)

    @property
    def provenance(self) -> list[tuple[str, str]]:
        """Versions, machine and time."""
        return provenance(self.part)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The table of what the study asks, and that of what else its store holds."""
        return (self.table, self.others) if self.others else (self.table,)

    @property
    def placements(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each placement's label, its drops, one an edge, and its schedule where it has one."""
        return [
            (str(label), Placement.parse(str(text)).lines)
            for table in self.tables
            for label, text in zip(table.rows["label"], table.rows["placement"], strict=True)
        ]

    @property
    def missing(self) -> list[str]:
        """The trials that have not run yet, by name."""
        return names_of(self.part.missing)

    @property
    def diverged(self) -> list[str]:
        """The diverged trials, with the epoch they came to."""
        rows = self._of_status(Status.DIVERGED)
        ends = rows["epochs"].map(lambda epoch: "" if pd.isna(epoch) else f" in epoch {epoch:.0f}")
        return [f"{name}{end}" for name, end in zip(_each(rows), ends, strict=True)]

    @property
    def failed(self) -> list[str]:
        """The failed trials, with the last error."""
        rows = self._of_status(Status.FAILED)
        errors = rows["error"].fillna("no reason was recorded")
        return [f"{name}: {error}" for name, error in zip(_each(rows), errors, strict=True)]

    def _of_status(self, status: str) -> pd.DataFrame:
        every = (self.part.trials, self.part.others)
        found = [rows[rows["status"] == status] for rows in every if len(rows)]
        return pd.concat(found)

    def svg(self, figure: Drawn) -> Markup:
        """A figure as an element of the page."""
        return Markup(inline(figure.svg, name=f"{self.prefix}{figure.name}", title=figure.title))


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table as the page shows it; `chosen` by validation, or the baseline."""

    where: EdgeGroup
    when: MaskLifetime
    baseline: bool
    chosen: bool
    entries: tuple[Entry, ...]


def lines_of(table: Table) -> list[Line]:
    """A table's rows as the page shows them."""
    shown = [index for index, column in enumerate(table.columns) if column.page]
    texts, marks = table.rows["placement"], table.rows["label"] == table.baseline
    return [
        Line(
            edge_group(text),
            mask_lifetime(text),
            mark,
            chosen,
            tuple(entries[index] for index in shown),
        )
        for text, mark, chosen, entries in zip(
            texts, marks, _chosen(table), table.entries, strict=True
        )
    ]


def columns_of(table: Table | Panel) -> list[Column]:
    """The columns of a table or panel that the page shows."""
    return [column for column in table.columns if column.page]


def entries_shown(panel: Panel) -> list[list[Entry]]:
    """A panel's rows as the page shows them."""
    return entries_of(columns_of(panel), panel.rows)


def render(
    study: str,
    profile: str,
    *,
    question: str | None,
    sections: tuple[Section, ...],
    unstarted: tuple[Combination, ...],
    again: str,
    forget: Mapping[str, str],
    notes: tuple[str, ...] = (),
) -> str:
    """Return the page of one profile of a study.

    `unstarted` are combinations of which nothing has run yet, `notes` what the reader must know
    before the numbers. `again` is the command that makes the page, `forget` gives for each label
    outside the study file the one that drops its trials.
    """
    shown = [table for section in sections for table in section.tables]
    script = Markup(template("page.js", "ablate.report").render())
    kinds = {kind for table in shown for text in table.rows["placement"] for kind in _kinds(text)}
    return template("page.html.j2", "ablate.report").render(
        study=study,
        profile=profile,
        question=question,
        sections=sections,
        unstarted=[(part.name, names_of(part.missing)) for part in unstarted],
        notes=notes,
        again=again,
        forget=forget,
        lines_of=lines_of,
        columns_of=columns_of,
        entries_shown=entries_shown,
        zip=zip,
        wheres=[kind for kind in EDGE_GROUPS if kind in kinds],
        whens=[kind for kind in MASK_LIFETIMES if kind in kinds],
        version=_version(sections),
        script=script,
        script_digest=_digest(script),
    )


def linked_files(page: str) -> frozenset[str]:
    """Every file that a page offers beside itself, by its path below the report's folder.

    These are all that a report writes. What has no link is not the report's.
    """
    names = {unquote(html.unescape(address)) for address in _LINK.findall(page)}
    return frozenset(name for name in names if PurePosixPath(name).parts[:-1] in _FOLDERS)


def names_of(cells: pd.DataFrame) -> list[str]:
    """`zaremba2014 .5 (seeds 1, 2)` for each placement among the cells."""
    groups = cells.sort_values("position", kind="stable").groupby([*PLACEMENT, "label"], sort=False)
    return [
        f"{label} ({'seeds' if len(group) > 1 else 'seed'} {_listed(group['seed'])})"
        for (_, _, label), group in groups
    ]


def _chosen(table: Table) -> pd.Series:
    """Which rows validation chose: of a search its point, of a sweep its lowest mean."""
    rows = table.rows
    return rows["chosen"].ne(False) if "chosen" in rows else chosen_by_validation(rows)


def _digest(script: str) -> str:
    """What the page's policy knows its script by: whatever a name or an error holds, runs not."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _listed(seeds: pd.Series) -> str:
    return ", ".join(map(str, sorted(seeds)))


def _each(rows: pd.DataFrame) -> list[str]:
    return [
        f"{label}, seed {seed}" for label, seed in zip(rows["label"], rows["seed"], strict=True)
    ]


def _kinds(placement: str) -> tuple[EdgeGroup | MaskLifetime, ...]:
    place = edge_group(placement)
    return (place,) if place is NOWHERE else (place, mask_lifetime(placement))


def _version(sections: tuple[Section, ...]) -> str:
    versions = sorted({str(v) for s in sections for v in s.part.trials["ablate_version"].unique()})
    return ", ".join(versions)
