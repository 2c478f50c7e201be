"""The edge, placement and layer whose masks a module shows, or an error that says why not."""

from ablate.edges import Edge, layers_of
from ablate.errors import AblateError
from ablate.placement import Placement


def one_edge(edge: object) -> Edge:
    """Return a single edge; raises AblateError for any other value."""
    if not isinstance(edge, Edge) or len(edge) != 1:
        given = edge.label if isinstance(edge, Edge) else repr(edge)
        raise AblateError(
            f"masks are those of one Edge such as Edge.RECURRENT, got {given}", given=given
        )
    return edge


def placement_of(placements: tuple[Placement, ...], direction: int, edge: Edge) -> Placement:
    """Return the placement of a direction; raises AblateError if it does not drop `edge`."""
    if direction not in range(len(placements)):
        allowed = "0 (forward)" + (" or 1 (backward)" if len(placements) == 2 else "")
        raise AblateError(
            f"a direction of this module is {allowed}, got {direction!r}", given=direction
        )
    placement = placements[direction]
    if edge not in placement:
        dropped = ", ".join(each.label for each in placement) or "nothing"
        raise AblateError(
            f"the placement drops {dropped}, and not {edge.label}: there are no masks to show"
        )
    return placement


def layer_of(edge: Edge, layer: int | None, layers: int, kind: str) -> int:
    """Return the layer whose masks are shown, by default the lowest at which `edge` acts.

    Raises AblateError if `edge` does not act at that layer of a module of `kind`.
    """
    acts_at = layers_of(edge, layers)
    if not acts_at:
        raise AblateError(
            f"{edge.label} lies between two layers, and {kind} here has one: there are no masks "
            "to show"
        )
    layer = acts_at.start if layer is None else layer
    if layer not in acts_at:
        raise AblateError(
            f"{edge.label} acts at the layers {list(acts_at)} of {layers}, "
            f"counted from 0, got {layer}",
            given=layer,
        )
    return layer
