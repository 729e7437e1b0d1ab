"""A folder of commits: immutable files of blobs, and one manifest per epoch that names them.

    state/
    ├── lock                       held by the one process that may write
    ├── manifest-000000000012      what epoch 12 consists of: blobs by file, offset, length and checksum, and small values
    ├── blobs-000000000012-now     blobs that every commit writes anew
    ├── blobs-000000000009-kept    blobs written once and named by every later epoch that still needs them
    └── *.rows                     files of rows, written and fsynced by whoever maps them before the commit that first names them

Nothing is ever changed in place, so an older epoch is whole as long as its manifest is there. A commit is

    1 write the blobs to new files and fsync them
    2 write the manifest under another name and fsync it
    3 rename it: this is the commit
    4 fsync the folder
    5 remove manifests beyond those kept, then files that no manifest names

A crash before 3 leaves the epoch before; after 3 the new one. Opening takes the newest epoch whose manifest, blobs and files all
pass their checksums, and says which it had to leave. Blobs are handed out as bytes; files are only read through.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import crc32c
import msgspec

from monitor.checkpoint.file import SUFFIX, FileRef, check_present, check_whole
from monitor.errors import StateError

FORMAT = 2  # 1 is the same without files, and is written where there are none
_MANIFEST = re.compile(r"manifest-(\d{12})")
_MAGIC = b"driftgauge-state\n"


class BlobRef(msgspec.Struct, frozen=True, array_like=True):
    """Where a blob stands."""

    file: str
    offset: int
    length: int
    checksum: int


class Manifest(msgspec.Struct, frozen=True):
    """An epoch: small values, blobs by name, and files by name."""

    epoch: int
    values: dict[str, Any]
    blobs: dict[str, BlobRef]
    files: dict[str, FileRef] = {}


@dataclass(frozen=True, slots=True)
class Opened:
    """What was found when the folder was opened."""

    manifest: Manifest | None  # None: nothing usable
    blobs: dict[str, bytes]
    passed_over: tuple[str, ...]  # newer epochs that could not be used, and why


def _nothing(_: str) -> None:
    return None


def check_writable(directory: Path) -> None:
    """Raises ``StateError`` where ``Store.open`` could not write. Leaves nothing, and does not mind a process that holds the folder."""
    try:
        there = next(folder for folder in (directory, *directory.absolute().parents) if _is_there(folder))
        if there == directory and (directory / "lock").exists():
            (directory / "lock").open("r+").close()
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise StateError(_unwritable(directory, error)) from error


def _is_there(folder: Path) -> bool:
    """Raises ``OSError`` where that cannot be told, which is no answer: above it, another folder may be writable all the same."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _unwritable(directory: Path, error: OSError) -> str:
    return f"{directory}: the state folder cannot be written: {error.strerror}; make it writable, or set state.directory to one that is"


