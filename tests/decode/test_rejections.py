"""A message yields no row only when its JSON, id or time cannot be used, and each such message says why."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.batch import RejectReason
from monitor.decode import Decoder
from tests.decode import decode, event, model, raw, reasons

DEEP = b'{"id":"a","ts":1,"junk":' + b"[" * 40 + b"]" * 40 + b"}"


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (b"", "not_json", "expected JSON: Expecting value at character 0"),
        (b"not json", "not_json", "expected JSON: Expecting value at character 0"),
        (b'{"id":"a","ts":1', "not_json", "expected JSON: Expecting ',' delimiter at character 16"),
        (b'{"id":"a","ts":1} {}', "not_json", "expected JSON: Extra data at character 18"),
        (b'{"id":"a","ts":1},{"id":"b","ts":1}', "not_json", "expected JSON: Extra data at character 17"),
        (b'{"id":"\xff","ts":1}', "not_json", "expected UTF-8, got another byte at 7"),
        (b'\xef\xbb\xbf{"id":"a","ts":1}', "not_json", "expected JSON: Expecting value at character 0"),
        (b'[{"id":"a","ts":1}]', "not_an_object", "expected a JSON object, got an array"),
        (b"null", "not_an_object", "expected a JSON object, got null"),
        (b'"text"', "not_an_object", "expected a JSON object, got text"),
        (b"3", "not_an_object", "expected a JSON object, got a number"),
        (b"NaN", "not_an_object", "expected a JSON object, got a number that is not finite"),
        (b'{"id":"a","ts":1,"z":"' + b"z" * 2_000 + b'"}', "too_large", "expected at most 1000 bytes, got 2024"),
        (DEEP, "too_deep", "expected nesting of at most 32, got 41"),
        ({"ts": 1}, "no_id", "expected an id at id, got nothing"),
        (event(id=None), "no_id", "expected an id at id, got nothing"),
        (event(id=""), "no_id", "expected an id at id, got an empty text"),
        (event(id={"a": 1}), "bad_id", "expected text of at most 512 characters or a whole number at id, got another type"),
        (event(id=["a"]), "bad_id", "expected text of at most 512 characters or a whole number at id, got another type"),
        (event(id=True), "bad_id", "expected text of at most 512 characters or a whole number at id, got another type"),
        (event(id=1.5), "bad_id", "expected text of at most 512 characters or a whole number at id, got a number with a fraction"),
        (event(id="i" * 513), "bad_id", "expected text of at most 512 characters or a whole number at id, got 513 characters"),
        (event(id=10**600), "bad_id", "expected text of at most 512 characters or a whole number at id, got 601 characters"),
        ({"id": "a"}, "no_time", "expected a time at ts, got nothing"),
        (event(ts=None), "no_time", "expected a time at ts, got nothing"),
        (event(ts="1000"), "bad_time", "expected a number of ms since 1970 at ts, got another type"),
        (event(ts=True), "bad_time", "expected a number of ms since 1970 at ts, got another type"),
        (b'{"id":"a","ts":NaN}', "bad_time", "expected a number of ms since 1970 at ts, got a number that is not finite"),
        (b'{"id":"a","ts":1e999}', "bad_time", "expected a number of ms since 1970 at ts, got a number that is not finite"),
        (event(ts=-1), "bad_time", "expected a time from 1970 to 2999 at ts, got one before 1970; is ms its unit?"),
        (event(ts=-0.25), "bad_time", "expected a time from 1970 to 2999 at ts, got one before 1970; is ms its unit?"),
        (event(ts=2**80), "bad_time", "expected a time from 1970 to 2999 at ts, got one after the year 2999; is ms its unit?"),
        (event(ts=32_503_680_000_000), "bad_time", "expected a time from 1970 to 2999 at ts, got one after the year 2999; is ms its unit?"),
    ],
)
def test_a_message_without_usable_json_id_or_time_is_rejected_with_its_reason(value, reason, detail):
    good = event(id="good")
    batch, rejections = decode(model(max_message_bytes=1_000), good, value, good)
    assert (reasons(rejections), [r.detail for r in rejections]) == ([reason], [detail])
    assert len(batch) == 2


@pytest.mark.parametrize("digits", [20, 400, 4_300, 4_301, 900_000])
def test_integers_of_any_length_are_judged_and_crash_nothing(digits):
    number = b"9" * digits
    values = [b'{"id":%s,"ts":1}' % number, b'{"id":"a","ts":%s}' % number, b'{"id":"a","ts":1,"x":%s,"c":%s}' % (number, number)]
    batch, rejections = decode(model(columns={"c": "c"}, max_message_bytes=2_000_000), *values)
    assert reasons(rejections) == (["bad_time"] if digits <= 512 else ["bad_id", "bad_time"])
    assert len(batch) + len(rejections) == 3
    assert batch.values[-1, 0] == (float("9" * digits) if digits <= 308 else pytest.approx(np.nan, nan_ok=True))


def test_a_rejection_carries_its_origin_and_the_bytes_for_the_dead_letter_topic():
    batches = [
        raw([event(), b"bad"], partition=3, first_offset=10, keys=[b"k0", b"k1"]),
        raw([b"worse", event()], partition=5, first_offset=70),
    ]
    _, (first, second) = Decoder(model(), {}).decode(batches)
    assert (first.topic, first.partition, first.offset, first.value, first.key) == ("t", 3, 11, b"bad", b"k1")
    assert (second.partition, second.offset, second.value, second.key) == (5, 70, b"worse", None)


def test_the_time_may_be_at_most_the_tolerance_after_the_record():
    config = model(future_tolerance="10s")
    batch, rejections = decode(config, event(ts=110_000), event(ts=110_001), timestamp_ms=100_000)
    assert batch.time_ms.tolist() == [110_000]
    assert reasons(rejections) == ["future"]
    assert rejections[0].detail == "expected a time at most 10000 ms after the record's, got 10001 ms"


def test_a_record_without_timestamp_sets_no_bound_on_the_time():
    batch, rejections = decode(model(), event(ts=4_000_000_000_000), timestamp_ms=-1)
    assert (len(batch), rejections) == (1, [])


def test_without_timestamp_the_time_may_be_at_most_the_tolerance_after_the_reading():
    config = model(future_tolerance="10s")
    raws = [raw([event(ts=110_000), event(ts=110_001)], read_ms=100_000), raw([event(ts=110_001)], read_ms=100_001)]
    batch, rejections = Decoder(config, {}).decode(raws)
    assert batch.time_ms.tolist() == [110_000, 110_001]
    assert [(each.offset, each.reason.label) for each in rejections] == [(1, "future")]
    assert rejections[0].detail == "expected a time at most 10000 ms after it was read, got 10001 ms"


def test_the_time_of_reading_bounds_no_record_that_has_a_timestamp_and_is_no_time_of_an_event():
    batch, rejections = decode(model(), event(ts=4_000_000_000_000), timestamp_ms=4_000_000_000_000, read_ms=1_000)
    assert (len(batch), rejections) == (1, [])
    _, rejections = decode(model(time={"path": "$timestamp"}), event(), read_ms=1_000)
    assert reasons(rejections) == ["no_time"]


def test_the_id_is_judged_before_the_time():
    _, rejections = decode(model(), {"x": 1})
    assert reasons(rejections) == ["no_id"]


def test_a_detail_is_short_printable_and_never_the_payload():
    secret = "4111-1111-1111-1111"
    path = "p" * 400 + "\u202e"
    values = [event(id=[secret]), event(ts=secret), b'{"id":"' + secret.encode(), secret.encode() * 9_000]
    _, rejections = decode(model(id=path, max_message_bytes=5_000), *values)
    assert len(rejections) == 4
    for rejection in rejections:
        assert len(rejection.detail) <= 200
        assert rejection.detail.isprintable()
        assert secret not in rejection.detail


def test_tombstones_are_counted_and_not_rejected():
    batch, rejections = decode(model(), None, event(), None)
    assert (batch.messages, batch.tombstones, len(batch), rejections) == (3, 2, 1, [])


def test_each_reason_is_counted_once_per_message():
    batch, _ = decode(model(), b"x", b"y", b"[]", event(id=None), event(), None)
    expected = np.zeros(len(RejectReason), np.int64)
    expected[[RejectReason.NOT_JSON, RejectReason.NOT_AN_OBJECT, RejectReason.NO_ID]] = [2, 1, 1]
    assert batch.rejected.tolist() == expected.tolist()
    assert batch.messages == batch.tombstones + batch.rejected.sum() + len(batch)


@pytest.mark.parametrize("levels", [900, 100_000])
def test_a_nesting_bomb_in_a_field_that_nobody_reads_is_rejected_without_recursion(levels):
    bombs = [b'{"id":"a","ts":1,"z":' + pair[0] * levels + b"1" + pair[1] * levels + b"}" for pair in ((b"[", b"]"), (b'{"a":', b"}"))]
    batch, rejections = decode(model(), event(), *bombs, event())
    assert (reasons(rejections), len(batch)) == (["too_deep"] * 2, 2)
    assert rejections[0].detail == f"expected nesting of at most 32, got {levels + 1}"


def test_nesting_up_to_the_bound_is_a_row():
    at_bound = b'{"id":"a","ts":1,"z":' + b"[" * 31 + b"]" * 31 + b"}"
    batch, rejections = decode(model(), at_bound)
    assert (len(batch), rejections) == (1, [])


def test_the_deepest_configurable_nesting_can_be_parsed_in_general():
    config = model(max_depth=500)
    deep = b'{"id":"a","ts":1,"x":"not a number","z":' + b"[" * 499 + b"]" * 499 + b"}"
    batch, rejections = decode(config, deep)
    assert (len(batch), rejections) == (1, [])


def test_a_batch_of_no_messages_or_only_bad_ones_has_no_rows():
    decoder = Decoder(model(columns={"c": "c"}, model_version="v"), {})
    empty, none = decoder.decode([])
    assert (len(empty), empty.messages, empty.spans, none) == (0, 0, (), [])
    bad, rejections = decoder.decode([raw([b"?", None], partition=2, first_offset=8)])
    assert (len(bad), bad.messages, bad.tombstones, len(rejections)) == (0, 2, 1, 1)
    assert (bad.spans[0].start, bad.spans[0].stop, bad.spans[0].next_offset) == (0, 0, 10)
    assert (bad.values.shape, bad.segments.shape, bad.ids.shape, bad.versions) == ((0, 1), (0, 1), (0, 2), ())
