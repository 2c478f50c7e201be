"""Every built-in strategy: its docstring, its parameters, its paper and its default placement."""

from ablate.strategies import all_strategies
from ablate.strategies.definition import Strategy
from ablate.strategies.parameters import Parameter
from reference.markdown import code, prose, table

HEAD = """# Strategies

`ablate strategies` lists them, with those of plugins and of other installed packages. `ablate
explain NAME` draws one. The dial is the rate that a sweep changes; the other rates keep their
default ratio to it.
"""


def page() -> str:
    """The page."""
    own = (each for each in all_strategies() if each.plugin is None)
    return "\n".join([HEAD, *map(_section, own)])


def _section(strategy: Strategy) -> str:
    parts = [f"## {strategy.name}\n", prose(strategy.doc) + "\n"]
    if strategy.paper:
        parts.append(f"Paper: {_link(strategy.paper)}\n")
    rows = [
        (
            code(name) + (" (dial)" if name == strategy.dial else ""),
            code(each.default),
            _range(each),
        )
        for name, each in strategy.parameters.items()
    ]
    if rows:
        parts.append(table(("parameter", "default", "values in a search"), rows))
    parts.append("".join(f"    {line}\n" for line in strategy.place().lines) or "    none\n")
    return "\n".join(parts)


def _range(parameter: Parameter) -> str:
    if parameter.kind in ("rate", "int"):
        return f"{parameter.low:g} to {parameter.high:g}"
    return ", ".join(map(code, parameter.choices)) or "`true`, `false`"


def _link(paper: str) -> str:
    kind, _, number = paper.partition(":")
    sites = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
    return f"[{paper}]({sites[kind]}{number})" if kind in sites else paper
