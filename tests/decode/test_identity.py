"""Ids as 128 bits of their text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import Decoder, id_hash, needs_ids
from tests.decode import decode, event, model, raw, reasons


def test_the_hash_is_xxh3_128_of_utf_8():
    # Vector of the reference implementation for the empty input and seed 0, in its canonical (big-endian) form.
    canonical = bytes.fromhex("99aa06d3014798d86001c324468d497f")
    assert id_hash("") == tuple(np.frombuffer(canonical, "<u8").tolist())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "abc"),
        (17, "17"),
        (-17, "-17"),
        (17.0, "17"),
        (2**80, str(2**80)),
        ("é𝄞", "é𝄞"),
        ("i" * 512, "i" * 512),
        (10**511, "1" + "0" * 511),
    ],
)
def test_an_id_is_hashed_by_its_text_whatever_its_type(value, text):
    batch, rejections = decode(model(), event(id="other"), event(id=value))
    assert rejections == []
    assert tuple(batch.ids[1].tolist()) == id_hash(text)
    assert batch.ids.dtype == np.uint64


def test_ids_agree_whether_the_typed_decode_accepts_their_row_or_not():
    batch, _ = decode(model(), event(id="é"), event(id="é", x="wrong"), event(id=7), event(id=7, x="wrong"))
    assert batch.ids[0].tolist() == batch.ids[1].tolist()
    assert batch.ids[2].tolist() == batch.ids[3].tolist() == list(id_hash("7"))


def test_an_id_with_a_lone_surrogate_is_an_id():
    batch, rejections = decode(model(), b'{"id":"\\ud800","ts":1}', b'{"id":"\\ud801","ts":1}')
    assert rejections == []
    assert batch.ids[0].tolist() != batch.ids[1].tolist()
    assert tuple(batch.ids[0].tolist()) == id_hash("\ud800")


def test_the_key_of_the_message_can_be_the_id():
    config = model(id="$key")
    keys = [b"abc", None, b"", b"\xff\x00", b"\xfe\x00", b"k" * 513]
    batch, rejections = decode(config, *[event()] * 6, keys=keys)
    assert reasons(rejections) == ["no_id", "no_id", "bad_id"]
    assert [r.offset for r in rejections] == [1, 2, 5]
    assert tuple(batch.ids[0].tolist()) == id_hash("abc")
    assert len(np.unique(batch.ids, axis=0)) == 3


def test_without_keys_there_is_no_id_in_the_key():
    assert reasons(decode(model(id="$key"), event())[1]) == ["no_id"]


def test_an_id_in_a_header_is_the_last_of_its_name():
    headers = [[("trace", b"1"), ("trace", b"2")], [("other", b"1")], [("trace", None)]]
    batch, rejections = decode(model(id="$header.trace"), *[event()] * 3, headers=headers)
    assert [tuple(row) for row in batch.ids.tolist()] == [id_hash("2")]
    assert reasons(rejections) == ["no_id", "no_id"]


def test_keys_and_headers_are_those_of_their_own_partition():
    config = model(id="$key", columns={"h": "$header.h"})
    batches = [
        raw([event(), None, event()], keys=[b"a", b"b", b"c"], headers=[[("h", b"1")], [], [("h", b"3")]]),
        raw([b"bad", event()], partition=1, keys=[b"d", b"e"], headers=[[("h", b"4")], [("h", b"5")]]),
        raw([event(), event()], partition=2),
    ]
    batch, rejections = Decoder(config, {}).decode(batches)
    assert [tuple(row) for row in batch.ids.tolist()] == [id_hash("a"), id_hash("c"), id_hash("e")]
    assert [batch.segment_values[0][code] for code in batch.segments[:, 0]] == ["1", "3", "5"]
    assert reasons(rejections) == ["not_json", "no_id", "no_id"]


@given(st.lists(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()), min_size=2, max_size=2, unique=True))
def test_different_ids_have_different_hashes(ids):
    assert id_hash(ids[0]) != id_hash(ids[1])


ANY_ID = st.one_of(
    st.text(max_size=3),
    st.just("i" * 513),
    st.just("\ud800"),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.just([]),
    st.just({}),
)


@given(st.lists(ANY_ID, max_size=6))
def test_where_no_hash_is_wanted_the_same_ids_are_refused(ids):
    values = [event(id=value) for value in ids]
    with_hashes, refused = Decoder(model(), {}).decode([raw(values)])
    without, refused_too = Decoder(model(), {}, with_ids=False).decode([raw(values)])
    assert refused_too == refused
    assert without.time_ms.tolist() == with_hashes.time_ms.tolist()
    assert without.rejected.tolist() == with_hashes.rejected.tolist()
    assert not without.ids.any()
    assert with_hashes.ids.all(axis=None)


@pytest.mark.parametrize(("duplicates", "labels", "wanted"), [(True, False, True), (False, False, False), (False, True, True)])
def test_ids_are_hashed_where_repeats_are_dropped_or_labels_awaited(duplicates, labels, wanted):
    awaited = {"topic": "l", "id": "id", "time": {"path": "ts"}, "label": "y"} if labels else None
    assert needs_ids(model(score="score", threshold=0.5, duplicates={"enabled": duplicates}, labels=awaited)) == wanted
