"""`ablate run`, and `ablate rebuild`, which writes what a run did for Optuna's dashboard."""

from pathlib import Path

import click

from ablate.command_line.options import PLUGINS, RESULTS, Finite, listed
from ablate.console import command, new_console, say


@command
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Profile of the study; by default its own default, `quick`.")
@click.option(
    "--strategies",
    callback=listed("none,zaremba2014"),
    metavar="A,B",
    help="Only these strategies, by name or label.",
)
@click.option("--seeds", type=int, metavar="N", help="Seeds 1 to N in place of the profile's.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the profile, as in recipe.epochs=3; may be given several times.",
)
@click.option("--data", metavar="DIR", help="Folder with train.txt, valid.txt and test.txt.")
@RESULTS
@click.option(
    "--slots", type=click.IntRange(min=0), metavar="N", help="Worker processes; 0: in this process."
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="CPU threads of each slot; by default OMP_NUM_THREADS, or the cores divided by the slots.",
)
@click.option("--device", help="cpu, cuda or cuda:0; by default every GPU, or else the CPU.")
@click.option(
    "--cohort",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Train N trials at once in each slot; by default as many as a short probe finds best.",
)
@click.option(
    "--hours",
    type=Finite(0, min_open=True),
    metavar="H",
    help="Begin nothing that would not end within so many hours; the same command goes on.",
)
@PLUGINS
@click.option("--dry-run", is_flag=True, help="Show the matrix, each plan and an estimate.")
@click.pass_context
def run(
    ctx: click.Context,
    study: str,
    profile: str | None,
    strategies: tuple[str, ...],
    seeds: int | None,
    settings: tuple[str, ...],
    data: str | None,
    results: Path,
    slots: int | None,
    threads: int | None,
    device: str | None,
    cohort: int | None,
    hours: float | None,
    plugins: tuple[Path, ...],
    dry_run: bool,
) -> None:
    """Train what is missing of a study.

    The same command again trains only what is missing, and goes on from each trial's last saved
    epoch. More seeds or rates add only the new trials.
    """
    from ablate.study import carry_out
    from ablate.study.job import Order

    order = Order(
        study=study,
        profile=profile,
        strategies=strategies,
        seeds=seeds,
        settings=settings,
        data=data,
        results=results,
        slots=slots,
        threads=threads,
        device=device,
        plugins=plugins,
    )
    console = new_console()
    prepared = carry_out.begin(order, console, cohort=cohort)
    if dry_run:
        carry_out.preview(prepared, console)
        return
    summary = carry_out.train(prepared, console, hours=hours)
    ctx.exit(1 if summary.failures else 0)


@command
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Profile of the study; by default its own default, `quick`.")
@RESULTS
@PLUGINS
def rebuild(study: str, profile: str | None, results: Path, plugins: tuple[Path, ...]) -> None:
    """Write a study's trials into a storage of Optuna's, for its dashboard and its plots.

    Trials that ended are taken from the store, and those that are next wait in it. No run needs
    the file, and none changes it.
    """
    from ablate.study.job import Order, prepare
    from ablate.study.rebuild import rebuild as write

    order = Order(study=study, profile=profile, results=results, plugins=plugins)
    path, counts = write(prepare(order))
    console = new_console()
    say(console, (f"{name}: {count} trial(s)" for name, count in counts.items()))
    look = f"`pip install optuna-dashboard` and `optuna-dashboard {path}` show it"
    say(console, [f"written: {path}; {look}"])
