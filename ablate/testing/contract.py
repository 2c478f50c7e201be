"""What every contract does around each of its tests."""

from collections.abc import Iterator

import pytest
import torch

from ablate.compiling import eagerly


class Contract:
    """The base of all contracts."""

    @pytest.fixture(autouse=True)
    def eager_kernels(self) -> Iterator[None]:
        """Run kernels eagerly: equations are those of compiled ones, and compiling takes minutes.

        ABLATE_COMPILE=1 in the environment compiles them all the same.
        """
        with eagerly():
            yield

    @pytest.fixture(autouse=True)
    def one_thread(self) -> Iterator[None]:
        """Run in one thread: the tensors are tiny, and equal bits are promised for one count."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)
