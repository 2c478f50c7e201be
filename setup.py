"""Which packages a wheel has; everything else of the distribution stands in pyproject.toml."""

from setuptools import find_namespace_packages, setup

# Every folder, so that a new one is not left out, whether or not it has an `__init__.py`: templates
# have none. The shipped studies lie beside the package, where `package-dir` finds them.
FOUND = find_namespace_packages(include=["ablate", "ablate.*"], exclude=["*.__pycache__"])

setup(packages=[*FOUND, "ablate.shipped"])
