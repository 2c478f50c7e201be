"""Templates of self-contained HTML pages."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from jinja2.loaders import ChoiceLoader


def template(name: str, *packages: str) -> Template:
    """A template from the first of the packages whose folder `templates` has it."""
    return _environment(*packages).get_template(name)


@cache
def _environment(*packages: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
