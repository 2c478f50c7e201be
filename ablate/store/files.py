"""One immutable Parquet file: written whole or not at all, and verified when it is read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ablate.errors import AblateError
from ablate.files import write_whole
from ablate.store.schema import VERSION, as_of, brought_up, name_of, version_of


class BadFile(Exception):
    """A file of the store that cannot be what was written; its text says what is wrong with it."""


def write_table(table: pa.Table, path: Path) -> None:
    """Write `table` at `path` whole or not at all.

    Raises AblateError where the folder cannot be written (no right, no room, not a folder).
    """
    # Words alone repeat; a dictionary of log-probabilities would be as long as they are. A file has
    # one row group, which is read whole, so that its least and greatest values skip nothing.
    words: Any = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    with writing(path.parent):
        write_whole(
            path,
            # An open file: a path is read as an address where it looks like one, as `exp:1/...`.
            lambda file: pq.write_table(
                table,
                file,
                compression="zstd",
                write_page_checksum=True,
                use_dictionary=words or False,
                write_statistics=False,
            ),
        )


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a file and verify its checksums and its schema, that of its own version.

    Raises BadFile where its content is damaged, FileNotFoundError where there is none, and
    AblateError where a newer ablate wrote it or it cannot be opened (which says nothing about its
    content).
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AblateError(
            f"{path} cannot be read ({error.strerror or error}); nothing in it is lost: make it "
            "readable, or name another folder with --results DIR",
            given=path,
        ) from error
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            found = file.schema_arrow
            version = _check_version(path, version_of(found))
            if not found.equals(as_of(schema, version), check_metadata=True):
                raise BadFile(f"its columns are not those of table {name_of(schema)!r}")
            # A thread of Arrow's that is still alive when Python ends aborts it, all work done
            # (https://github.com/apache/arrow/issues/34314); files so small need none.
            table = file.read(use_threads=False)
            table.validate(full=True)
            return brought_up(table, schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadFile(str(error).strip().splitlines()[0].rstrip(".")) from error


def _check_version(path: Path, version: int | None) -> int:
    if version is None or version < 1:
        raise BadFile("it does not say which version of the store it is of")
    if version > VERSION:
        raise AblateError(
            f"{path} was written with schema {version}, by a newer ablate; this one knows "
            f"{VERSION}: install the newer version to read it",
            given=version,
            allowed=VERSION,
        )
    return version


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Let what the system refuses in this block be the AblateError of `unwritable`."""
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error) from error


def refuse_file(folder: Path) -> None:
    """Raise AblateError where a file stands in the place of `folder`, or of one above it."""
    nearest = next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)
    if os.path.isfile(nearest):
        raise AblateError(
            f"results lie in a folder, and {nearest} is a file; name a folder with --results DIR",
            given=nearest,
        )


def unwritable(folder: Path, error: Exception) -> AblateError:
    """The error for a results folder that refuses a write."""
    reason = getattr(error, "strerror", None) or str(error)
    return AblateError(
        f"the results folder {folder} cannot be written ({reason}); nothing that was stored is "
        "lost: make it writable, or name another with --results DIR",
        given=folder,
    )
