"""Files become messages: bounded lines, tables in the shape of events, errors that say where."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from monitor.errors import SourceError
from monitor.init.sample import read_sample
from monitor.reference import read
from monitor.reference.columns import number_of, rows_of, wanted
from monitor.reference.mapping import data_model
from monitor.reference.read import lines, open_files
from tests.reference.data import event, flat_rows, model, write_csv, write_ndjson, write_parquet


def events(path: Path, extra: tuple[str, ...] = (), **changes: Any) -> list[dict[str, Any]]:
    rows = open_files([path], data_model(model(**changes)), extra)
    return [json.loads(value or b"") for batches, _ in rows.read() for batch in batches for value in batch.values]


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.integers(1, 40), st.booleans(), st.booleans())
def test_lines_are_those_of_the_file_cut_where_they_are_too_long(parts: list[bytes], block: int, ended: bool, marked: bool) -> None:
    data = (b"\n".join(parts) + (b"\n" if ended else b"")).lstrip(codecs.BOM_UTF8)
    before = read._BLOCK_BYTES
    read._BLOCK_BYTES = block
    try:
        found = list(lines(io.BytesIO(codecs.BOM_UTF8 * marked + data), 10))
    finally:
        read._BLOCK_BYTES = before
    expected = [line for line in data.split(b"\n") if line.strip() or len(line) > 10]
    assert [line[:11] for line in found] == [line[:11] for line in expected if line[:11].strip() or len(line) > 10]
    assert all(len(line) <= 11 for line in found)


@pytest.mark.parametrize("data", [b"", b"{", b"{\n}", b"\xef\xbb\xbf{}"])
def test_a_file_of_a_few_bytes_has_its_lines(data: bytes) -> None:
    assert list(lines(io.BytesIO(codecs.BOM_UTF8 + data), 10)) == data.split()  # a second mark is none


def test_a_line_without_end_is_never_held_whole() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return b"x" * size if self.given < 300 << 20 else b""

    assert [len(line) for line in lines(Endless(), 1_000)] == [1_001]  # type: ignore[arg-type]


def test_tables_give_the_events_that_the_paths_describe(tmp_path: Path) -> None:
    rows = flat_rows(300)
    expected = [event(row) for row in rows]
    for row in expected:
        del row["id"]  # a row's number stands for its id
    from_csv = events(write_csv(tmp_path / "rows.csv", rows), ("truth", "known"))
    from_parquet = events(write_parquet(tmp_path / "rows.parquet", rows), ("truth", "known"))
    assert from_parquet == expected
    # CSV has no types: what no feature declares stays text.
    for row in expected:
        row["known"] = str(row["known"])
    assert from_csv == expected


def test_columns_are_found_by_path_then_name_then_last_key(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("features.amount,amount,score,price\n1,2,0.5,9\n")
    assert events(path) == [{"features": {"amount": 1}, "prediction": {"score": 0.5}}]
    path.write_text("amount,price\n2,9\n")
    assert events(path) == [{"features": {"amount": 2}}]
    feature = {"name": "cost", "type": "numeric", "path": "features.price"}
    assert events(path, features=[feature]) == [{"features": {"price": 9}}]


def test_elements_of_an_array_and_keys_with_dots_are_put_in_their_places(tmp_path: Path) -> None:
    features = [
        {"name": "x", "type": "numeric", "path": "inputs[0]"},
        {"name": "y", "type": "numeric", "path": "inputs[2].v"},
        {"name": "z", "type": "numeric", "path": '"a.b".c'},
    ]
    path = tmp_path / "rows.csv"
    path.write_text("x,y,z\n1,2,3\n")
    assert events(path, features=features) == [{"inputs": [1, None, {"v": 2}], "a.b": {"c": 3}}]


def test_what_production_has_outside_the_body_stands_beside_the_features(tmp_path: Path) -> None:
    features = [{"name": "kind", "type": "categorical", "path": "$header.kind"}, {"name": "amount", "type": "numeric"}]
    path = tmp_path / "rows.csv"
    path.write_text("kind,amount,timestamp\na,1,5\n")
    mapped = events(path, features=features, predictions={"time": {"path": "$timestamp"}})
    assert mapped == [{"kind": "a", "amount": 1, "timestamp": 5}]


def test_nested_columns_of_parquet_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [event(row) for row in flat_rows(20)]
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path)
    found = events(path)
    assert [row["features"] for row in found] == [row["features"] for row in rows]
    assert [row["prediction"] for row in found] == [row["prediction"] for row in rows]


def test_decimals_inside_structures_are_numbers(tmp_path: Path) -> None:
    rows = [event(row) | {"features": {"amount": Decimal("2.50"), "tier": Decimal("3.00")}} for row in flat_rows(5)]
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path)
    assert [row["features"] for row in events(path)] == [{"amount": 2.5, "tier": 3}] * 5


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (None, "null"),
        (3.0, "3.0"),
        (Decimal("2.50"), "2.5"),
        ("text", '"text"'),
        (True, "true"),
    ],
)
def test_a_number_keeps_its_meaning(value: Any, written: str) -> None:
    row = rows_of(wanted(data_model(model())), ["amount"], "ms", typed=True)
    assert row.event([value]) == b'{"features":{"amount":' + written.encode() + b"}}"


def test_whole_floats_in_categories_are_written_as_production_writes_them() -> None:
    row = rows_of(wanted(data_model(model())), ["tier", "country"], "ms", typed=True)
    assert row.event([3.0, 7.0]) == b'{"features":{"tier":3},"country":7}'
    assert row.event([2.5, 7.5]) == b'{"features":{"tier":2.5},"country":7.5}'


@pytest.mark.parametrize(("unit", "expected"), [("s", 1_356_998_400.5), ("ms", 1_356_998_400_500), ("us", 1_356_998_400_500_000)])
@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=2))])
def test_a_typed_time_is_written_in_the_configured_unit(unit: str, expected: float, zone: timezone | None) -> None:
    moment = datetime(2013, 1, 1, 0, 0, 0, 500_000, tzinfo=zone)
    if zone not in (None, UTC):
        moment += timedelta(hours=2)
    row = rows_of(wanted(data_model(model(predictions={"time": {"path": "ts", "unit": unit}}))), ["ts"], unit, typed=True)
    assert json.loads(row.event([moment])) == {"ts": expected}


def test_a_typed_time_is_written_as_text_where_text_is_configured() -> None:
    fields = wanted(data_model(model(predictions={"time": {"path": "ts", "unit": "iso8601"}})))
    row = rows_of(fields, ["ts"], "iso8601", typed=True)
    assert json.loads(row.event([datetime.fromisoformat("2013-01-01 05:00")])) == {"ts": "2013-01-01T05:00:00"}
    assert json.loads(row.event([date(2013, 1, 1)])) == {"ts": "2013-01-01"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("NA", None), ("7", 7), ("-1.5", -1.5), ("1e3", 1000.0), ("0x10", "0x10"), ("1_0", "1_0"), ("9" * 5_000, "9" * 5_000)],
)
def test_numbers_of_csv_are_what_python_reads_and_else_stay_text(text: str, value: Any) -> None:
    found = number_of(text)
    assert found == value or (len(text) == 5_000 and found == math.inf)


def test_booleans_of_csv_are_read_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("new,country\nTrue,True\nfalse,x\n,\nmaybe,true\n")
    assert [(row["features"]["new"], row["country"]) for row in events(path)] == [
        (True, True),
        (False, "x"),
        (None, None),
        ("maybe", "true"),
    ]


@pytest.mark.parametrize("write", [write_ndjson, write_csv])
def test_gzipped_files_read_like_plain_ones(tmp_path: Path, write: Any) -> None:
    plain = write(tmp_path / f"rows.{'ndjson' if write is write_ndjson else 'csv'}", flat_rows(50))
    packed = plain.with_name(plain.name + ".gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert events(packed) == events(plain)


def test_rows_are_numbered_over_all_files_and_progress_adds_up_to_their_size(tmp_path: Path) -> None:
    first, second = write_ndjson(tmp_path / "a.ndjson", flat_rows(5_000)), write_parquet(tmp_path / "b.parquet", flat_rows(5_000))
    rows = open_files([first, second], data_model(model()))
    chunks = list(rows.read())
    assert [key for batches, _ in chunks for batch in batches for key in batch.keys or ()] == [b"%d" % i for i in range(10_000)]
    assert sum(done for _, done in chunks) == rows.size == first.stat().st_size + second.stat().st_size
    assert len(chunks) > 2


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.csv: expected a data file, got nothing there"):
        open_files([tmp_path / "none.csv"], model())
    with pytest.raises(SourceError, match="expected a data file, got a folder"):
        open_files([tmp_path], model())
    other = tmp_path / "rows.xlsx"
    other.write_bytes(b"x")
    with pytest.raises(SourceError, match=r"rows\.xlsx: expected a file that ends in \.ndjson, .*\.parquet"):
        open_files([other], model())
    strange = tmp_path / "rows.csv"
    strange.write_text("a,b\n1,2\n")
    with pytest.raises(
        SourceError, match=r"rows\.csv: expected columns named like the features \(amount, visits, .*\) or their paths, got a, b"
    ):
        events(strange)
    strange.write_text("amount,b\n1,2\n3\n")
    with pytest.raises(SourceError, match=r"rows\.csv: cannot be read on from row 0: row 2: expected 2 columns, got 1"):
        events(strange)
    broken = tmp_path / "rows.parquet"
    broken.write_bytes(b"PAR1 but no more")
    with pytest.raises(SourceError, match=r"rows\.parquet: cannot be read on from row 0: expected a Parquet file"):
        events(broken)
    cut = tmp_path / "rows.ndjson.gz"
    cut.write_bytes(gzip.compress(b"{}\n" * 10_000)[:-20])
    with pytest.raises(SourceError, match=r"rows\.ndjson\.gz: cannot be read on from row \d+"):
        events(cut)


def test_damaged_compressed_data_are_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    whole = gzip.compress(write_csv(tmp_path / "rows.csv", flat_rows(3_000)).read_bytes())
    path.write_bytes(whole[:2_000] + b"\xff" * 8 + whole[2_008:])
    with pytest.raises(SourceError, match=r"rows\.csv\.gz: cannot be read on from row \d+"):
        events(path)
    with pytest.raises(SourceError, match=r"rows\.csv\.gz: cannot be read"):
        read_sample(path)


def test_times_that_python_cannot_hold_are_said_with_their_column(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"amount": [1.0], "ts": pa.array([253_402_300_800_000], pa.timestamp("ms"))}), path)  # the year 10000
    with pytest.raises(SourceError, match=r"rows\.parquet: cannot be read on from row 0: column ts: .*out of range"):
        events(path)
    with pytest.raises(SourceError, match=r"rows\.parquet: cannot be read: column ts: .*out of range"):
        read_sample(path)


def test_columns_of_the_same_name_are_not_guessed_between(tmp_path: Path) -> None:
    twice = "expected one column amount, got 2 of that name; rename or drop the others"
    table = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["amount", "amount"]), table)
    text = tmp_path / "rows.csv"
    text.write_text("amount,amount\n1,2\n")
    for path in (table, text):
        with pytest.raises(SourceError, match=twice):
            events(path)
        with pytest.raises(SourceError, match=twice):
            read_sample(path)
    text.write_text("amount,,note,,note\n1,2,3,4,5\n")
    assert events(text) == [{"features": {"amount": 1}}]


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "rows.parquet", flat_rows(3))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"reading Parquet needs pyarrow; install it with: pip install 'driftgauge\[parquet\]'"):
        events(path)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_columns_separated_by_something_else_than_commas_are_said(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"id{separator}amount\n1{separator}2,5\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"rows\.csv: .*expected columns separated by commas, got the header 'id.*amount'"):
        events(path)
