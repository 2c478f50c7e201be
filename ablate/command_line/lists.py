"""`ablate studies`, `ablate strategies` and `ablate cite`: what there is, and whose it is."""

from pathlib import Path

import click

from ablate.command_line.options import PLUGINS, load_plugins
from ablate.console import command, entry, new_console, print_text, say
from ablate.errors import AblateError


@command
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


@command
@PLUGINS
def strategies(plugins: tuple[Path, ...]) -> None:
    """List the strategies, those of plugins and of other installed packages included."""
    from ablate.strategies import all_strategies

    load_plugins(plugins)
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


@command
@click.option("--study", required=True, help="Name of a study, or the path of a study file.")
@click.option("--profile", help="Only this profile; by default every one of the study.")
@PLUGINS
def cite(study: str, profile: str | None, plugins: tuple[Path, ...]) -> None:
    """Print the BibTeX of everything that a study uses: placements, corpus, recipe, software."""
    from ablate.cite import bibliography, used_by
    from ablate.study.file import find_study

    load_plugins(plugins)
    found, _ = find_study(study)
    print_text(bibliography(used_by(found, profile)), end="")
