"""The SQLite file below the ledger: opening it safely, and transactions that are on disk when they return."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from monitor.errors import StateError


class Database:
    """One connection, used by one thread at a time. ``at_step`` is called before and after each commit, for tests of crashes."""

    def __init__(self, path: Path, schema: Sequence[str], version: int, *, working: bool, at_step: Callable[[str], None]) -> None:
        """Open the file. ``working``: create it when it is not there, and be the one process that works on it.

        Raises ``StateError``.
        """
        self.path = path
        self._at_step = at_step
        self._guard = threading.RLock()
        self._lock: IO[str] | None = None
        self._connection: sqlite3.Connection | None = None
        if working:
            self._take_lock()
        elif not path.exists():
            raise StateError(f"{path}: there is no ledger here; expected the one that `driftgauge hook` writes (ledger.path)")
        try:
            self._open(schema if working else (), version)
        except sqlite3.Error as error:
            self.close()
            raise StateError(f"{path}: the ledger cannot be opened: {error}; restore it, or give the hook another ledger.path") from error
        except StateError:
            self.close()
            raise

    def _take_lock(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            for folder in (self.path.parent, self.path.parent.parent):  # what a power cut takes away was never a ledger
                _sync(folder)
            self._lock = self.path.with_name(self.path.name + ".lock").open("w")
        except OSError as error:
            raise StateError(
                f"{self.path}: the ledger cannot be written: {error.strerror}; ledger.path must be on a writable disk"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StateError(f"{self.path}: another hook works on this ledger; stop it, or give this one a ledger of its own") from error

    def _open(self, schema: Sequence[str], version: int) -> None:
        self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        mode = self.one("PRAGMA journal_mode = WAL")
        if mode != ("wal",):
            raise StateError(f"{self.path}: expected a disk on which SQLite can use WAL, got journal mode {mode}; use a local one")
        self.one("PRAGMA synchronous = FULL")
        found = self.one("PRAGMA user_version")
        if schema and found == (0,) and self.one("SELECT count(*) FROM sqlite_master") == (0,):
            with self.transaction("create"):
                for statement in (*schema, f"PRAGMA user_version = {version}"):
                    self._connection.execute(statement)
        elif found != (version,):
            raise StateError(
                f"{self.path}: expected a ledger of version {version}, got {found[0] if found else 'none'}; another release wrote it"
            )
        problem = self.one("PRAGMA quick_check(1)")
        if problem != ("ok",):
            raise StateError(f"{self.path}: the ledger is damaged; restore it from a backup, or move it away and start anew")

    def close(self) -> None:
        """Let the file go."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    @contextmanager
    def transaction(self, name: str) -> Iterator[sqlite3.Connection]:
        """All that the block writes, or nothing; on disk when the block has ended. Raises ``StateError``."""
        with self._guard:
            connection = self._connected()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                self._at_step(f"{name}: before commit")
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StateError(
                    f"{self.path}: the ledger cannot be written: {error}; free space, or give the hook another ledger.path"
                ) from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            self._at_step(f"{name}: after commit")

    def one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        """The first row. Raises ``StateError``."""
        rows = self.all(query, *values)
        return rows[0] if rows else None

    def all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Every row. Raises ``StateError``."""
        with self._guard:
            try:
                return self._connected().execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StateError(
                    f"{self.path}: the ledger cannot be read: {error}; restore it, or give the hook another ledger.path"
                ) from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StateError(f"{self.path}: the ledger is closed")
        return self._connection


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
