"""Data files as raw messages, in chunks: NDJSON, CSV and Parquet. Nothing is ever read whole."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from monitor.batch import RawBatch
from monitor.config.model import ModelConfig
from monitor.errors import SourceError
from monitor.reference.columns import Row, rows_of, wanted

CHUNK_ROWS = 4096
UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error)
"""What reading a file that is damaged, or not what its name says, raises."""

_BLOCK_BYTES = 1 << 20
_KINDS = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}


Chunk = tuple[Sequence[RawBatch], int]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that can be read as often as needed, always in the same order.

    ``read()`` yields messages to be decoded together, and how much of ``size`` (bytes) they took. Rows ``as_produced``
    are messages with the keys, headers and timestamps that production gave them; others have only bodies, and their
    number for a key.
    """

    size: int
    read: Callable[[], Iterator[Chunk]]
    as_produced: bool = False


def open_files(paths: Sequence[Path], model: ModelConfig, extra: Sequence[str] = ()) -> Rows:
    """The rows of files, one file after the other; ``extra`` are further paths that must be read from tables.

    The row number, counted over all files, becomes the message's key. Raises ``SourceError`` for a file that cannot be
    read or is of no known kind, at once or while reading.
    """
    for path in paths:
        if not path.is_file():
            raise SourceError(f"{path}: expected a data file, got {'a folder' if path.is_dir() else 'nothing there'}")
        file_kind(path)
    return Rows(sum(path.stat().st_size for path in paths), lambda: _batches(paths, model, extra))


def file_kind(path: Path) -> str:
    """``ndjson``, ``csv`` or ``parquet``, by the file's name. Raises ``SourceError``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1] if suffixes else "")
    if kind is None or (kind == "parquet" and path.suffix.lower() == ".gz"):
        raise SourceError(f"{path}: expected a file that ends in .ndjson, .jsonl, .json, .csv (each also with .gz) or .parquet")
    return kind


def _batches(paths: Sequence[Path], model: ModelConfig, extra: Sequence[str]) -> Iterator[Chunk]:
    row = 0
    for path in paths:
        before = 0
        try:
            for values, position in _FILES[file_kind(path)](path, model, extra):
                numbers = np.arange(row, row + len(values), dtype=np.int64)
                keys = [b"%d" % number for number in numbers.tolist()]
                yield [RawBatch(str(path), 0, values, numbers, np.zeros(len(values), np.int64), keys)], position - before
                row, before = row + len(values), position
        except UNREADABLE as error:
            raise SourceError(f"{path}: cannot be read on from row {row}: {error}") from error


def _chunks(items: Iterable[bytes]) -> Iterator[list[bytes]]:
    items = iter(items)
    while chunk := list(islice(items, CHUNK_ROWS)):
        yield chunk


def _opened(path: Path, raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix.lower() == ".gz" else raw


def not_by_line(first: bytes) -> str | None:
    """What to do about a file that is JSON, but not an object a line, as its first line shows; None for any other.

    >>> not_by_line(b'{"id": 1}'), not_by_line(b"[1]"), (not_by_line(b'[{"id": 1},') or "")[:52]
    (None, None, 'expected one JSON object a line, got one JSON array;')
    """
    first = first.strip()
    if first == b"[" or (first.startswith(b"[") and b"{" in first):
        return "expected one JSON object a line, got one JSON array; write a line for each element: jq -c '.[]' FILE > FILE.ndjson"
    if first == b"{":
        return "expected one JSON object a line, got one over several lines; write each into a line: jq -c . FILE > FILE.ndjson"
    return None


def lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Non-empty lines, no byte order mark; of one longer than ``max_bytes`` the first ``max_bytes + 1``, which is then rejected."""
    rest = file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    skipping = False
    while block := file.read(_BLOCK_BYTES):
        parts = (rest + block).split(b"\n")
        rest = parts.pop()
        for part in parts:
            if skipping:
                skipping = False
            elif part.strip():
                yield part[: max_bytes + 1]
        if skipping:
            rest = b""
        elif len(rest) > max_bytes:
            yield rest[: max_bytes + 1]
            rest, skipping = b"", True
    yield from (part for part in rest.split(b"\n") if part.strip())  # several of a file that the mark would fill


