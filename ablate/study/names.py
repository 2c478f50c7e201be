"""The names under which a store knows its trials: each of one placement, that asked for last.

A plugin that was edited makes another placement of the same arguments, and that is another key.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ablate.facts import canonical_json, facts_text
from ablate.store import Row, Store
from ablate.store.store import combination_of
from ablate.study.cells import Cell, Entry


def register(entries: Sequence[Entry], store: Store, listed: Sequence[str] | None = None) -> None:
    """Write the names of `entries` into `store`, and set aside those of their earlier versions.

    A strategy at its arguments, and a label, have in one combination one placement at every seed: a
    seed that is not among `entries` keeps its name where its trial is of that placement, gets it
    back where an edit was undone, and loses it otherwise. Names that nobody asked for stay.

    `listed` are the labels that the study file has now, in its order: in the combinations of
    `entries`, each name is asked for by the file or, from now on, not. Without it, names keep what
    they are.
    """
    rows = cell_rows(entries)
    asked = {_point(row): entry for row, entry in zip(rows, entries, strict=True)}
    labelled = {_labelled(row): entry for row, entry in zip(rows, entries, strict=True)}
    kept: list[Entry] = []
    earlier: list[Row] = []
    for row in [*store.cells().to_pylist(), *store.earlier().to_pylist()]:
        own = asked.get(_point(row))
        entry = own or labelled.get(_labelled(row))
        if entry is None:
            continue
        present = replace(entry, cell=replace(entry.cell, seed=row["seed"]))
        same = present.cell.key == row["key"]
        if same:
            kept.append(present)
        # A label that now stands for other arguments has its trials under those alone.
        if not (same and own):
            earlier.append(row)
    rows += cell_rows(kept)
    written = {(row["key"], *_point(row)) for row in [*rows, *earlier]}
    others = [row for row in store.cells().to_pylist() if (row["key"], *_point(row)) not in written]
    rows += _reconsidered(others, {combination_of(row) for row in rows}, listed)
    store.write_cells(rows, earlier=earlier)


def _reconsidered(
    rows: Sequence[Row], combinations: Collection[tuple[str, ...]], listed: Sequence[str] | None
) -> Iterator[Row]:
    """Those of `rows` that the study file lists again, elsewhere, or no more."""
    if listed is None:
        return
    places = {label: place for place, label in enumerate(listed)}
    for row in rows:
        place = places.get(row["label"])
        if combination_of(row) not in combinations:
            continue
        if place is not None and (row["asked"] is False or row["position"] != place):
            yield row | {"asked": True, "position": place}
        elif place is None and row["asked"] is not False:
            # Differences are to no point that the file has not.
            behind = len(places) + row["position"]
            yield row | {"asked": False, "position": behind, "baseline": False}


def cell_rows(entries: Sequence[Entry]) -> list[Row]:
    """The rows of `cells.parquet`."""
    return [
        {
            "key": entry.cell.key,
            "strategy": entry.strategy,
            "arguments": canonical_json(entry.arguments),
            "label": entry.label,
            "dial": entry.dial,
            "dial_value": entry.dial_value,
            "position": entry.position,
            "baseline": entry.baseline,
            "asked": entry.asked,
            **columns(entry.cell),
        }
        for entry in entries
    ]


def columns(cell: Cell) -> Row:
    """What a cell is, in the columns that `cells` and `trials` share."""
    return {
        "seed": cell.seed,
        "corpus": cell.corpus,
        "corpus_digest": cell.corpus_digest,
        "text": canonical_json(changed) if (changed := cell.text.changed()) else None,
        "net": facts_text(cell.net),
        "recipe": facts_text(cell.recipe),
        "precision": cell.precision,
    }


def _point(row: Row) -> tuple[str, ...]:
    return row["strategy"], row["arguments"], *combination_of(row)


def _labelled(row: Row) -> tuple[str, ...]:
    return row["label"], *combination_of(row)
