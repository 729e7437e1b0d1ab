"""Learning from production counts what building from the same rows counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.batch import RawBatch
from monitor.config import SourceConfig
from monitor.errors import SourceError
from monitor.reference.build import Built, Options, build_reference
from monitor.reference.learn import Stretch, learn_reference
from monitor.reference.mapping import data_model
from monitor.reference.read import open_files
from monitor.reference.spool import Spool
from tests.reference.data import START_MS, event, flat_rows, model, write_ndjson

HOUR_MS = 3_600_000


def learn(path: Path, stretch: Stretch, **changes: Any) -> Built:
    source = SourceConfig(client="ndjson", path=path)
    return learn_reference(source, model(**changes), stretch, Options())


def topic_folder(tmp_path: Path, partitions: list[list[dict[str, Any]]]) -> Path:
    folder = tmp_path / "topic"
    folder.mkdir()
    for number, rows in enumerate(partitions):
        write_ndjson(folder / f"predictions-{number}.ndjson", rows)
    return folder


def test_learning_counts_exactly_the_rows_of_the_stretch(tmp_path: Path) -> None:
    rows = flat_rows(3_000)
    inside = [row for row in rows if row["ts"] < START_MS + 24 * HOUR_MS]
    configured = model()
    built = build_reference(configured, open_files([write_ndjson(tmp_path / "rows.ndjson", inside)], data_model(configured)), Options())
    learned = learn(write_ndjson(tmp_path / "predictions.ndjson", rows), Stretch(24))
    assert built.reference.rows == 1_440
    assert learned.reference.fingerprint == built.reference.fingerprint
    assert learned.notes == ()


def test_the_number_of_partitions_changes_nothing(tmp_path: Path) -> None:
    rows = flat_rows(3_000)
    whole = learn(write_ndjson(tmp_path / "predictions.ndjson", rows), Stretch(24)).reference
    # One partition is far behind the others when it is read.
    parted = learn(
        topic_folder(tmp_path, [rows[0::7] + rows[1::7], rows[2::7], rows[3::7] + rows[4::7] + rows[5::7], rows[6::7]]), Stretch(24)
    ).reference
    assert parted.table == whole.table


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    rows = flat_rows(600)
    once = learn(write_ndjson(tmp_path / "predictions.ndjson", rows), Stretch(9)).reference
    thrice = [row for at in range(0, 600, 50) for row in rows[at : at + 50] * 3]
    built = learn(write_ndjson(tmp_path / "again.ndjson", thrice), Stretch(9))
    assert built.reference.table == once.table
    # Nine hours of the ten that the log holds.
    assert built.notes == ("1,080 repeated rows left out",)


def test_a_log_that_ends_early_is_said_and_counted(tmp_path: Path) -> None:
    built = learn(write_ndjson(tmp_path / "predictions.ndjson", flat_rows(120)), Stretch(24))
    assert built.reference.rows == 120
    assert built.notes == ("the log ends at 2023-11-15 01:59 UTC, before the 24 hours were over: fewer were learned from",)


def test_one_wrong_timestamp_does_not_decide_where_the_stretch_begins(tmp_path: Path) -> None:
    rows = flat_rows(300)
    rows.insert(5, rows[4] | {"id": "stray", "ts": 1_000_000_000_000})
    assert learn(write_ndjson(tmp_path / "predictions.ndjson", rows), Stretch(2)).reference.rows == 120


def test_a_stretch_can_begin_where_one_wants(tmp_path: Path) -> None:
    built = learn(write_ndjson(tmp_path / "predictions.ndjson", flat_rows(600)), Stretch(2, from_ms=START_MS + 3 * HOUR_MS))
    assert (built.reference.start_ms, built.reference.rows) == (START_MS + 3 * HOUR_MS, 120)


def test_where_the_stretch_has_nothing_to_learn_from_it_is_said_which_that_is(tmp_path: Path) -> None:
    path = write_ndjson(tmp_path / "predictions.ndjson", flat_rows(120))
    with pytest.raises(SourceError) as caught:
        learn(path, Stretch(2, from_ms=START_MS + 24 * HOUR_MS))
    assert str(caught.value) == (
        "expected rows to count, got none that can be used; "
        "looked at 2023-11-16 00:00 UTC to 2023-11-16 02:00 UTC in a log read up to 2023-11-15 01:59 UTC; --from begins elsewhere"
    )


def test_an_empty_topic_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "predictions.ndjson"
    path.write_text("nonsense\n")
    with pytest.raises(SourceError, match=r"predictions: expected predictions to learn from, got none that can be used \(1 not_json\)"):
        learn(path, Stretch(24))


def test_a_stretch_that_does_not_fit_on_disk_is_refused(tmp_path: Path) -> None:
    path = write_ndjson(tmp_path / "predictions.ndjson", flat_rows(3_000))
    with pytest.raises(
        SourceError, match=r"expected the stretch to fit into 0 MB, .*; learn from fewer hours or allow more with --max-spool-mb"
    ):
        learn(path, Stretch(24, max_spool_bytes=10_000))


def test_a_spool_gives_messages_back_in_the_order_of_their_times() -> None:
    spool = Spool(1_000, 1 << 20)
    values = [json.dumps(event(row)).encode() for row in flat_rows(6)]
    times = np.array([5_500, 100, 3_000, 200, 9_000, 5_400])
    raw = RawBatch("t", 2, values, np.arange(10, 16), times + 7, [b"k", None] * 3, [[("h", b"v")], []] * 3)
    # In two parts, of which the second holds the earlier times.
    assert spool.add(raw, np.array([0, 2, 4]), times[[0, 2, 4]])
    assert spool.add(raw, np.array([1, 3, 5]), times[[1, 3, 5]])
    ((found, size),) = spool.read(0, 6_000)
    assert 0 < size < spool.size  # the last slice was left out
    assert size == spool.size_of(0, 6_000)
    spool.close()
    assert [batch.offsets.tolist() for batch in found] == [[11, 13], [12], [10], [15]]
    assert found[0].values == [values[1], values[3]]
    assert found[0].timestamps_ms.tolist() == [107, 207]
    assert (found[2].keys, found[2].headers) == ([b"k"], [[("h", b"v")]])
    assert (found[3].keys, found[3].headers) == ([None], [[]])
    assert (found[0].topic, found[0].partition) == ("t", 2)


def test_a_spool_has_a_bound() -> None:
    spool = Spool(1_000, 500)
    raw = RawBatch("t", 0, [np.random.default_rng(1).bytes(400)], np.array([0]), np.array([0]))
    assert spool.add(raw, np.array([0]), np.array([0]))
    assert not spool.add(raw, np.array([0]), np.array([0]))
    assert spool.rows == 1
    spool.close()
