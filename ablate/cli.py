"""The command line: parses and prints, decides nothing."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, TypeVar

import click

from ablate.console import (
    Commands,
    entry,
    new_console,
    open_pages,
    print_text,
    say,
    say_warnings,
)
from ablate.docstrings import docstring
from ablate.errors import AblateError
from ablate.version import __version__

if TYPE_CHECKING:
    from ablate.store.listing import Counts

Given = TypeVar("Given")

_RESULTS = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    metavar="DIR",
    help="Folder of the results.",
)
_PLUGINS = click.option(
    "--plugin",
    "plugins",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A Python file with strategies of your own; may be given several times.",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ablate")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Where, how often and how should dropout be placed in a recurrent network?

    A study trains one net under many placements and seeds; a report shows what came of it.
    """
    ctx.call_on_close(say_warnings())


if main.help is None and main.callback is not None:
    main.help = docstring(main.callback)


@main.command()
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Profile of the study; by default its own default, `quick`.")
@click.option("--strategies", metavar="A,B", help="Only these strategies, by name or label.")
@click.option("--seeds", type=int, metavar="N", help="Seeds 1 to N in place of the profile's.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the profile, as in recipe.epochs=3; may be given several times.",
)
@click.option("--data", metavar="DIR", help="Folder with train.txt, valid.txt and test.txt.")
@_RESULTS
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
    type=click.FloatRange(0, min_open=True),
    metavar="H",
    help="Begin nothing that would not end within so many hours; the same command goes on.",
)
@_PLUGINS
@click.option("--dry-run", is_flag=True, help="Show the matrix, each plan and an estimate.")
@click.pass_context
def run(
    ctx: click.Context,
    study: str,
    profile: str | None,
    strategies: str | None,
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
        strategies=() if strategies is None else _names(strategies),
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


@main.command()
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Profile of the study; by default its own default, `quick`.")
@_RESULTS
@_PLUGINS
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


@main.command()
@click.option("--study", help="Only this study; by default every study that has results.")
@click.option("--profile", help="Only this profile.")
@_RESULTS
@click.option(
    "--show-test",
    type=click.Choice(["chosen", "all"]),
    default="chosen",
    help="Of which placements test is shown: what validation chose in each sweep, or all.",
)
@click.option("--open", "opening", is_flag=True, help="Open each page in the default browser.")
def report(
    study: str | None, profile: str | None, results: Path, show_test: str, opening: bool
) -> None:
    """Write each study's page, figures and tables, and print its table."""
    from ablate.report import build

    written = build(results, study, profile, show_test=show_test == "all")
    for built in written:
        print_text(built.text)
        print_text(f"page: {built.page}\n")
    if opening and not open_pages(built.page for built in written):
        print_text("no browser can be opened here; the page is a file that any browser opens")


@main.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    multiple=True,
    default=(Path("results"),),
    show_default="results",
    metavar="DIR",
    help="Folder of the results; twice for that of A and that of B.",
)
@click.option(
    "--combination",
    "combinations",
    multiple=True,
    metavar="NAME",
    help="A combination's name, or a part of it; twice for that of A and that of B.",
)
@click.option("--csv", type=click.Path(path_type=Path), metavar="FILE", help="Write it as CSV.")
@click.option(
    "--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write it as Markdown."
)
def compare(
    a: str,
    b: str,
    results: tuple[Path, ...],
    combinations: tuple[str, ...],
    csv: Path | None,
    markdown: Path | None,
) -> None:
    """Set two studies, profiles or results folders side by side: is the order the same?

    A and B are each STUDY, STUDY:PROFILE, or a folder such as results/placement/quick. Placements
    are compared by validation perplexity, in each combination of corpus, net, recipe and precision
    that both have, or between the only ones that they have.
    """
    from ablate.report.compare import compare as compare_stores
    from ablate.store.listing import named_store

    files = {"--csv": csv, "--markdown": markdown}
    for option, file in files.items():
        _check_folder(option, file)
    here, there = _each("--results", results)
    stores = named_store(a, here), named_store(b, there)
    compared = compare_stores(*stores, _each("--combination", combinations or (None,)))
    print_text(compared.text(get_terminal_size((100, 24)).columns))
    for (option, file), text in zip(files.items(), (compared.csv, compared.markdown), strict=True):
        if file is not None:
            _write(option, file, text())
            print_text(f"written: {file}")


