"""Labels that several points share, told apart."""

import json


def spelled(label: str, arguments: str) -> str:
    """`single (edge=INPUT, rate=0.5)`: a label with the point's arguments, which are JSON."""
    given = ", ".join(f"{name}={value}" for name, value in json.loads(arguments).items())
    return f"{label} ({given})"
