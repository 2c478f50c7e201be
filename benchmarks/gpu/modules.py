"""The modules for a model of one's own compute on a device what they compute on a CPU.

Shapes: T time, B batch, D input.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

import ablate
from ablate.drops import VARIATIONAL, Drop, Fill
from ablate.edges import Edge
from ablate.placement import Placement
from gpu import cases
from gpu.cases import NEAR, B, Row, T, on

_D, _H = 5, 13

PLACEMENTS: Final = (
    Placement(),
    Placement({Edge.VERTICAL: Drop(0.5), Edge.RECURRENT: Drop(0.25, VARIATIONAL)}),
    Placement({Edge.WEIGHT: Drop(0.4), Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD)}),
)
_MODULES: Final = (ablate.LSTM, ablate.GRU, ablate.RNN)


def equal(device: str) -> Iterator[Row]:
    """Outputs and all gradients of every module, in one direction and in both, against the CPU's.

    Without dropout they are also those of torch's own module on the device.
    """
    worst = 0.0
    for kind, bidirectional in itertools.product(_MODULES, (False, True)):
        for number, placement in enumerate(PLACEMENTS):
            torch.manual_seed(1409)
            given: dict[str, Any] = {"bidirectional": bidirectional, "placement": placement}
            # Not a copy of the other, which would sample other masks.
            here, there = (kind(_D, _H, 2, **given, seed=7, device=own) for own in ("cpu", device))
            there.load_state_dict(here.state_dict())
            told = f"{kind.__name__}, bidirectional={bidirectional}, placement {number}"
            found = _called(there, device, update=3)
            with on("cpu"):
                expected = _called(here, "cpu", update=3)
            off = cases.furthest(found, expected, 2.0 * NEAR["fp32"], told)
            if not placement:
                theirs = getattr(nn, kind.__name__)(_D, _H, 2, bidirectional=bidirectional)
                theirs.load_state_dict(here.state_dict())
                expected = _called(theirs.to(device), device)
                cases.furthest(found, expected, 2.0 * NEAR["fp32"], f"{told}, beside torch's")
            worst = max(worst, off)
            yield {"module": kind.__name__, "both": bidirectional, "placement": number, "off": off}
    yield {"told": f"{len(_MODULES)} modules, windows and gradients off by {worst:.1e} at most"}


def audited(device: str) -> Iterator[Row]:
    """An audit of a module on the device finds its placement, and no other."""
    lstm = ablate.LSTM(_D, _H, 2, placement=PLACEMENTS[1], seed=7, device=device)
    assert ablate.audit(lstm, PLACEMENTS[1]).agrees, "the audit denies the module its placement"
    assert not ablate.audit(lstm, PLACEMENTS[2]).agrees, "the audit grants another placement"
    yield {"told": "an audit agrees with the module's placement and with no other"}


def _called(module: nn.Module, device: str, **asked: int) -> dict[str, Tensor]:
    """Output, last state and gradients of a window, by name."""
    draw = torch.Generator().manual_seed(1409)
    x_TBD = torch.randn(T, B, _D, generator=draw).to(device).requires_grad_()
    output, state = module(x_TBD, **asked)
    cotangent = torch.randn(output.shape, generator=draw).to(device)
    names, leaves = zip(*module.named_parameters(), strict=True)
    given = torch.autograd.grad((output * cotangent).sum(), [x_TBD, *leaves])
    parts = state if isinstance(state, tuple) else (state,)
    found = {"output": output.detach()} | {f"state {k}": part for k, part in enumerate(parts)}
    return found | {
        f"gradient of {name}": own for name, own in zip(("x", *names), given, strict=True)
    }
