"""`ablate explain`: what a strategy does to an unrolled net, drawn, listed and counted."""

from ablate.explain.graph import Touches, touches
from ablate.explain.page import render

__all__ = ["Touches", "render", "touches"]
