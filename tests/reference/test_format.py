"""A file gives back the same reference, or says why it cannot."""

from __future__ import annotations

import base64
import gzip
import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import ReferenceFileError
from monitor.profile.layout import Layout, SignalBins
from monitor.profile.table import CountTable
from monitor.reference import format as file_format
from monitor.reference.format import decode, encode, read_reference, with_fingerprint, write_reference
from monitor.reference.reference import BlockMoments, HourSlots, Reference


def arrays_equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(arrays_equal, a, b))
    if isinstance(a, HourSlots | BlockMoments):
        return all(arrays_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def same(a: Reference, b: Reference) -> bool:
    return all(arrays_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Reference))


@st.composite
def references(draw: st.DrawFn) -> Reference:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    edges = draw(st.lists(st.floats(-1e308, 1e308), unique=True, max_size=5))
    categories = draw(st.lists(st.text(max_size=5), unique=True, max_size=4))
    layout = Layout(
        (
            SignalBins("a", "numeric", edges=tuple(sorted({edge + 0.0 for edge in edges}))),
            SignalBins(
                "b", "categorical", categories=tuple(categories[:2]), tail=tuple(categories[2:]), declared=tuple(categories) or None
            ),
        )
    )
    segments = tuple(sorted({"ALL", *draw(st.lists(st.text(max_size=8), max_size=4))}))
    largest = draw(st.sampled_from([1, 200, 60_000, 2**31, 2**40]))
    counts = np.zeros((len(segments), layout.cells), np.int64)
    for row in range(len(segments)):
        rows = int(random.integers(0, largest, endpoint=True))
        for index, signal in enumerate(layout.signals):
            counts[row, layout.span(index)] = random.multinomial(rows, np.full(signal.cells, 1 / signal.cells))
    floats = random.normal(size=layout.cells)
    floats[random.random(layout.cells) < 0.3] = math.nan
    hours = HourSlots(24, ("ALL",), random.integers(0, largest, (1, 24, layout.cells)))
    sizes = [signal.cells for signal in layout.signals]

    def of(dimensions: int) -> tuple[tuple[np.ndarray, ...], ...]:
        return tuple(tuple(random.integers(0, 9, (size,) * dimensions).astype(float) for size in sizes) for _ in range(2))

    blocks = BlockMoments((300_000, 900_000), of(2), of(2), random.integers(0, 9, (2, 3)) * 1.0, np.ones((2, 3)), of(1), of(1))
    return with_fingerprint(
        Reference(
            model="m",
            model_version=draw(st.text(min_size=1, max_size=5)),
            dataset_version=draw(st.none() | st.text(max_size=5)),
            pipeline_version=None,
            rows=int(counts[0].sum()),
            start_ms=draw(st.none() | st.integers(0, 2**41)),
            end_ms=None,
            schema=({"name": "a", "range": None},),
            groupings=(("x",), ("x", "y")),
            table=CountTable(layout, segments, counts, random.integers(-(2**40), 2**40, (len(segments), 2, 2))),
            bin_means=floats,
            means=np.array([1.5, math.nan]),
            stds=np.array([0.1, math.nan]),
            hours=draw(st.sampled_from([None, hours])),
            blocks=draw(st.sampled_from([None, blocks])),
            labels=draw(st.sampled_from([None, {"rows": 3, "performance": {"auc": 0.75}}])),
            fingerprint="",
        )
    )


@settings(max_examples=60, deadline=None)
@given(references())
def test_reading_what_was_written_gives_the_same_reference(reference: Reference) -> None:
    body = encode(reference)
    assert same(decode(body, "it"), reference)
    assert encode(decode(body, "it")) == body


@pytest.fixture(scope="module")
def reference() -> Reference:
    layout = Layout((SignalBins("a", "numeric", edges=(0.0, 1.0)),))
    table = CountTable(layout, ("ALL",), np.array([[1, 0, 0, 2, 3, 4]]), np.zeros((1, 1, 2), np.int64))
    nothing = np.full(layout.cells, math.nan)
    return with_fingerprint(
        Reference("m", "1", None, None, 10, None, None, (), (), table, nothing, np.array([0.5]), np.array([0.1]), None, None, None, "")
    )


def changed(reference: Reference, **parts: Any) -> bytes:
    whole = json.loads(gzip.decompress(encode(reference)))
    return gzip.compress(json.dumps(whole | parts).encode())


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, reference: Reference) -> None:
    path = tmp_path / "reference.json.gz"
    write_reference(reference, path)
    first = path.read_bytes()
    write_reference(reference, path)
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    folder = tmp_path / "folder.json.gz"
    folder.mkdir()
    with pytest.raises(ReferenceFileError, match="the reference cannot be written"):
        write_reference(reference, folder)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [folder.name, path.name]


def test_a_missing_file_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(ReferenceFileError, match=r"nothing\.gz: the reference cannot be read: No such file.*driftgauge reference build"):
        read_reference(tmp_path / "nothing.gz")


