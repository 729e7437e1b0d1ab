"""Files that stand beside the blobs: too large to be read whole, written by whoever maps them, named by the epochs that need them."""

from __future__ import annotations

from pathlib import Path

import crc32c
import msgspec

from monitor.errors import StateError

SUFFIX = ".rows"  # the store removes files with this name that no epoch needs
_BLOCK = 1 << 20


class FileRef(msgspec.Struct, frozen=True, array_like=True):
    """What a file must be."""

    length: int
    checksum: int  # crc32c of all bytes


def check_present(directory: Path, name: str, ref: FileRef) -> None:
    """Raises ``StateError`` when a file is absent or of another length, ``ValueError`` for a name that could never be removed."""
    if not name.endswith(SUFFIX) or Path(name).name != name:
        raise ValueError(f"expected a file's name that ends in {SUFFIX}, got {name!r}")
    try:
        length = (directory / name).stat().st_size
    except OSError as error:
        raise StateError(f"{name} cannot be read: {error.strerror}") from error
    if length != ref.length:
        raise StateError(f"{name} is damaged (expected {ref.length} bytes, got {length})")


def check_whole(directory: Path, name: str, ref: FileRef) -> None:
    """Raises ``StateError`` when a file is not what was written. Reads it in blocks."""
    check_present(directory, name, ref)
    checksum = 0
    try:
        with (directory / name).open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                checksum = crc32c.crc32c(block, checksum)
    except OSError as error:
        raise StateError(f"{name} cannot be read: {error.strerror}") from error
    if checksum != ref.checksum:
        raise StateError(f"{name} is damaged (its checksum differs)")
