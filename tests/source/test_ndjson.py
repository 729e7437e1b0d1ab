"""Files as a source: every line once, from any offset, in constant memory, whatever is in them."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.source import SourceConfig
from monitor.errors import SourceError
from monitor.source import ndjson
from monitor.source.base import Gap, Needs
from monitor.source.open import open_source
from tests.source.conftest import Member, Recorder

T = ("events", 0)


def _member(path, saved=None, topics=("events",), **options):
    source = open_source(SourceConfig.model_validate({"client": "ndjson", "path": path, **options}), list(topics), Needs())
    member = Member(source, Recorder(saved))
    source.start(member.listener)
    return member


def _drain(member):
    while not member.source.finished():
        member.poll()
    return member


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
def test_every_line_is_a_message_numbered_from_zero(tmp_path, name):
    path = tmp_path / name
    with (gzip.open if name.endswith("gz") else open)(path, "wb") as file:
        file.write(b'{"a":1}\r\n\n{"b":2}\nlast without an end')
    member = _drain(_member(path))
    assert member.offsets == {T: [0, 2, 3]}
    assert member.values == {T: [b'{"a":1}', b'{"b":2}', b"last without an end"]}
    assert member.source.lag() == {T: 0}
    assert member.source.assignment().complete


@given(lines=st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"").rstrip(b"\r")), max_size=30), data=st.data())
@settings(max_examples=60)
def test_reading_in_two_parts_is_reading_once(tmp_path_factory, lines, data):
    path = tmp_path_factory.mktemp("files") / "events.ndjson"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    stop = data.draw(st.integers(0, len(lines)))
    whole = _drain(_member(path, max_poll_records=data.draw(st.integers(1, 5))))
    rest = _drain(_member(path, {T: stop}))
    assert whole.values.get(T, []) == [line for line in lines if line]
    assert rest.values.get(T, []) == [line for line in lines[stop:] if line]
    assert rest.listener.gaps == []


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"a":1}\n\xef\xbb\xbf{"b":2}\n')
    assert _drain(_member(path)).values == {T: [b'{"a":1}', b'\xef\xbb\xbf{"b":2}']}


def test_an_offset_behind_the_end_is_a_gap_and_reading_begins_anew(tmp_path):
    (tmp_path / "events.ndjson").write_text("a\nb\n")
    member = _drain(_member(tmp_path / "events.ndjson", {T: 3}))
    assert member.listener.gaps == [Gap("events", 0, wanted=3, resumed=0)]
    assert member.values == {T: [b"a", b"b"]}


def test_record_time_is_unknown_and_when_it_was_read_is_known(tmp_path):
    (tmp_path / "events.ndjson").write_text("a\n")
    os.utime(tmp_path / "events.ndjson", (0, 0))  # as archives leave it that are made the same each time
    member = _member(tmp_path / "events.ndjson")
    before_ms = time.time_ns() // 1_000_000
    [batch] = member.source.poll(0)
    assert batch.timestamps_ms.tolist() == [ndjson.UNKNOWN_TIME_MS] == [-1]
    assert before_ms <= batch.read_ms <= time.time_ns() // 1_000_000
    assert batch.part(0, 1).read_ms == batch.read_ms


def test_a_folder_has_a_file_for_each_partition(tmp_path):
    for name, text in (("events.ndjson", "a\n"), ("events-2.ndjson", "b\n"), ("labels.ndjson", "c\n"), ("events.txt", "no\n")):
        (tmp_path / name).write_text(text)
    member = _drain(_member(tmp_path, topics=("events", "labels")))
    assert member.values == {("events", 0): [b"a"], ("events", 2): [b"b"], ("labels", 0): [b"c"]}
    assert member.source.assignment().partitions == {"events": 2, "labels": 1}


def test_a_paused_file_stands_still_and_the_others_go_on(tmp_path):
    for partition in (0, 1):
        (tmp_path / f"events-{partition}.ndjson").write_text("x\n" * 100)
    member = _member(tmp_path, max_poll_records=10)
    member.poll()
    member.source.pause([("events", 0)])
    held = len(member.values[T])
    for _ in range(20):
        member.poll()
    assert (len(member.values[T]), len(member.values["events", 1])) == (held, 100)
    assert not member.source.finished()
    member.source.resume([("events", 0)])
    assert len(_drain(member).values[T]) == 100


def test_a_long_file_does_not_starve_the_others(tmp_path):
    for partition in (0, 1):
        (tmp_path / f"events-{partition}.ndjson").write_text("x\n" * 100)
    member = _member(tmp_path, max_poll_records=10)
    for _ in range(4):
        member.poll()
    assert {partition: len(values) for partition, values in member.values.items()} == {T: 20, ("events", 1): 20}


def test_a_line_beyond_the_bound_is_cut_and_the_next_one_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 1_000)
    (tmp_path / "events.ndjson").write_bytes(b"y" * 10_500 + b"\nnext\n" + b"z" * 1_000 + b"\n")
    member = _drain(_member(tmp_path / "events.ndjson"))
    assert member.offsets == {T: [0, 1, 2]}
    assert [len(value) for value in member.values[T]] == [1_001, 4, 1_000]


def test_memory_does_not_grow_with_the_file_nor_with_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 1 << 16)
    monkeypatch.setattr(ndjson, "MAX_POLL_BYTES", 1 << 18)
    path = tmp_path / "events.ndjson.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"x" * (64 << 20) + b"\n")
        for _ in range(4_000):
            file.write(b"z" * 10_000 + b"\n")
    member = _member(path)
    tracemalloc.start()
    count = 0
    while not member.source.finished():
        count += sum(map(len, member.source.poll(0)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4_001
    assert peak < 4 << 20, f"{peak} bytes for a file of {104 << 20}"


def test_a_truncated_archive_is_an_error_that_says_where(tmp_path):
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(gzip.compress(b"line\n" * 100_000)[:-20])
    member = _member(path)
    with pytest.raises(SourceError, match=rf"source\.path: cannot read {path} after line \d+: ends in the middle of its compressed data"):
        _drain(member)


def test_what_is_no_archive_is_an_error(tmp_path):
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(b"plain text\n")
    with pytest.raises(SourceError, match="after line 0: Not a gzipped file"):
        _drain(_member(path))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(SourceError, match=r"source\.path: cannot open .*absent\.ndjson: No such file"):
        _member(tmp_path / "absent.ndjson")
    with pytest.raises(SourceError, match=r"expected events\.ndjson or events-<partition>\.ndjson in .*, got neither"):
        _member(tmp_path)
    (tmp_path / "events.ndjson").touch()
    with pytest.raises(SourceError, match=r"expected a folder with a file for each of the topics events, labels"):
        _member(tmp_path / "events.ndjson", topics=("events", "labels"))
    (tmp_path / "events-0.ndjson").touch()
    with pytest.raises(SourceError, match="expected one file for partition 0 of events, got"):
        _member(tmp_path)


def test_closing_revokes_what_was_assigned(tmp_path):
    (tmp_path / "events.ndjson").write_text("a\n")
    member = _member(tmp_path / "events.ndjson")
    member.source.close()
    assert member.listener.events == []
    member = _drain(_member(tmp_path / "events.ndjson"))
    member.source.close()
    assert member.listener.events == [("assigned", frozenset({T})), ("revoked", frozenset({T}))]


def test_while_all_that_is_left_is_paused_a_poll_waits_instead_of_spinning(tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(ndjson.time, "sleep", waits.append)
    (tmp_path / "events-0.ndjson").write_bytes(b"{}\n{}\n")
    member = _member(tmp_path, max_poll_records=1)
    member.poll()
    assert waits == []
    member.source.pause([T])
    assert member.source.poll(250) == []
    assert waits == [0.25]
