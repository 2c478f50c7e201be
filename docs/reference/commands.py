"""Every command with its options, from the tree of click."""

import click

from ablate.cli import main
from reference.markdown import code, prose, table

HEAD = """# Commands

`ablate --help` and `ablate COMMAND --help` print the same. [Running a study](../guide/running.md)
explains the options of `ablate run`.
"""


def page() -> str:
    """The page."""
    return "\n".join([HEAD, *(_section(name, each) for name, each in main.commands.items())])


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"ablate {name}")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record:
            rows.append((code(record[0]), record[1].replace("[", "\\[")))
    options = table(("option", "meaning"), rows) if rows else ""
    return f"## ablate {name}\n\n    {usage}\n\n{prose(command.help or '')}\n\n{options}"
