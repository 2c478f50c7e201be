"""`ablate report` and `ablate compare`: what came of a study."""

from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TypeVar

import click

from ablate.command_line.options import RESULTS, check_folder, listed, write
from ablate.console import command, open_pages, print_text
from ablate.errors import AblateError

Given = TypeVar("Given")


@command
@click.option("--study", help="Only this study; by default every study that has results.")
@click.option("--profile", help="Only this profile.")
@RESULTS
@click.option(
    "--show-test",
    type=click.Choice(["chosen", "all"]),
    default="chosen",
    help="Of which placements test is shown: what validation chose in each sweep, or all.",
)
@click.option(
    "--latex-columns",
    callback=listed("placement,valid,gap"),
    metavar="A,B",
    help="Columns of the LaTeX table by their heads, such as placement,valid,test,gap.",
)
@click.option("--open", "opening", is_flag=True, help="Open each page in the default browser.")
def report(
    study: str | None,
    profile: str | None,
    results: Path,
    show_test: str,
    latex_columns: tuple[str, ...],
    opening: bool,
) -> None:
    """Write each study's page, figures and tables, and print its table."""
    from ablate.report import build

    written = build(
        results, study, profile, show_test=show_test == "all", latex_columns=latex_columns
    )
    for built in written:
        print_text(built.text)
        print_text(f"page: {built.page}\n")
    if opening and not open_pages(built.page for built in written):
        print_text("no browser can be opened here; the page is a file that any browser opens")


@command
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
        check_folder(option, file)
    here, there = _each("--results", results)
    stores = named_store(a, here), named_store(b, there)
    compared = compare_stores(*stores, _each("--combination", combinations or (None,)))
    print_text(compared.text(get_terminal_size((100, 24)).columns))
    for (option, file), text in zip(files.items(), (compared.csv, compared.markdown), strict=True):
        if file is not None:
            write(option, file, text())
            print_text(f"written: {file}")


def _each(option: str, given: Sequence[Given]) -> tuple[Given, Given]:
    """What an option gives for A and for B: once for both, or twice."""
    if len(given) > 2:
        raise AblateError(
            f"{option} takes one value for A and B, or one for each, got {len(given)}",
            given=given,
        )
    return given[0], given[-1]
