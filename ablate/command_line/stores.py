"""`ablate status` and `ablate forget`: what a results folder holds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.command_line.options import RESULTS, Finite
from ablate.console import command, new_console, print_text, say
from ablate.errors import AblateError

if TYPE_CHECKING:
    from ablate.store.listing import Counts


@command
@click.option("--study", help="Only this study; by default every study that has results.")
@click.option("--profile", help="Only this profile.")
@RESULTS
@click.option("--json", "as_json", is_flag=True, help="One line of JSON, for scripts.")
@click.option(
    "--watch",
    type=Finite(min=0.1),
    is_flag=False,
    flag_value=5.0,
    metavar="[SECONDS]",
    help="Show it again every so many seconds, 5 by default, until nothing runs.",
)
def status(
    study: str | None, profile: str | None, results: Path, as_json: bool, watch: float | None
) -> None:
    """Show how far each study is: trials by how they ended, and what is under way."""
    from ablate.store import overview
    from ablate.store.listing import count_trials, list_stores

    def look() -> list["Counts"]:
        return [count_trials(store) for store in list_stores(results, study, profile)]

    if as_json:
        for found in overview.looks(look, watch):
            print_text(overview.as_json(found))
    else:
        overview.show(new_console(), overview.looks(look, watch))


@command
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Profile of the study; needed where several have results.")
@RESULTS
@click.option(
    "--diverged", is_flag=True, help="Only trials that diverged or failed, and keep their names."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("points", nargs=-1, metavar="[LABEL_OR_STRATEGY]...")
@click.pass_context
def forget(
    ctx: click.Context,
    study: str,
    profile: str | None,
    results: Path,
    diverged: bool,
    yes: bool,
    points: tuple[str, ...],
) -> None:
    """Delete the trials of points that are no longer wanted, and their names.

    A trial that has another name stays. What the study file asks for, the next run trains again.
    """
    from ablate.store import forget as forgetting
    from ablate.store.listing import open_store

    if not (points or diverged):
        raise AblateError("say what to forget: labels or strategies, or --diverged")
    store, console = open_store(study, profile, results), new_console()
    forgetting.check_study(store, study)
    with store.lock():
        find = forgetting.find_ended_badly if diverged else forgetting.find_points
        found = find(store, points)
        if found.empty:
            say(console, ["nothing diverged or failed: there is nothing to forget"])
            return
        say(console, forgetting.describe(store, found))
        if again := forgetting.again(store, found):
            say(console, [again])
        if not (yes or _asks()):
            raise AblateError("nobody can be asked here, and nothing was deleted: add --yes")
        if not (yes or click.confirm("Delete them?")):
            say(console, ["nothing was deleted"])
            ctx.exit(1)
        forgetting.forget(store, found)
    say(console, [f"deleted; next: `{store.command('report')}`"])


def _asks() -> bool:
    """Whether somebody can answer a question."""
    return sys.stdin.isatty()
