"""The edges of each cell, and what each edge allows, from the cells and their rules."""

from ablate.cells import CELLS, Cell
from ablate.drops import ALL, Fill
from ablate.edges import RULES, Edge
from reference.markdown import code, table

HEAD = """# Edges by cell

[Cells](../guide/cells.md) has the equations. ZERO replaces a dropped value by 0, and its scale
says where the mean is kept. HOLD replaces it by the value of the step before; its scale is always
MEAN.
"""
SHARING = """
## What each edge allows

The default sharing is that of the papers at that edge: 1 means that each neighbour decides alone,
ALL that the whole axis shares one decision. A sharing may state the axes of this table and,
except on EMBEDDING, `direction`. Any noise but BERNOULLI needs the scale TRAIN.
"""


def page() -> str:
    """The page."""
    each = [edge for edge in Edge if len(edge) == 1]
    fills = [(edge.label, *(_fills(cell, edge) for cell in CELLS.values())) for edge in each]
    rules = [
        (
            edge.label,
            ", ".join(
                f"{axis} {'ALL' if shared is ALL else shared}"
                for axis, shared in RULES[edge].sharing.given()
            ),
            "any" if RULES[edge].noise else "BERNOULLI",
        )
        for edge in each
    ]
    return "\n".join(
        [
            HEAD,
            table(("edge", *map(code, CELLS)), fills),
            SHARING,
            table(("edge", "default sharing", "noise"), rules),
        ]
    )


def _fills(cell: Cell, edge: Edge) -> str:
    if edge not in cell.has:
        return "-"
    rule = cell.rule(edge)
    scales = " or ".join(scale.value for scale in rule.scales)
    words = {Fill.ZERO: f"ZERO ({scales})", Fill.HOLD: "HOLD"}
    return ", ".join(words[fill] for fill in rule.fills)
