"""What a CUDA graph must not capture: masks whose address is a Python number; who else looks on."""

import torch
from torch import Tensor
from torch._C._functorch import (  # pyright: ignore[reportMissingModuleSource]
    is_legacy_batchedtensor,
)
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters


def refuse_capture() -> None:
    """Raise RuntimeError where the current stream is being captured in a CUDA graph.

    For whoever's masks hang on an update's number in Python: each replay would repeat one mask.
    """
    if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "this call samples masks by its update's number, which a CUDA graph captures once: "
            "every replay would repeat the same masks; call it outside the "
            "capture, or capture what needs no masks: .eval(), or a module without a placement"
        )


def below_functions() -> bool:
    """Whether a transform of `torch.func` is what calls: vmap, grad, jvp or one made of them."""
    return bool(retrieve_all_functorch_interpreters())


def batched(*gradients: Tensor) -> bool:
    """Whether these are many gradients at once, of `is_grads_batched` or `vectorize=True`."""
    return below_functions() or any(map(is_legacy_batchedtensor, gradients))
