"""`ablate explain` and `ablate audit`: one placement, as it is meant and as a module has it."""

from pathlib import Path

import click

from ablate.command_line.options import PLUGINS, SETTINGS, check_folder, load_plugins, write
from ablate.console import command, new_console, print_text, say


@command
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
@SETTINGS
@PLUGINS
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

    load_plugins(plugins)
    given, net = read_settings(settings), {"layers": layers, "cell": get(cell)}
    render(strategy, given, console=new_console(), n=steps, **net)


@command
@click.argument("strategy", required=False)
@click.option(
    "--module",
    metavar="FILE:FACTORY",
    help="Audit what this function makes: an LSTM, its embedding, or a layer that only drops.",
)
@click.option(
    "--layers", type=click.IntRange(1), help="Layers of ablate's own module; 2 by default."
)
@SETTINGS
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
@PLUGINS
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

    check_folder("--page", page)
    load_plugins(plugins)
    audited = run_audit(
        strategy,
        read_settings(settings),
        module=module,
        layers=layers,
        batch_first=batch_first,
        edge=read_edge(edge),
        names=read_names(names),
    )
    say(new_console(), [audited.title])
    new_console().print(audited.audit)
    if page is not None:
        text = page_of(audited.audit, title=audited.title, placement=audited.placement)
        write("--page", page, text)
        print_text(f"page: {page}")
    ctx.exit(1 if audited.audit.disagreements else 0)