@dataclass(eq=False)
class Store:
    """Commits of one process. ``at_step`` is called with the name of each step before and after it, for tests of crashes."""

    directory: Path
    keep_epochs: int
    at_step: Callable[[str], None] = _nothing
    epoch: int = 0
    bytes_written: int = 0  # by the last commit
    _kept: dict[str, BlobRef] = field(default_factory=dict)
    _unusable: set[int] = field(default_factory=set)  # epochs that were found damaged
    _lock: IO[str] | None = None

    def open(self) -> Opened:
        """Take the lock and find the newest usable epoch. Raises ``StateError`` when another process holds the folder."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = (self.directory / "lock").open("w")
        except OSError as error:
            raise StateError(_unwritable(self.directory, error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            raise StateError(
                f"{self.directory}: another driftgauge process uses this state folder; stop it, or give this one a folder of its own"
            ) from error
        passed_over = []
        whole: set[tuple[str, FileRef]] = set()  # epochs share their files: each is read through once
        found = sorted(self._manifests(), reverse=True)
        # Never reuse the number of an epoch that was seen, usable or not.
        self.epoch = found[0] if found else 0
        for epoch in found:
            try:
                manifest, blobs = self._read(epoch, whole)
            except StateError as error:
                passed_over.append(str(error))
                self._unusable.add(epoch)
                continue
            self._kept = {name: ref for name, ref in manifest.blobs.items() if ref.file.endswith("-kept")}
            return Opened(manifest, blobs, tuple(passed_over))
        return Opened(None, {}, tuple(passed_over))

    def commit(
        self,
        values: Mapping[str, Any],
        now: Mapping[str, bytes],
        kept: Mapping[str, bytes],
        named: set[str],
        files: Mapping[str, tuple[int, int]] = MappingProxyType({}),
    ) -> int:
        """Commit one epoch; returns its number. Raises ``StateError`` when the folder cannot be written.

        ``now`` are blobs that replace their predecessors; ``kept`` blobs that later commits only name; ``named`` the names of
        all kept blobs, new and old, that this epoch consists of; ``files`` the lengths in bytes and crc32c checksums of all files
        that it consists of, which stand in the folder and are fsynced. A file in the folder that no epoch names is removed.
        """
        epoch = self.epoch + 1
        file_refs = {name: FileRef(*ref) for name, ref in files.items()}
        try:
            self.at_step("before blobs")
            refs = self._write_blobs(f"blobs-{epoch:012}-now", now)
            new_kept = self._write_blobs(f"blobs-{epoch:012}-kept", kept)
            self.at_step("after blobs")
            still_kept = {name: ref for name, ref in {**self._kept, **new_kept}.items() if name in named}
            missing = named - still_kept.keys()
            if missing:
                raise StateError(f"{self.directory}: blobs {sorted(missing)[:3]} were never written")
            for name, file_ref in file_refs.items():
                check_present(self.directory, name, file_ref)
            manifest = msgspec.msgpack.encode(Manifest(epoch, dict(values), {**refs, **still_kept}, file_refs))
            version = (FORMAT if files else 1).to_bytes(2, "big")
            path = self.directory / f"manifest-{epoch:012}"
            self.at_step("before manifest")
            _write(path.with_suffix(".tmp"), [_MAGIC, version, crc32c.crc32c(manifest).to_bytes(4, "big"), manifest])
            self.at_step("before rename")
            path.with_suffix(".tmp").rename(path)
            self.at_step("after rename")
            _sync_folder(self.directory)
        except OSError as error:
            raise StateError(f"{self.directory}: the state could not be saved: {error}; free space or give it another folder") from error
        self.epoch, self._kept = epoch, still_kept
        self.bytes_written = len(manifest) + sum(map(len, now.values())) + sum(map(len, kept.values()))
        self.at_step("before prune")
        with suppress(OSError):  # the epoch is committed; what cannot be removed now is tried again by the next
            self._prune()
        self.at_step("after prune")
        return epoch

    def close(self) -> None:
        """Let the folder go."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _manifests(self) -> list[int]:
        return [int(match[1]) for path in self.directory.iterdir() if (match := _MANIFEST.fullmatch(path.name))]

    def _read(self, epoch: int, whole: set[tuple[str, FileRef]]) -> tuple[Manifest, dict[str, bytes]]:
        manifest = self._read_manifest(epoch)
        files: dict[str, bytes] = {}
        blobs = {}
        for name, ref in manifest.blobs.items():
            if ref.file not in files:
                try:
                    files[ref.file] = (self.directory / Path(ref.file).name).read_bytes()
                except OSError as error:
                    raise StateError(f"epoch {epoch}: {ref.file} cannot be read: {error.strerror}") from error
            blob = files[ref.file][ref.offset : ref.offset + ref.length]
            if len(blob) != ref.length or crc32c.crc32c(blob) != ref.checksum:
                raise StateError(f"epoch {epoch}: {name} in {ref.file} is damaged (its checksum differs)")
            blobs[name] = blob
        for each in manifest.files.items():
            if each not in whole:
                try:
                    check_whole(self.directory, *each)
                except (StateError, ValueError) as error:
                    raise StateError(f"epoch {epoch}: {error}") from error
                whole.add(each)
        return manifest, blobs

    def _read_manifest(self, epoch: int) -> Manifest:
        name = f"manifest-{epoch:012}"
        try:
            data = (self.directory / name).read_bytes()
        except OSError as error:
            raise StateError(f"epoch {epoch}: {name} cannot be read: {error.strerror}") from error
        head, body = data[: len(_MAGIC) + 6], data[len(_MAGIC) + 6 :]
        if not head.startswith(_MAGIC) or len(head) < len(_MAGIC) + 6:
            raise StateError(f"epoch {epoch}: {name} is no manifest")
        version = int.from_bytes(head[len(_MAGIC) : len(_MAGIC) + 2], "big")
        if not 1 <= version <= FORMAT:
            raise StateError(
                f"epoch {epoch}: expected state format 1 to {FORMAT}, got {version}: it was written by another version of driftgauge"
            )
        if crc32c.crc32c(body) != int.from_bytes(head[len(_MAGIC) + 2 :], "big"):
            raise StateError(f"epoch {epoch}: {name} is damaged (its checksum differs)")
        try:
            return msgspec.msgpack.decode(body, type=Manifest)
        except msgspec.DecodeError as error:
            raise StateError(f"epoch {epoch}: {name} is damaged: {error}") from error

    def _write_blobs(self, file: str, blobs: Mapping[str, bytes]) -> dict[str, BlobRef]:
        if not blobs:
            return {}
        refs, offset = {}, 0
        for name, blob in blobs.items():
            refs[name] = BlobRef(file, offset, len(blob), crc32c.crc32c(blob))
            offset += len(blob)
        _write(self.directory / file, list(blobs.values()))
        return refs

    def _prune(self) -> None:
        # An epoch that cannot be read is kept out of the count: the fallback must be a good one.
        manifests = sorted(self._manifests(), reverse=True)
        keep: list[Manifest] = []
        for epoch in manifests:
            if len(keep) < self.keep_epochs and epoch not in self._unusable:
                try:
                    keep.append(self._read_manifest(epoch))
                    continue
                except StateError:
                    pass
            (self.directory / f"manifest-{epoch:012}").unlink(missing_ok=True)
        named = {ref.file for manifest in keep for ref in manifest.blobs.values()}
        named |= {name for manifest in keep for name in manifest.files}
        for path in self.directory.iterdir():
            ours = path.name.startswith("blobs-") or path.suffix == SUFFIX
            if (ours and path.name not in named) or path.suffix == ".tmp":
                path.unlink(missing_ok=True)


def _write(path: Path, parts: list[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