@main.command()
@click.option("--study", help="Only this study; by default every study that has results.")
@click.option("--profile", help="Only this profile.")
@_RESULTS
@click.option("--json", "as_json", is_flag=True, help="One line of JSON, for scripts.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0.1),
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


@main.command()
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Profile of the study; needed where several have results.")
@_RESULTS
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


@main.command()
def studies() -> None:
    """List the studies that a name alone finds: the shipped ones and those in ./studies."""
    from ablate.store.studies import all_studies
    from ablate.study.file import read_study

    console = new_console()
    for name, path in all_studies().items():
        try:
            study = read_study(path)
        except AblateError as error:
            say(console, [f"{name}  {error}", ""])
            continue
        profiles = (
            f"{profile} (default)" if profile == study.default_profile else profile
            for profile in study.profiles
        )
        entry(console, name, study.question, profiles=", ".join(profiles), file=str(path))


@main.command()
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Only this profile; by default every one of the study.")
@_PLUGINS
def cite(study: str, profile: str | None, plugins: tuple[Path, ...]) -> None:
    """Print the BibTeX of everything that a study uses: placements, corpus, recipe, software."""
    from ablate.cite import bibliography, used_by
    from ablate.study.file import find_study

    _load(plugins)
    found, _ = find_study(study)
    print_text(bibliography(used_by(found, profile)), end="")


@main.command()
@_PLUGINS
def strategies(plugins: tuple[Path, ...]) -> None:
    """List the strategies, those of plugins and of other installed packages included."""
    from ablate.strategies import all_strategies

    _load(plugins)
    console = new_console()
    for strategy in all_strategies():
        default = ", ".join(f"{name}={value}" for name, value in strategy.arguments().items())
        entry(
            console,
            strategy.name,
            strategy.summary,
            paper=strategy.paper,
            dial=strategy.dial,
            default=default,
            origin=strategy.origin,
        )


@main.command()
@click.argument("strategy")
@click.option("--layers", type=click.IntRange(1), default=2, show_default=True, help="Layers.")
@click.option("--cell", default="lstm", show_default=True, help="lstm, gru, rnn or rnn_relu.")
@click.option(
    "--steps",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Count from the word this many steps before t to the prediction as many after it.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="An argument of the strategy, as in rate=.5; may be given several times.",
)
@_PLUGINS
def explain(
    strategy: str,
    layers: int,
    cell: str,
    steps: int,
    settings: tuple[str, ...],
    plugins: tuple[Path, ...],
) -> None:
    """Draw STRATEGY on the unrolled net, with its masks, its plan and what it touches."""
    from ablate.cells import get
    from ablate.explain import render
    from ablate.study.changes import read_settings

    _load(plugins)
    given, net = read_settings(settings), {"layers": layers, "cell": get(cell)}
    render(strategy, given, console=new_console(), n=steps, **net)


@main.command()
@click.argument("strategy", required=False)
@click.option(
    "--module",
    metavar="FILE:FACTORY",
    help="Audit what this function makes: an LSTM, its embedding, or a layer that only drops.",
)
@click.option(
    "--layers", type=click.IntRange(1), help="Layers of ablate's own module; 2 by default."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="An argument of the strategy, as in rate=.5; may be given several times.",
)
@click.option(
    "--batch-first/--time-first",
    default=None,
    help="Whether the module's input is [B, T, D] or [T, B, D]; found out where calls show it.",
)
@click.option(
    "--edge",
    metavar="EDGE",
    help="The edge at which a layer that only drops stands, as in INPUT.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="KEY=NAME",
    help="A parameter of the module by torch.nn.LSTM's name, as in weight_ih_l0=x2h.weight.",
)
@click.option("--page", type=click.Path(path_type=Path), metavar="FILE", help="Write an HTML page.")
@_PLUGINS
@click.pass_context
def audit(
    ctx: click.Context,
    strategy: str | None,
    module: str | None,
    layers: int | None,
    settings: tuple[str, ...],
    batch_first: bool | None,
    edge: str | None,
    names: tuple[str, ...],
    page: Path | None,
    plugins: tuple[Path, ...],
) -> None:
    """Show where a running module masks, and whether that is what STRATEGY means.

    Without --module it is ablate's own LSTM at STRATEGY; without STRATEGY it says what it found.
    Ends with exit code 1 where module and placement disagree, or a law of every module is broken;
    what cannot be decided is said, and ends with 0.
    """
    from ablate.auditing.command import read_edge, read_names, run_audit
    from ablate.auditing.page import page as page_of
    from ablate.study.changes import read_settings

    _check_folder("--page", page)
    _load(plugins)
    audited = run_audit(
        strategy,
        read_settings(settings),
        module=module,
        layers=layers,
        batch_first=batch_first,
        edge=read_edge(edge),
        names=read_names(names),
    )
    if page is not None:
        text = page_of(audited.audit, title=audited.title, placement=audited.placement)
        _write("--page", page, text)
    say(new_console(), [audited.title])
    new_console().print(audited.audit)
    if page is not None:
        print_text(f"page: {page}")
    ctx.exit(1 if audited.audit.disagreements else 0)


def _each(option: str, given: Sequence[Given]) -> tuple[Given, Given]:
    """What an option gives for A and for B: once for both, or twice."""
    if len(given) > 2:
        raise AblateError(
            f"{option} takes one value for A and B, or one for each, got {len(given)}",
            given=given,
        )
    return given[0], given[-1]


def _check_folder(option: str, file: Path | None) -> None:
    """Raise AblateError, before any work, where a file has no folder to be written into."""
    if file is not None and not file.parent.is_dir():
        raise AblateError(f"{option} {file}: there is no folder '{file.parent}'; make it first")


def _write(option: str, file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AblateError(f"{option} {file} cannot be written: {error.strerror}") from error


def _asks() -> bool:
    """Whether somebody can answer a question."""
    return sys.stdin.isatty()


def _names(given: str) -> tuple[str, ...]:
    names = tuple(name for name in map(str.strip, given.split(",")) if name)
    if not names:
        raise AblateError(
            f"--strategies takes names such as none,zaremba2014, got '{given}'", given=given
        )
    return names


def _load(plugins: Iterable[Path]) -> None:
    from ablate.strategies.plugins import load_file

    for path in plugins:
        load_file(path)
