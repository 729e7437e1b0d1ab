"""Values to codes: correct whatever was seen before, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import Decoder, tables
from monitor.decode.tables import ValueTable
from monitor.segment import MISSING, clean_value
from tests.decode import decode, event, model, raw, texts


def read(table: ValueTable, column: list[object]) -> list[str]:
    """The texts that a batch of one column would carry."""
    table.begin_batch()
    names, codes = table.only_used(table.codes(column))
    assert sorted(set(codes.tolist())) == list(range(len(names)))
    assert len(set(names)) == len(names)
    return [names[code] for code in codes.tolist()]


def test_segment_values_are_texts_of_what_the_event_holds():
    held = ["FR", 3, 3.0, -1, 2.5, True, False, 1, 0, "", None, {"a": 1}, [1], "a\u0000b", "__other__", "x" * 100, 1e300, 2**70]
    expected = [
        "FR", "3", "3", "-1", "2.5", "true", "false", "1", "0", MISSING, MISSING, MISSING, MISSING, "a?b", "?_other__", "x" * 64, "1e+300",
        "1180591620717411303424",
    ]  # fmt: skip
    batch, rejections = decode(model(columns={"c": "c"}), *(event(c=value) for value in held))
    assert rejections == []
    assert texts(batch) == expected
    assert texts(decode(model(columns={"c": "c"}), event())[0]) == [MISSING]


def test_values_are_cut_to_the_configured_length():
    batch, _ = decode(model(columns={"c": "c"}, segments={"max_value_length": 3}), event(c="abcdef"), event(c="abcxyz"), event(c=12345))
    assert batch.segment_values == (("abc", "123"),)
    assert texts(batch) == ["abc", "abc", "123"]


_VALUES = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, 1, 0.0, 1.0, -0.0, 2, "0", "1", "true", "false", ""]), st.integers(), st.text(max_size=6)
)


@given(st.lists(st.lists(_VALUES, max_size=12), max_size=6))
def test_a_table_gives_the_same_texts_whatever_it_saw_before(batches):
    kept = ValueTable(MISSING, 4)
    for column in batches:
        assert read(kept, column) == [clean_value(None if v is None else _text(v), 4) for v in column]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, int | float) else str(value)


@pytest.mark.parametrize("column", [[1e16, 10**16], [10**16, 1e16]])
def test_equal_numbers_of_different_texts_stay_apart_in_any_order(column):
    """Beyond 2**53 a float is written with an exponent, and the integer that equals it is not."""
    texts_alone = [read(ValueTable(MISSING, 64), [value])[0] for value in column]
    assert read(ValueTable(MISSING, 64), column) == texts_alone
    assert sorted(texts_alone) == ["10000000000000000", "1e+16"]


def test_a_full_table_is_emptied_between_batches_and_codes_stay_right(monkeypatch):
    monkeypatch.setattr(tables, "MAX_ENTRIES", 10)
    decoder = Decoder(model(columns={"c": "c"}), {})
    for start in range(0, 100, 7):
        wanted = [f"v{i}" for i in range(start, start + 25)] + [f"v{start}"]
        batch, _ = decoder.decode([raw([event(c=value) for value in wanted])])
        assert texts(batch) == wanted
        assert len(batch.segment_values[0]) == 25


def test_a_table_does_not_grow_with_the_values_it_has_seen():
    table = ValueTable(MISSING, 16)
    for start in range(0, 300_000, 10_000):
        column = [f"{'prefix' * 3}{i}" for i in range(start, start + 5_000)] + list(range(start, start + 5_000))
        read(table, column)
        assert max(len(table), len(table._names), len(table._codes)) <= tables.MAX_ENTRIES + 10_000
    assert not any(isinstance(key, str) and len(key) > 16 for key in table)


def test_rows_carry_the_version_of_their_event_cleaned_and_cut():
    config = model(model_version="model.version")
    held = ["2.1", 7, None, "", "v\n1", "x" * 200, "__other__", 2.5, True, {"a": 1}]
    events = [event(model={"version": value}) for value in held] + [event(), event(model=None), event(model="wrong")]
    batch, rejections = decode(config, *events)
    assert rejections == []
    assert [batch.versions[code] for code in batch.version.tolist()] == [
        "2.1", "7", "configured", "configured", "v?1", "x" * 100, "?_other__", "2.5", "true", *["configured"] * 4,
    ]  # fmt: skip


def test_without_a_path_every_row_is_of_the_configured_version():
    batch, _ = decode(model(), event(), event(version="9"))
    assert (batch.versions, batch.version.tolist()) == (("configured",), [0, 0])


@pytest.mark.parametrize("versions", [["3"] * 4, ["3", "3", "4", "3"], ["4", None, 4, "4"]])
def test_one_version_throughout_is_no_special_case(versions):
    batch, _ = decode(model(model_version="v"), *(event(v=value) for value in versions))
    assert [batch.versions[code] for code in batch.version.tolist()] == ["configured" if v is None else str(v) for v in versions]
