"""What combinations are called: corpus, net and precision, and whatever else tells them apart.

`ptb, LSTM 2 × 200, fp32` where there is only one; beside another of the same corpus and net it is
`ptb, LSTM 2 × 200, fp32, epochs 1, learning rate 0.5`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ablate.cells import CELLS, LSTM
from ablate.model.net import Net
from ablate.training.recipe import Recipe

_DIGITS = 8
_LONGEST_SLUG = 80

Row = Mapping[str, Any]
Kind = TypeVar("Kind", bound=BaseModel)


def completed_net(text: str) -> str:
    """A net's JSON with the fields that an earlier ablate did not write, at their defaults."""
    found = _parsed(text, Net)
    if found is None:
        return text
    # An embedding as wide as the layers is the one that is left out.
    alike = found.embedding in (None, found.hidden)
    return found.model_copy(update={"embedding": None} if alike else {}).model_dump_json()


def completed_recipe(text: str) -> str:
    """A recipe's JSON with the fields that an earlier ablate did not write, at their defaults."""
    found = _parsed(text, Recipe)
    return text if found is None else found.model_dump_json()


def _parsed(text: str, kind: type[Kind]) -> Kind | None:
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        # A later ablate's, or a hand's: it is what it is.
        return None


def corpus_words(row: Row) -> str:
    """The corpus's name, of a folder its last part, and how its text was read where that differs
    from a text as it is: `mine (min_count 2, lowercase)`."""
    name, options = PurePath(str(row["corpus"])).name, text_words(row.get("text"))
    return f"{name} ({options})" if options else name


def text_words(text: object) -> str:
    """The options under which a text was read, in words; empty for none or where unknown."""
    given = json.loads(text) if isinstance(text, str) and text else {}
    return ", ".join(
        name if value is True else f"{name} {value}" for name, value in sorted(given.items())
    )


def net_words(net: Mapping[str, Any]) -> str:
    """The net in a few words: `LSTM 2 × 200`."""
    cell = str(net.get("cell", LSTM.name))
    title = CELLS[cell].title if cell in CELLS else cell
    words = f"{title} {net.get('layers', '?')} \N{MULTIPLICATION SIGN} {net.get('hidden', '?')}"
    embedding = net.get("embedding")
    return words if embedding in (None, net.get("hidden")) else f"{words}, embedding {embedding}"


def name_all(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Return the names of combinations, and their slugs for files; no two of either are equal.

    `rows` have the columns of `cells`, one a combination. A slug is empty where there is only one.
    """
    heads = [_head(row) for row in rows]
    names = [", ".join([head, *rest]) for head, rest in zip(heads, _differences(rows), strict=True)]
    names = _numbered(names, " ")
    if len(rows) < 2:
        return names, [""] * len(rows)
    slugs = [
        "-".join([_slug(row), *rest]) for row, rest in zip(rows, _differences(rows), strict=True)
    ]
    return names, _numbered([_letters(slug)[:_LONGEST_SLUG].strip("-") for slug in slugs], "-")


def differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What two recipes, nets or the like have otherwise: its name in words, and both values.

    What one of them does not state is `unknown`.
    """
    names = dict.fromkeys([*here, *there])
    both = [
        (name.replace("_", " "), *(_spell(each.get(name, "unknown")) for each in (here, there)))
        for name in names
    ]
    return [(name, ours, theirs) for name, ours, theirs in both if ours != theirs]


def _head(row: Row) -> str:
    net = net_words(json.loads(row["net"]))
    return f"{corpus_words(row)}, {net}, {row['precision']}"


def _slug(row: Row) -> str:
    net = json.loads(row["net"])
    cell = net.get("cell", LSTM.name)
    other = "" if cell == LSTM.name else f"{cell}-"
    return f"{corpus_words(row)}-{other}{net.get('layers')}x{net.get('hidden')}-{row['precision']}"


def _differences(rows: Sequence[Row]) -> list[list[str]]:
    """For each combination what its head does not say and the others have otherwise."""
    tables = [_facts(row) for row in rows]
    differing = [
        name
        for name in dict.fromkeys(name for table in tables for name in table)
        if len({_spell(table.get(name)) for table in tables}) > 1
    ]
    found = [[_fact(name, table[name]) for name in differing if name in table] for table in tables]
    for row, words in zip(rows, found, strict=True):
        alike = {
            other["corpus_digest"] for other in rows if corpus_words(other) == corpus_words(row)
        }
        if len(alike) > 1:
            words.insert(0, f"corpus {row['corpus_digest'][:_DIGITS]}")
    return found


def _facts(row: Row) -> dict[str, Any]:
    shown = ("layers", "hidden", "embedding", "cell")
    net = {name: value for name, value in json.loads(row["net"]).items() if name not in shown}
    return net | json.loads(row["recipe"])


def _fact(name: str, value: Any) -> str:
    return f"{name.replace('_', ' ')} {_spell(value)}"


def _spell(value: Any) -> str:
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return value if isinstance(value, str) else json.dumps(value)


def _letters(text: str) -> str:
    kept = "".join(letter if letter.isalnum() else "-" for letter in text)
    return "-".join(filter(None, kept.split("-"))).lower()


def _numbered(names: Iterable[str], between: str) -> list[str]:
    """Number the names that occur more than once."""
    names, seen, distinct = list(names), dict[str, int](), list[str]()
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if names.count(name) == 1 else f"{name}{between}{seen[name]}")
    return distinct
