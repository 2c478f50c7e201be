"""Wrappers that a message shows: what makes a module of another shape one that an audit reads.

Each is a class of a few lines whose first argument is the module; tests run them as they stand.
"""

import textwrap
from typing import Final

# The forward direction of a one-layer bidirectional LSTM.
FORWARD_WITH_STATE: Final = """
class ForwardWithState(nn.Module):
    def __init__(self, both):
        super().__init__()
        self.both = both
    def forward(self, x, state):
        h, c = (torch.cat([part, torch.zeros_like(part)]) for part in state)
        y, (h, c) = self.both(x, (h, c))
        return y[..., : y.shape[-1] // 2], (h[:1], c[:1])
"""

# A cell that makes one step.
LOOP: Final = """
class Loop(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell
    def forward(self, x, state):
        (h,), (c,) = state
        ys = []
        for step in x:
            h, c = self.cell(step, (h, c))
            ys.append(h)
        return torch.stack(ys), (h[None], c[None])
"""

# A module that has an argument for the state and results of its own.
STATE: Final = """
class WithState(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module
    def forward(self, x, state):
        y, h, c = self.module(x, *state)
        return y, (h, c)
"""


# The forward half of a net whose two directions are modules of their own.
FORWARD_OUTPUT: Final = """
class ForwardOutput(nn.Module):
    def __init__(self, both):
        super().__init__()
        self.both = both
    def forward(self, x):
        y = self.both(x)
        y = y if isinstance(y, torch.Tensor) else y[0]
        return y[..., : y.shape[-1] // 2]
"""


def looped(cell: str) -> str:
    """LOOP for a module that has the cell at that name, and a place for its masks."""
    return LOOP.replace("class Loop", "class Looped").replace("self.cell(", f"self.cell.{cell}(")


def shown(wrapper: str) -> str:
    """A wrapper as a message ends with it."""
    name = wrapper.split("class ", 1)[1].split("(", 1)[0]
    whole = f"import torch\nfrom torch import nn\n{wrapper.rstrip()}"
    return f"Wrap it, and audit {name}(module):\n\n{textwrap.indent(whole, '    ')}"