def _ndjson(path: Path, model: ModelConfig, _: Sequence[str]) -> Iterator[tuple[list[bytes], int]]:
    with path.open("rb") as raw:
        for number, chunk in enumerate(_chunks(lines(_opened(path, raw), model.predictions.max_message_bytes))):
            if not number and (wrong := not_by_line(chunk[0])):
                raise SourceError(f"{path}: {wrong}")
            yield chunk, raw.tell()


def _csv(path: Path, model: ModelConfig, extra: Sequence[str]) -> Iterator[tuple[list[bytes], int]]:
    with path.open("rb") as raw, io.TextIOWrapper(_opened(path, raw), encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        header = csv_header(next(reader, []))
        row = table_row(path, header, model, extra, typed=False)
        places = [header.index(column) for column in row.columns]

        def events() -> Iterator[bytes]:
            for number, cells in enumerate(reader, 1):
                if len(cells) != len(header):
                    if not cells:
                        continue
                    raise csv.Error(f"row {number}: expected {len(header)} columns, got {len(cells)}")
                yield row.event([cells[place] for place in places])

        for chunk in _chunks(events()):
            yield chunk, raw.tell()


def csv_header(header: list[str]) -> list[str]:
    """The header itself. Raises ``csv.Error`` when it shows that columns are separated by something else than commas."""
    other = next((separator for separator in (";", "\t", "|") if len(header) == 1 and separator in header[0]), None)
    if other is not None:
        raise csv.Error(
            f"expected columns separated by commas, got the header {header[0][:80]!r}, separated by {other!r}; convert the file"
        )
    return header


def _parquet(path: Path, model: ModelConfig, extra: Sequence[str]) -> Iterator[tuple[list[bytes], int]]:
    parquet, wrong = pyarrow_parquet(path)
    size = path.stat().st_size
    try:
        with parquet.ParquetFile(path) as file:
            row = table_row(path, file.schema_arrow.names, model, extra, typed=True)
            done = 0
            for batch in file.iter_batches(CHUNK_ROWS, columns=list(row.columns)):
                columns = [column_values(batch, name) for name in row.columns]
                done += batch.num_rows
                yield [row.event(values) for values in zip(*columns, strict=True)], size * done // max(file.metadata.num_rows, 1)
    except wrong as error:
        raise OSError(f"expected a Parquet file: {error}") from error


def column_values(batch: Any, name: str) -> list[Any]:
    """The values of a column of pyarrow's. Raises ``OSError`` for one that Python has no value for, such as a time in the year 10000."""
    try:
        return list(batch.column(name).to_pylist())
    except (ValueError, OverflowError) as error:
        raise OSError(f"column {name}: {error}") from error


def check_distinct(names: Sequence[str], used: Sequence[str]) -> None:
    """Raises ``OSError`` when one of the columns that are ``used`` has the name of another."""
    twice = next((name for name in used if names.count(name) > 1), None)
    if twice is not None:
        raise OSError(f"expected one column {twice}, got {names.count(twice)} of that name; rename or drop the others")


def pyarrow_parquet(path: Path) -> tuple[Any, type[Exception]]:
    """The module pyarrow.parquet and its error. Raises ``SourceError`` when it is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise SourceError(f"{path}: reading Parquet needs pyarrow; install it with: pip install 'driftgauge[parquet]'") from error
    return parquet, pyarrow.ArrowException


def table_row(path: Path, columns: Sequence[str], model: ModelConfig, extra: Sequence[str], *, typed: bool) -> Row:
    """How the table's rows become events. Raises ``SourceError`` where no column is configured, ``OSError`` where one is there twice."""
    row = rows_of(wanted(model, extra), columns, model.predictions.time.unit, typed=typed)
    if not row.columns:
        names = ", ".join(feature.name for feature in model.features[:5])
        raise SourceError(f"{path}: expected columns named like the features ({names}, …) or their paths, got {', '.join(columns[:20])}")
    check_distinct(columns, row.columns)
    return row


_FILES: dict[str, Callable[[Path, ModelConfig, Sequence[str]], Iterator[tuple[list[bytes], int]]]] = {
    "ndjson": _ndjson,
    "csv": _csv,
    "parquet": _parquet,
}
