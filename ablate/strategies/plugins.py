"""A plugin in one file: loaded once, under one name, with a digest of its content.

The file is one module. It may hold strategies and the noises and schedules of their placements. It
can import installed packages but no neighbouring file, so its digest covers all its code.
"""

import hashlib
import os
import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ablate.errors import AblateError, in_words, line_in
from ablate.sources import digest
from ablate.strategies.definition import STRATEGIES

_EXAMPLE: Final = "@strategy() above a function that returns a Placement"


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A loaded file: its path, the name of its module, and the digest of its content.

    The name depends only on the path and is the same in every process, so the file's definitions
    can be pickled to a worker that also loaded it.
    """

    path: Path
    module: str
    digest: str

    @property
    def text(self) -> str:
        """Name and version, as in provenance: `mine.py 1a2b3c4d`."""
        return f"{self.path.name} {self.digest}"


def load_file(path: Path) -> PluginFile:
    """Load the plugin in `path` unless it is loaded already; a changed file is loaded again.

    Raises AblateError, in one sentence with the line, for a file that cannot be read, that raises,
    that registers nothing, or whose strategy has a taken name. The user named the file, unlike an
    installed package that breaks: continuing without it would train a different matrix than asked.
    """
    # Load installed packages first: a name clash is then always an error of this file.
    STRATEGIES.load()
    return _load(path)


def load_same(plugin: PluginFile) -> None:
    """Load a plugin that another process loaded; AblateError if the file has changed.

    It loads no installed packages: the first process already checked that the names are free.
    """
    found = _load(plugin.path)
    if found != plugin:
        raise AblateError(
            f"the plugin {plugin.path} changed since this run began: it was {plugin.digest} and is "
            f"{found.digest}; start the run again"
        )


def _load(path: Path) -> PluginFile:
    content, where = _read(path), path.resolve()
    found = PluginFile(where, _module_name(where), digest(content))
    # A module's name identifies the path of the file, its origin the content.
    if STRATEGIES.origin_of(found.module) != found.text:
        _execute(found, content, path)
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise AblateError(f"there is no plugin file {path}") from None
    except (OSError, ValueError) as error:
        # A path with a zero byte is a ValueError.
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise AblateError(f"the plugin {path} cannot be read: {reason}") from None


def _module_name(path: Path) -> str:
    """A name that no import finds, different for two files of the same name."""
    stem = re.sub(r"\W", "_", path.stem)
    return f"ablate_plugin_{stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def _execute(found: PluginFile, content: bytes, shown: Path) -> None:
    module = types.ModuleType(found.module)
    module.__file__ = str(found.path)
    STRATEGIES.forget(found.module)
    with STRATEGIES.adding(found.module, found.text):
        # Before it runs: the dataclass decorator looks up the module of its class.
        sys.modules[found.module] = module
        try:
            exec(compile(content, found.path, "exec", dont_inherit=True), module.__dict__)
        except (Exception, SystemExit) as error:
            del sys.modules[found.module]
            line = _line(error, found.path)
            at = f" (line {line})" if line else ""
            raise AblateError(
                f"the plugin {shown} could not be loaded{at}: {in_words(error)}"
            ) from error
        if not STRATEGIES.of_module(found.module):
            del sys.modules[found.module]
            raise AblateError(f"the plugin {shown} registers no strategy; write {_EXAMPLE}")


def _line(error: BaseException, path: Path) -> int | None:
    """The line of the plugin that failed."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    return line_in(str(path), error)
