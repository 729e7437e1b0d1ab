"""Reference files, version 1: a gzipped JSON object that is checked before anything in it is believed.

    {"content": {...}, "fingerprint": "<SHA-256 of the bytes of content>", "format": "driftgauge-reference", "version": 1}

The same reference always gives the same fingerprint, and the same bytes on every machine with the same zlib.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import msgspec

from monitor.errors import ReferenceFileError
from monitor.reference.content import Content, from_content, to_content
from monitor.reference.reference import Reference

FORMAT = "driftgauge-reference"
VERSION = 1
MAX_FILE_BYTES = 1 << 28
MAX_JSON_BYTES = 1 << 29
"""Larger files are refused before they fill the memory."""

_LEVEL = 4  # of compression: a third of the time of level 6 for a tenth more bytes


class _Head(msgspec.Struct):
    format: str
    version: int


class _File(msgspec.Struct):
    content: msgspec.Raw
    fingerprint: str


def encode(reference: Reference) -> bytes:
    """Bytes of the file."""
    content = _content_bytes(reference)
    whole = {"content": msgspec.Raw(content), "fingerprint": _sha256(content), "format": FORMAT, "version": VERSION}
    return gzip.compress(msgspec.json.encode(whole), _LEVEL, mtime=0)


def with_fingerprint(reference: Reference) -> Reference:
    """The same reference, with the fingerprint of its content."""
    return replace(reference, fingerprint=_sha256(_content_bytes(reference)))


def _content_bytes(reference: Reference) -> bytes:
    return msgspec.json.encode(to_content(reference), order="deterministic")


def _sha256(content: bytes | msgspec.Raw) -> str:
    return hashlib.sha256(content).hexdigest()


def write_reference(reference: Reference, path: Path) -> None:
    """Write a file at once or not at all. Raises ``ReferenceFileError``."""
    body = encode(reference)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ReferenceFileError(f"{path}: the reference cannot be written: {error.strerror}") from error


def read_reference(path: Path) -> Reference:
    """Read a file. Raises ``ReferenceFileError`` for one that is not whole, not ours, of another version or altered."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ReferenceFileError(
            f"{path}: the reference cannot be read: {error.strerror}; build it with `driftgauge reference build`"
        ) from error
    return decode(body, str(path))


def decode(body: bytes, where: str) -> Reference:
    """The reference in the bytes of a file; ``where`` begins the message of a ``ReferenceFileError``."""
    text = _decompress(body, where)
    try:
        head = msgspec.json.decode(text, type=_Head)
    except msgspec.DecodeError as error:
        raise ReferenceFileError(f"{where}: expected a {FORMAT} file, got other JSON ({error})") from error
    if head.format != FORMAT:
        raise ReferenceFileError(f"{where}: expected format {FORMAT!r}, got {head.format[:40]!r}")
    if head.version != VERSION:
        raise ReferenceFileError(
            f"{where}: expected version {VERSION}, got {head.version}; "
            "build the reference again with this driftgauge, or read it with the driftgauge that wrote it"
        )
    try:
        file = msgspec.json.decode(text, type=_File)
        fingerprint = _sha256(file.content)
        if fingerprint != file.fingerprint:
            raise ReferenceFileError(
                f"{where}: expected content of fingerprint {file.fingerprint[:12]}, got {fingerprint[:12]}: "
                "the file was changed after it was built; take the original or build it again"
            )
        return from_content(msgspec.json.decode(file.content, type=Content), fingerprint)
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise ReferenceFileError(f"{where}: the content of the reference cannot be used: {error}; build it again") from error


def _decompress(body: bytes, where: str) -> bytes:
    if len(body) > MAX_FILE_BYTES:
        raise ReferenceFileError(f"{where}: expected at most {MAX_FILE_BYTES:,} bytes, got more; watch fewer segments or features")
    if body[:2] != b"\x1f\x8b":
        raise ReferenceFileError(f"{where}: expected a gzip file written by `driftgauge reference build`, got bytes {body[:8]!r}")
    unzip = zlib.decompressobj(wbits=31)
    try:
        text = unzip.decompress(body, MAX_JSON_BYTES)
    except zlib.error as error:
        raise ReferenceFileError(f"{where}: expected a whole gzip file, got a damaged one ({error}); copy or build it again") from error
    if unzip.unconsumed_tail:
        raise ReferenceFileError(f"{where}: expected at most {MAX_JSON_BYTES:,} bytes when unpacked, got more")
    if not unzip.eof or unzip.unused_data:
        what = "bytes after its end" if unzip.eof else "a truncated one"
        raise ReferenceFileError(f"{where}: expected a whole gzip file, got {what}; copy or build it again")
    return text
