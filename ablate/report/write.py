"""Write the report of each study that has results: page, tables and figures beside its store."""

import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError, AblateWarning
from ablate.files import write_whole
from ablate.report.asking import Asked, asked_of
from ablate.report.combination import split
from ablate.report.figures import draw_figures
from ablate.report.frame import read_cells, read_epochs, read_trials
from ablate.report.page import Section, linked_files, render
from ablate.report.panels import panels_of
from ablate.report.style import lacking
from ablate.report.table import make_other_table
from ablate.report.tuned import shown, tuned_table
from ablate.store import Store, left_out, unnamed
from ablate.store.listing import list_stores

FOLDER = "report"
_PAGE = "index.html"

# So many signs that the typeface lacks are named.
_SIGNS = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What was written for one profile of a study: its page, and its tables as plain text."""

    study: str
    profile: str
    page: Path
    text: str


def build(
    results: Path,
    study: str | None = None,
    profile: str | None = None,
    *,
    show_test: bool = False,
    latex_columns: Sequence[str] = (),
) -> tuple[Report, ...]:
    """Write `report/` beside each store below `results`, of one study or profile where named.

    A study is named as in `ablate run`; named by the path of its file, that file as it is now says
    what is asked, what comes first and what differences are to. A store of which nothing can be
    reported is passed over where another can be, with an AblateWarning where it is damaged. Test is
    shown of what validation chose, or, with `show_test`, of every placement. `latex_columns` names
    the columns of the LaTeX table by their heads, in their order. Raises AblateError where there
    are no results, where the file has mistakes or is another study, a table has no such column, or
    the folder cannot be written.
    """
    stores = [store.whole() for store in list_stores(results, study, profile)]
    # A study that has just been begun, or is damaged, must not keep the others from being reported.
    begun = [store for store in stores if store.begun] or stores
    for damage in (store.damage() for store in stores if store not in begun):
        if damage:
            warnings.warn(damage, AblateWarning, stacklevel=2)
    asked = {store: asked_of(store, study) for store in begun}
    built = tuple(
        _build_one(store, found, show_test, latex_columns) for store, found in asked.items()
    )
    _warn_of_signs(asked)
    return built


def _build_one(store: Store, asked: Asked, show_test: bool, latex_columns: Sequence[str]) -> Report:
    cells = asked.of(read_cells(store))
    parts = split(read_trials(store, cells), read_epochs(store), cells, asked.baseline)
    sections = tuple(
        Section(
            f"{store.study}-{store.profile}",
            part,
            tuned_table(part, show_test=show_test),
            draw_figures(part),
            make_other_table(shown(part), show_test=show_test),
            panels_of(part, store),
            latex_columns,
        )
        for part in parts
        if len(part.trials)
    )
    notes = tuple(filter(None, [*_notes(store), *asked.notes, asked.absent(cells)]))
    page = render(
        store.study,
        store.profile,
        question=asked.question,
        sections=sections,
        unstarted=tuple(part for part in parts if part.trials.empty and len(part.missing)),
        again=store.command("report"),
        forget={
            label: store.command("forget", label)
            for section in sections
            if section.others
            for label in section.others.rows["label"]
        },
        notes=notes,
    )
    folder = store.folder / FOLDER
    files = _files(sections)
    try:
        _write(folder, files, page)
    except OSError as error:
        raise AblateError(
            f"the report cannot be written into {folder}: {error.strerror or error}; "
            "make the folder writable, or copy the results to one that is"
        ) from error
    width = shutil.get_terminal_size((100, 24)).columns
    text = _text(store, sections, notes, width)
    return Report(store.study, store.profile, folder / _PAGE, text)


def _warn_of_signs(stores: Iterable[Store]) -> None:
    """Say once which signs of all the names the figures cannot show."""
    labels = {label for store in stores for label in store.cells().column("label").to_pylist()}
    missing = lacking("".join(sorted(labels)))
    if missing:
        more = " and others" if len(missing) > _SIGNS else ""
        warnings.warn(
            f"the figures' typeface has no {' '.join(missing[:_SIGNS])}{more}: the PNG files show "
            "boxes, and the page, the SVG files and the tables the signs themselves",
            AblateWarning,
            stacklevel=3,
        )


def _files(sections: tuple[Section, ...]) -> Mapping[str, bytes]:
    """Every file beside the page, by its path below the report's folder."""
    files: dict[str, bytes] = {}
    for section in sections:
        for table in (section.table, *section.panels):
            for suffix, text in section.files_of(table).items():
                files[f"{section.name_of(table)}.{suffix}"] = text.encode()
        for figure in section.figures:
            name = f"figures/{section.prefix}{figure.name}"
            files[f"{name}.svg"] = figure.svg.encode()
            files[f"{name}.png"] = figure.png
            files[f"{name}.csv"] = figure.csv.encode()
    return files


def _write(folder: Path, files: Mapping[str, bytes], page: str) -> None:
    """Write all files, the page last; what the earlier page has and this one has not goes.

    No other file is touched: a reader may keep files of his own here.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    stale = _linked_from(folder / _PAGE) - files.keys()
    for name, content in {**files, _PAGE: page.encode()}.items():
        write_whole(folder / name, lambda file, content=content: file.write(content))
    for path in filter(Path.is_file, (folder / name for name in stale)):
        path.unlink()


def _linked_from(page: Path) -> frozenset[str]:
    """The files of the report whose page lies there; none where there is no page that is text."""
    try:
        return linked_files(page.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError):
        return frozenset()


def _text(store: Store, sections: tuple[Section, ...], notes: tuple[str, ...], width: int) -> str:
    blocks = []
    for section in sections:
        part, caption = section.part, section.table.caption
        heading = f"{store.study} ({store.profile}): {part.heading}, {part.headline} epoch"
        verdict = section.table.verdict
        above = [heading, verdict, ""] if verdict else [heading, ""]
        if section.table.hides_test:
            again = store.command("report", "--show-test", "all")
            caption = f"{caption} `{again}` shows every test."
        below = [caption, ""] if caption else []
        said = [sentence for sentence in section.findings if sentence != verdict]
        blocks.append("\n".join([*above, section.table.text(width), *below, *said]))
        if missing := part.missing["key"].nunique():
            many, them = (
                ("1 trial has", "it") if missing == 1 else (f"{missing} trials have", "them")
            )
            blocks[-1] += f"\n{many} not run yet; the page names {them}."
        for panel in section.panels:
            below = [panel.caption] if panel.caption else []
            blocks.append("\n".join([f"{panel.title}:", "", panel.text(width), *below]))
        if section.others:
            label = str(section.others.rows["label"].iloc[0])
            drop = f"`{store.command('forget', label)}` drops {label}."
            head = "Also in this store, not in the study file, and in no count above:"
            blocks += [head, f"{section.others.text(width)}\n{drop}"]
    return "\n\n".join([*blocks, *notes])


def _notes(store: Store) -> tuple[str, ...]:
    """What a reader must know before the numbers: trials left out, and files found damaged."""
    notes = [left_out(store), unnamed(store), store.damage()]
    damaged = store.set_aside()
    if damaged:
        names = ", ".join(path.relative_to(store.folder).as_posix() for path in damaged)
        notes.append(f"damaged and set aside: {names}")
    return tuple(filter(None, notes))
