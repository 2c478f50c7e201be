"""The version of the package, which results, pages and citations state."""

from typing import Final

__version__: Final = "0.1.0"
