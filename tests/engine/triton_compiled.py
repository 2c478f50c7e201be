"""Compiles the kernels for a GPU of compute capability 9.0, which need not be there.

TRITON_INTERPRET=0 python -m engine.triton_compiled       prints what was compiled, and whether it
                                                          draws words ("many") or none ("0")
"""

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import MockTensor

from ablate.engine.triton_kernels import Slots, backward_kernel, forward_kernel
from ablate.engine.triton_philox import window_kernel
from ablate.engine.triton_steps import OPTIONS

BATCH, HIDDEN = 20, 650

VALUE, NUMBER = MockTensor(torch.float32), MockTensor(torch.int64)
TOSS = (NUMBER, VALUE, NUMBER)
FACTOR = (VALUE, BATCH * HIDDEN, 0, HIDDEN, 0, 1)


class _Absent:
    """A driver without a device: all that compiling asks for."""

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)


def _pair(slots, product, *, apart):
    """Both kernels' code."""
    operand, gates = MockTensor(product), (4 * BATCH * HIDDEN, HIDDEN, 4 * HIDDEN)
    held = VALUE if slots.state_hold is not None else None
    given = {"APART": apart, "BLOCK": 128, "grid": (1, 1, 1)} | OPTIONS
    rest = (slots, 1, 2, HIDDEN)
    inputs = (operand, gates, operand, gates, VALUE, VALUE, VALUE)
    outputs = ((VALUE,) * 5, VALUE, VALUE, held, operand)
    yield forward_kernel.warmup(*inputs, *outputs, *rest, **given)
    inputs = (VALUE, (BATCH * HIDDEN, HIDDEN), operand, held, VALUE, (VALUE,) * 5, VALUE)
    yield backward_kernel.warmup(*inputs, operand, gates, VALUE, held, *rest, **given)


def _draws(code):
    assert code.asm["cubin"]
    return "many" if "mul.hi.u32" in code.asm["ptx"] else "0"


def main():
    driver.set_active(_Absent())
    factors, tosses = Slots(*(FACTOR,) * len(Slots._fields)), Slots(TOSS, TOSS, cell=TOSS)
    for name, slots, product, apart in (
        ("silent", Slots(), torch.float32, False),
        ("factors", factors, torch.float32, False),
        ("tosses", tosses, torch.bfloat16, True),
    ):
        (draws,) = {_draws(code) for code in _pair(slots, product, apart=apart)}
        print(f"{name}:{draws}")
    size = {"GATES": 4, "BLOCK": 128, "grid": (1, 1, 1)} | OPTIONS
    print("window:" + _draws(window_kernel.warmup(VALUE, TOSS, NUMBER, 35, HIDDEN, **size)))


if __name__ == "__main__":
    assert not triton.knobs.runtime.interpret
    main()
