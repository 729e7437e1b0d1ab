"""The first rows of a data file as plain values."""

from __future__ import annotations

import csv
import gzip
import io
import json
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from monitor.decode.general import parse_json
from monitor.errors import SourceError
from monitor.reference.columns import number_of
from monitor.reference.read import UNREADABLE, check_distinct, column_values, csv_header, file_kind, lines, not_by_line, pyarrow_parquet

SAMPLE_ROWS = 10_000
_MAX_LINE_BYTES = 1_000_000


def read_sample(path: Path, limit: int = SAMPLE_ROWS) -> tuple[list[dict[str, Any]], int]:
    """The first ``limit`` rows as nested dictionaries, and how many lines were no JSON objects.

    Columns of CSV in which every text is a number or empty become numbers. Raises ``SourceError``.
    """
    try:
        match file_kind(path):
            case "parquet":
                return _parquet(path, limit), 0
            case "csv":
                with _opened(path) as file:
                    return _csv(file, limit), 0
        with _opened(path) as file:
            return _ndjson(path, file, limit)
    except UNREADABLE as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _ndjson(path: Path, file: BinaryIO, limit: int) -> tuple[list[dict[str, Any]], int]:
    rows, others = [], 0
    for line in islice(lines(file, _MAX_LINE_BYTES), limit):
        row = _object(line)
        if row is not None:
            rows.append(row)
            continue
        if not rows and not others and (wrong := not_by_line(line)):
            raise SourceError(f"{path}: {wrong}")
        others += 1
    return rows, others


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, with bare NaN and Infinity as production takes them; None where there is none, or one that is no text."""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        event = parse_json(line.decode())
        json.dumps(event, ensure_ascii=False).encode()  # a lone surrogate could not be written into the configuration
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _csv(file: BinaryIO, limit: int) -> list[dict[str, Any]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text)
    header = csv_header(list(reader.fieldnames or ()))
    check_distinct(header, [name for name in header if name])
    rows = list(islice(reader, limit))
    names = [name for name in rows[0] if name] if rows else []
    columns = {name: _column([row[name] or "" for row in rows]) for name in names}
    return [{name: columns[name][at] for name in names} for at in range(len(rows))]


def _column(cells: list[str]) -> list[Any]:
    numbers = [number_of(cell) for cell in cells]
    if not any(isinstance(number, str) for number in numbers):
        return numbers
    lowered = [cell.lower() for cell in cells]
    if all(cell in ("true", "false", "") for cell in lowered):
        return [{"true": True, "false": False, "": None}[cell] for cell in lowered]
    return [cell or None for cell in cells]


def _parquet(path: Path, limit: int) -> list[dict[str, Any]]:
    parquet, wrong = pyarrow_parquet(path)
    rows: list[dict[str, Any]] = []
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_distinct(names, names)
            for batch in file.iter_batches(min(limit, 4096)):
                columns = [column_values(batch, name) for name in names]
                rows += [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)][: limit - len(rows)]
                if len(rows) >= limit:
                    break
    except wrong as error:
        raise OSError(f"expected a Parquet file: {error}") from error
    return rows
