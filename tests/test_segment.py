"""Keys of segments: read back as they were written, and any text at all is read as something."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.segment import parse_key, segment_key

# Columns are names of the configuration; values are whatever events hold.
COLUMNS = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), max_size=3, unique=True)


@given(columns=COLUMNS, data=st.data())
def test_a_key_is_read_back_as_it_was_written(columns: list[str], data: st.DataObject) -> None:
    values = [data.draw(st.text(alphabet="ab,=\\", max_size=6)) for _ in columns]
    assert parse_key(segment_key(tuple(columns), tuple(values))) == (tuple(columns), tuple(values))


@given(st.text(alphabet="ab,=\\", max_size=12))
def test_any_text_has_as_many_columns_as_values(text: str) -> None:
    columns, values = parse_key(text)
    assert len(columns) == len(values)
