"""How a device multiplies: settled where training starts, and kept beside each result.

PyTorch lets CUDA's libraries add parts of a bfloat16 product in bfloat16, and environments switch
float32 products to TF32, whose factors have ten bits: "fp32" would be neither what it says nor what
another machine computes.
"""

import os
from typing import Final

import torch

# They make TF32 of float32 products, whatever PyTorch is told.
_SWITCHES: Final = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")


def settle(device: str) -> None:
    """Compute on `device` from here on, float32 products as such, all sums in float32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    if device.startswith("cuda"):
        # Else libraries would open a context on the first GPU as well.
        torch.cuda.set_device(device)


def arithmetic(device: str) -> str:
    """In words, as a column of `trials`: what products are taken in, and added in."""
    if not device.startswith("cuda"):
        return "float32 sums"
    forced = [name for name in _SWITCHES if os.environ.get(name) == "1"]
    tf32 = torch.backends.cuda.matmul.allow_tf32 or bool(forced)
    reduced = torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    products = "TF32 products" if tf32 else "float32 products"
    return f"{products}, {'bfloat16' if reduced else 'float32'} sums"
