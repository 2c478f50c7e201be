"""What `ablate status` shows of the stores below a results folder: a table, lines, or JSON."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ablate.console import say
from ablate.quantities import duration
from ablate.store.listing import Counts
from ablate.tables import plain_table

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

# So many trials under way are named; the others are counted.
_NAMED: Final = 10
# Reading a large store takes time that a run beside it has not: so many times that is waited.
_REST: Final = 9


def looks(
    look: Callable[[], Sequence[Counts]],
    every: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Sequence[Counts]]:
    """What `look` finds: once, or every so many seconds until nothing runs, the end included."""
    while True:
        began = clock()
        yield (found := look())
        if every is None or not any(one.holder for one in found):
            return
        sleep(max(every, _REST * (clock() - began)))


def show(console: "Console", found: Iterable[Sequence[Counts]]) -> None:
    """Show one look after the other: in one place on a terminal, as blocks elsewhere."""
    from rich.live import Live

    if not console.is_terminal:
        for number, counts in enumerate(found):
            if number:
                console.print()
            _print(console, counts)
        return
    last: Sequence[Counts] = ()
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            for last in found:
                live.update(_whole(last), refresh=True)
    finally:
        # What stays on the screen is whole, where the live one ends with it; after Ctrl-C too.
        if last:
            _print(console, last)


def _whole(found: Sequence[Counts]) -> "Group":
    from rich.console import Group
    from rich.text import Text

    return Group(table(found), *map(Text, lines(found)))


def _print(console: "Console", found: Sequence[Counts]) -> None:
    console.print(table(found))
    say(console, lines(found))


def table(found: Sequence[Counts]) -> "Table":
    """One row a profile: its trials by how they ended."""
    headings = list(found[0].columns) if found else []
    shown = plain_table("study", "profile")
    for heading in headings:
        shown.add_column("all" if heading == "total" else heading, justify="right")
    for one in found:
        shown.add_row(one.study, one.profile, *map(str, one.columns.values()))
    return shown


def lines(found: Sequence[Counts]) -> Iterator[str]:
    """What is under way, which files were damaged, and which are."""
    for one in found:
        if one.holder:
            yield from _under_way(one)
    for one in found:
        yield from (f"damaged, set aside: {path}" for path in one.set_aside)
    yield from (one.damage for one in found if one.damage)
    yield from (one.unnamed for one in found if one.unnamed)


def as_json(found: Sequence[Counts]) -> str:
    """All of it as one line of JSON; ablate/store/README.md has the keys."""
    return json.dumps({"stores": [_facts(one) for one in found]})


def _facts(one: Counts) -> dict[str, Any]:
    return {
        "study": one.study,
        "profile": one.profile,
        "trials": one.columns,
        "set_aside": [str(path) for path in one.set_aside],
        "damage": one.damage,
        "unnamed": one.unnamed,
        "running": one.holder is not None,
        "holder": one.holder,
        "under_way": one.under_way,
    }


def _under_way(one: Counts) -> Iterator[str]:
    run, name = one.under_way, f"{one.study} {one.profile}"
    if run is None:
        yield f"{name}: held by {one.holder}"
        return
    yield (
        f"{name}: {run['done']}/{run['total']} trials, {duration(run['elapsed'])}"
        f"{_left(run)}, {one.holder}"
    )
    for trial in run["trials"][:_NAMED]:
        waits = f", compiling {trial['compiling']}" if trial["compiling"] else ""
        epoch = f"{int(10 * trial['epoch']) / 10:g}/{trial['epochs']}"
        yield f"  {trial['name']}: epoch {epoch}{_left(trial)}{waits}"
    if more := run["trials"][_NAMED:]:
        yield f"  and {len(more)} more"


def _left(facts: Mapping[str, Any]) -> str:
    return "" if facts["left"] is None else f", about {duration(facts['left'])} left"
