"""What waits for a device, or comes from the host: neither can be captured in a CUDA graph."""

from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Waits(Exception):
    """An operation that waits for the device, or that a graph would bake in."""


class NoWaiting(TorchDispatchMode):
    """Refuses what reads the device, has a size that only it knows, or comes from Python values."""

    REFUSED = (
        "_local_scalar_dense", "is_nonzero", "item", "nonzero", "masked_select", "unique",
        "_unique2", "unique_dim", "unique_consecutive", "equal", "lift_fresh", "bincount",
    )  # fmt: skip

    # On the CPU these reach no dispatcher.
    SILENT = ("tolist", "numpy", "cpu")

    def __enter__(self):
        def refused(tensor, *args, **kwargs):
            raise Waits("a copy to the host")

        self.without = patch.multiple(torch.Tensor, **dict.fromkeys(self.SILENT, refused))
        self.without.start()
        return super().__enter__()

    def __exit__(self, *raised):
        self.without.stop()
        return super().__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        if any(at is not None and at.dtype in (torch.bool, torch.uint8) for at in indices):
            raise Waits(f"{name} by a mask")
        if name in self.REFUSED:
            raise Waits(name)
        return func(*args, **(kwargs or {}))
