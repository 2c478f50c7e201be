"""matplotlib, imported whatever the environment asks of it.

A notebook exports MPLBACKEND to each command that it starts, and matplotlib is not imported at all
where it knows no backend of that name, or where a matplotlibrc is not text. Reports use neither:
their figures are made with the defaults (`style.look`) on canvases of their own.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from importlib import import_module
from pathlib import Path

_BACKEND = "MPLBACKEND"


def import_matplotlib() -> None:
    """Import matplotlib, and leave to the process the backend that the environment named."""
    if "matplotlib" in sys.modules:
        return
    asked = os.environ.get(_BACKEND)
    with _without_backend():
        try:
            matplotlib = import_module("matplotlib")
        except (OSError, ValueError):
            # Its configuration cannot be read: an empty one in the working folder goes before all.
            for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
                del sys.modules[name]
            with tempfile.TemporaryDirectory() as folder, chdir(folder):
                Path("matplotlibrc").touch()
                matplotlib = import_module("matplotlib")
    if asked:
        # In a notebook, pyplot must still show figures where it would have shown them.
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = asked


@contextmanager
def _without_backend() -> Iterator[None]:
    asked = os.environ.get(_BACKEND)
    os.environ[_BACKEND] = "agg"
    try:
        yield
    finally:
        if asked is None:
            del os.environ[_BACKEND]
        else:
            os.environ[_BACKEND] = asked


import_matplotlib()
