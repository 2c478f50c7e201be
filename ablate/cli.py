"""The command line: `ablate` and its commands."""

from typing import Final

import click

from ablate.command_line.lists import cite, strategies, studies
from ablate.command_line.placements import audit, explain
from ablate.command_line.reading import compare, report
from ablate.command_line.running import rebuild, run
from ablate.command_line.stores import forget, status
from ablate.console import Commands, say_warnings
from ablate.docstrings import docstring
from ablate.version import __version__

_COMMANDS: Final = (
    audit,
    cite,
    compare,
    explain,
    forget,
    rebuild,
    report,
    run,
    status,
    strategies,
    studies,
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

for _command in _COMMANDS:
    main.add_command(_command)
