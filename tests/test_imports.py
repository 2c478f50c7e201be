"""Imports run one way: from each floor of the package to lower ones, and never in a circle."""

import ast
import graphlib
from pathlib import Path

import ablate

ROOT = Path(ablate.__file__).parents[1]

# Rooms from the ground up; those of one floor may use each other, as long as there is no circle.
FLOORS = (
    "errors version docstrings facts files machine quantities status stages tables pages terminal"
    " commands console sources registry compiling bibtex",
    "edges drops noise schedules addresses masks rules cells placement",
    "engine strategies",
    "model data",
    "training store search",
    "study",
    "auditing explain report testing cite",
    "running",
    "command_line",
    "cli",
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}


def _modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name; the package itself is the public face."""
    files = sorted((ROOT / "ablate").rglob("*.py"))
    parts = {file: file.relative_to(ROOT).with_suffix("").parts for file in files}
    names = {".".join(part).removesuffix(".__init__"): file for file, part in parts.items()}
    return {name: file for name, file in names.items() if name != "ablate"}


def _imported(file: Path, modules: dict[str, Path]) -> set[str]:
    """The package's modules that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & modules.keys()) or {node.module}
    return {name for name in found if name.split(".")[0] == "ablate"}


MODULES = _modules()
IMPORTS = {name: _imported(file, MODULES) for name, file in MODULES.items()}


def test_no_module_imports_itself_by_way_of_others():
    """The graph of modules has an order."""
    graph = {name: names - {name} for name, names in IMPORTS.items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_no_module_imports_from_a_higher_floor():
    """Nor from the package's public face, which is above them all."""
    upward = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in sorted(others)
        if other not in MODULES or FLOOR_OF[_room(name)] < FLOOR_OF[_room(other)]
    ]
    assert upward == []


def test_every_room_has_a_floor():
    """A new room is put on one."""
    assert {_room(name) for name in MODULES} == FLOOR_OF.keys()


def _room(name: str) -> str:
    return name.split(".")[1]
