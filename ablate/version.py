"""The version of the package, as stated in results, pages and citations."""

from typing import Final

__version__: Final = "0.2.0"