def test_another_version_is_refused_whatever_its_content(reference: Reference) -> None:
    with pytest.raises(ReferenceFileError, match="it: expected version 1, got 2; build the reference again"):
        decode(changed(reference, version=2, content="of the future"), "it")


def test_other_json_is_refused(reference: Reference) -> None:
    with pytest.raises(ReferenceFileError, match="expected format 'driftgauge-reference', got 'other'"):
        decode(changed(reference, format="other"), "it")
    with pytest.raises(ReferenceFileError, match="expected a driftgauge-reference file, got other JSON"):
        decode(gzip.compress(b"[1, 2]"), "it")


def test_a_changed_content_is_refused(reference: Reference) -> None:
    text = gzip.decompress(encode(reference))
    altered = text.replace(b'"rows":10', b'"rows":11')
    assert altered != text
    with pytest.raises(ReferenceFileError, match=r"expected content of fingerprint .*: the file was changed after it was built"):
        decode(gzip.compress(altered), "it")


@pytest.mark.parametrize("kept", [1, 20, -9, -1])
def test_a_truncated_file_is_refused(reference: Reference, kept: int) -> None:
    with pytest.raises(ReferenceFileError, match=r"it: expected a (whole gzip file, got a truncated one|gzip file)"):
        decode(encode(reference)[:kept], "it")


def test_a_damaged_file_is_refused(reference: Reference) -> None:
    body = bytearray(encode(reference))
    body[-6] ^= 1
    with pytest.raises(ReferenceFileError, match="expected a whole gzip file, got a damaged one"):
        decode(bytes(body), "it")
    with pytest.raises(ReferenceFileError, match="expected a whole gzip file, got bytes after its end"):
        decode(encode(reference) + b"x", "it")


def test_a_file_that_is_no_gzip_is_refused() -> None:
    with pytest.raises(ReferenceFileError, match=r"expected a gzip file written by `driftgauge reference build`, got bytes b'PAR1'"):
        decode(b"PAR1", "it")


def test_a_bomb_is_refused_before_it_unpacks(monkeypatch: pytest.MonkeyPatch, reference: Reference) -> None:
    monkeypatch.setattr(file_format, "MAX_JSON_BYTES", 10_000)
    with pytest.raises(ReferenceFileError, match="expected at most 10,000 bytes when unpacked, got more"):
        decode(gzip.compress(bytes(1_000_000)), "it")
    monkeypatch.setattr(file_format, "MAX_FILE_BYTES", 10)
    with pytest.raises(ReferenceFileError, match="expected at most 10 bytes, got more"):
        decode(encode(reference), "it")


def forged(reference: Reference, **parts: Any) -> bytes:
    """A file with a right fingerprint around a content that does not fit together."""
    import hashlib

    content = json.loads(gzip.decompress(encode(reference)))["content"] | parts
    text = json.dumps(content).encode()
    fingerprint = hashlib.sha256(text).hexdigest().encode()
    head = b'{"format":"driftgauge-reference","version":1,"fingerprint":"' + fingerprint + b'","content":'
    return gzip.compress(head + text + b"}")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"segments": ["ALL", "ALL"]}, "expected sorted, distinct segments"),
        ({"means": []}, "expected 1 numbers, got 0"),
        ({"rows": "ten"}, "Expected `int`, got `str`"),
        ({"counts": {"data": "", "kind": "u1", "shape": [1, 6]}}, r"expected an array of shape \(1, 6\), got \(1, 6\) in 0 bytes"),
        (
            {"counts": {"data": base64.b64encode(bytes(8 * 10**3)).decode(), "kind": "i8", "shape": [10**9, 6]}},
            r"expected an array of shape \(1, 6\), got \(1000000000, 6\)",
        ),
        ({"signals": [{"name": "a", "kind": "numeric", "edges": [1.0, 0.0]}]}, "expected finite, increasing edges"),
        ({"signals": []}, "at least one signal"),
        ({"surprise": 1}, "unknown field `surprise`"),
    ],
)
def test_a_content_that_does_not_fit_together_is_refused(reference: Reference, parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ReferenceFileError, match=f"it: the content of the reference cannot be used: .*{message}.*; build it again"):
        decode(forged(reference, **parts), "it")


def test_counts_of_signals_must_be_of_the_same_rows(reference: Reference) -> None:
    layout = [{"name": name, "kind": "numeric", "edges": []} for name in ("a", "b")]
    data = base64.b64encode(bytes([0, 0, 0, 5, 0, 0, 0, 6])).decode()
    parts = {
        "signals": layout,
        "counts": {"data": data, "kind": "u1", "shape": [1, 8]},
        "tails": {"data": base64.b64encode(bytes(4)).decode(), "kind": "u1", "shape": [1, 2, 2]},
        "means": [None, None],
        "stds": [None, None],
        "bin_means": [None] * 8,
    }
    with pytest.raises(ReferenceFileError, match="expected the same number of rows in each signal of a segment"):
        decode(forged(reference, **parts), "it")
