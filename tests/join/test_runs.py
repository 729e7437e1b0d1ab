"""Runs against a dictionary of lists, through any sequence of puts, finds, drops, commits, failed commits and crashes."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from monitor.checkpoint.store import Store
from monitor.errors import StateError
from monitor.join.runs import Runs, bucket_width
from monitor.join.sizes import Sizes

PAYLOAD = np.dtype([("combination", "<i4"), ("score", "<f4"), ("flag", "u1")])
BUCKET_MS = 100
TINY = Sizes(full=6, enough=4, memory=12, largest=40, files=3)


def new_runs(directory: Path, max_rows: int = 10**9, sizes: Sizes = TINY) -> Runs:
    return Runs(PAYLOAD, BUCKET_MS, directory, "m:1/pending", max_rows, sizes)


def payload(numbers) -> np.ndarray:
    numbers = np.asarray(numbers)
    rows = np.zeros(len(numbers), PAYLOAD)
    rows["combination"], rows["score"], rows["flag"] = numbers, numbers / 4, numbers % 256
    return rows


def as_lists(found) -> list[tuple[int, int, bytes]]:
    return [(int(w), int(t), r.tobytes()) for w, t, r in zip(found.which, found.time_ms, found.rows, strict=True)]


class Model:
    """What Runs must be: a list of (low, high, time, row) per hash."""

    def __init__(self, max_rows: int) -> None:
        self.rows: dict[tuple[int, int], list[tuple[int, bytes]]] = defaultdict(list)
        self.max_rows, self.floor, self.evicted = max_rows, None, 0

    def copy(self) -> Model:
        other = Model(self.max_rows)
        other.rows.update({key: list(rows) for key, rows in self.rows.items()})
        other.floor, other.evicted = self.floor, self.evicted
        return other

    def by_bucket(self) -> Counter[int]:
        return Counter(time // BUCKET_MS for rows in self.rows.values() for time, _ in rows)

    def remove(self, buckets) -> None:
        for key, rows in self.rows.items():
            self.rows[key] = [row for row in rows if row[0] // BUCKET_MS not in buckets]

    def put(self, hashes, times, rows) -> list[tuple[int, int]]:
        """Row by row, as if each were a put of its own."""
        gone: Counter[int] = Counter()
        for (low, high), time, row in zip(hashes.tolist(), times.tolist(), rows, strict=True):
            bucket = time // BUCKET_MS
            if self.floor is not None and bucket < self.floor:
                gone[bucket] += 1
                continue
            self.rows[low, high].append((time, row.tobytes()))
            held = self.by_bucket()
            while held.total() > self.max_rows:
                oldest = min(held)
                gone[oldest] += held.pop(oldest)
                self.remove({oldest})
                self.floor = oldest + 1
        self.evicted += gone.total()
        return sorted(gone.items())

    def find(self, hashes, from_ms, before_ms) -> list[tuple[int, int, bytes]]:
        found = [(i, *row) for i, (low, high) in enumerate(hashes.tolist()) for row in self.rows.get((low, high), [])]
        return sorted(each for each in found if (from_ms is None or each[1] >= from_ms) and (before_ms is None or each[1] < before_ms))

    def drop_before(self, end_ms) -> list[tuple[int, int]]:
        gone = {bucket: rows for bucket, rows in self.by_bucket().items() if (bucket + 1) * BUCKET_MS <= end_ms}
        self.remove(gone)
        return sorted(gone.items())


# Few hashes, so that rows share them; some share the first word alone, or the places of the sieve.
WORDS = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
TIMES = st.integers(-150, 1_000)
ROWS = st.lists(st.tuples(WORDS, WORDS, TIMES, st.integers(0, 3)), min_size=1, max_size=12)


class RunsMachine(RuleBasedStateMachine):
    @initialize(max_rows=st.sampled_from([15, 10**9]))
    def start(self, max_rows):
        self.folder = tempfile.TemporaryDirectory()
        self.directory = Path(self.folder.name)
        self.fail_at = None
        self.runs, self.model = new_runs(self.directory, max_rows), Model(max_rows)
        self.committed = {0: self.model.copy()}
        self.open_store()

    def open_store(self):
        self.store = Store(self.directory, keep_epochs=2, at_step=self.at_step)
        return self.store.open()

    def at_step(self, name):
        if name == self.fail_at:
            raise StateError("no space")

    @rule(rows=ROWS)
    def put(self, rows):
        hashes = np.array([row[:2] for row in rows], np.uint64)
        times, values = np.array([row[2] for row in rows]), payload([row[3] for row in rows])
        assert self.runs.put(hashes, times, values) == self.model.put(hashes, times, values)

    @rule(hashes=st.lists(st.tuples(WORDS, WORDS), max_size=8), from_ms=st.none() | TIMES, before_ms=st.none() | TIMES)
    def find(self, hashes, from_ms, before_ms):
        asked = np.array(hashes, np.uint64).reshape(-1, 2)
        assert as_lists(self.runs.find(asked, from_ms, before_ms)) == self.model.find(asked, from_ms, before_ms)

    @rule(end_ms=st.integers(-200, 600))
    def drop_before(self, end_ms):
        assert self.runs.drop_before(end_ms) == self.model.drop_before(end_ms)

    @rule()
    def commit(self):
        flushed = self.runs.flush()
        self.store.commit({"runs": flushed.values}, {}, flushed.blobs, flushed.named, flushed.files)
        self.runs.committed()
        self.committed[self.store.epoch] = self.model.copy()

    @rule(step=st.sampled_from(["before blobs", "after blobs", "before rename"]))
    def fail_to_commit(self, step):
        self.fail_at = step
        flushed = self.runs.flush()
        with pytest.raises(StateError, match="no space"):
            self.store.commit({"runs": flushed.values}, {}, flushed.blobs, flushed.named, flushed.files)
        self.fail_at = None

    @rule(flushed_before=st.booleans(), newest_is_damaged=st.booleans())
    def crash(self, flushed_before, newest_is_damaged):
        if flushed_before:
            self.runs.flush()
        self.store.close()
        manifests = sorted(self.directory.glob("manifest-*"))
        if newest_is_damaged and len(manifests) > 1:
            manifests[-1].write_bytes(b"damaged")
        opened = self.open_store()
        self.runs = new_runs(self.directory, self.model.max_rows)
        epoch = 0
        if opened.manifest is not None:
            epoch = opened.manifest.epoch
            self.runs.restore(opened.manifest.values["runs"], opened.blobs)
        self.model = self.committed[epoch].copy()

    @invariant()
    def counts_agree(self):
        assert self.runs.rows_by_bucket() == self.model.by_bucket()
        assert self.runs.rows() == self.model.by_bucket().total()
        assert self.runs.evicted == self.model.evicted

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


RunsMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestRunsAreADictionaryOfLists = RunsMachine.TestCase


def random_rows(seed: int, count: int, ids: int, buckets: int = 5):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, (ids, 2), dtype=np.uint64)[rng.integers(0, ids, count)]
    return hashes, rng.integers(0, buckets * BUCKET_MS, count), payload(rng.integers(0, 1000, count))


@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 400), max_size=12), flushes=st.sets(st.integers(0, 12)))
@settings(max_examples=40, deadline=None)
def test_what_is_found_does_not_depend_on_cuts_files_or_merges(tmp_path_factory, seed, cuts, flushes):
    hashes, times, rows = random_rows(seed, 400, 120)
    whole = new_runs(tmp_path_factory.mktemp("whole"))
    whole.put(hashes, times, rows)
    cut = new_runs(tmp_path_factory.mktemp("cut"))
    for number, part in enumerate(np.split(np.arange(400), sorted(cuts))):
        cut.put(hashes[part], times[part], rows[part])
        if number in flushes:
            cut.flush()
    asked = np.unique(hashes, axis=0)
    assert as_lists(whole.find(asked)) == as_lists(cut.find(asked))
    assert len(whole.find(asked).which) == 400


@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 200), max_size=8), max_rows=st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_what_the_bound_evicts_does_not_depend_on_cuts(tmp_path_factory, seed, cuts, max_rows):
    hashes, times, rows = random_rows(seed, 200, 200, buckets=12)
    outcomes = []
    for parts in ([np.arange(200)], np.split(np.arange(200), sorted(cuts))):
        runs = new_runs(tmp_path_factory.mktemp("runs"), max_rows)
        gone: Counter[int] = Counter()
        for part in parts:
            gone.update(dict(runs.put(hashes[part], times[part], rows[part])))
        assert runs.rows() <= max_rows
        assert runs.rows() + gone.total() == 200
        assert runs.evicted == gone.total()
        outcomes.append((runs.rows_by_bucket(), gone, as_lists(runs.find(hashes))))
    assert outcomes[0] == outcomes[1]


def test_hashes_that_share_their_first_word_are_told_apart_by_the_second(tmp_path):
    hashes = np.array([[7, high] for high in range(50)], np.uint64)
    runs = new_runs(tmp_path)
    runs.put(hashes, np.arange(50), payload(range(50)))
    for _ in range(2):  # in memory, then in a file
        found = runs.find(hashes[[3, 40]])
        assert found.which.tolist() == [0, 1]
        assert found.rows["combination"].tolist() == [3, 40]
        assert not len(runs.find(np.array([[7, 50], [8, 3]], np.uint64)).which)
        runs.flush()
    assert runs.disk_bytes


def test_many_small_buckets_make_few_files(tmp_path):
    runs = Runs(PAYLOAD, 3_600_000, tmp_path, "p", 10**9)
    rng = np.random.default_rng(0)
    for _ in range(40):
        runs.put(rng.integers(0, 2**64, (720, 2), dtype=np.uint64), np.arange(720) * 3_600_000, payload(range(720)))
        flushed = runs.flush()
        runs.committed()
    assert runs.rows() == 40 * 720
    assert not flushed.files
    assert len(flushed.named) <= 16


def test_files_stay_few_and_are_merged_with_bounded_work(tmp_path):
    sizes = Sizes(full=100, enough=20, memory=1_000, largest=1_500, files=4)
    runs = new_runs(tmp_path, sizes=sizes)
    rng = np.random.default_rng(0)
    for step in range(400):
        times = np.full(100, step // 40 * BUCKET_MS)
        runs.put(rng.integers(0, 2**64, (100, 2), dtype=np.uint64), times, payload(range(100)))
        runs.flush()
        runs.committed()
    # 4,000 rows a bucket are at least three files of 1,500; a few more wait for a partner.
    assert all(len(files) <= 6 for bucket, files in runs.files.by_bucket.items() if bucket < 9)
    assert max(map(len, runs.files)) <= 1_500
    assert runs.rows() == 40_000


def test_a_row_costs_its_bytes_and_the_hash_on_disk_and_less_than_three_bytes_in_memory(tmp_path):
    runs = new_runs(tmp_path, sizes=Sizes(full=1, files=1_000))
    rng = np.random.default_rng(0)
    for _ in range(8):
        hashes = rng.integers(0, 2**64, (10_000, 2), dtype=np.uint64)
        runs.put(hashes, np.full(10_000, 5), payload(np.arange(10_000) % 1000))
        runs.flush()
    assert runs.disk_bytes <= 80_000 * (16 + 4 + PAYLOAD.itemsize) + 8 * 3 * 4096
    assert runs.disk_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.rows"))
    assert runs.memory_bytes <= 80_000 * 2.5 + 8 * 16


@pytest.mark.parametrize("allowed", [0, 2**21, 2**30])
def test_no_more_of_the_files_stays_mapped_than_allowed(tmp_path, allowed):
    runs = new_runs(tmp_path, sizes=Sizes(full=1, enough=1, files=1_000, largest=1, resident=allowed))
    hashes, times, rows = random_rows(1, 200_000, 200_000, buckets=6)
    runs.put(hashes, times, rows)
    runs.flush()
    length = [file.length for file in runs.files]
    for _ in range(3):
        assert len(runs.find(hashes).which) >= 200_000
        mapped = sum(file.touched for file in runs.files)
        assert mapped <= allowed
        assert mapped >= min(allowed, sum(length)) - max(length), "and no less than need be"
    runs.drop_before(10**6)
    assert runs.files.resident_bytes == 0


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        (np.dtype([("a", "u1"), ("b", "<f8")], align=True), "without gaps"),
        (np.dtype("<f8"), "structured"),
        (np.dtype([("a", "O")]), "numbers"),
    ],
)
def test_payloads_whose_bytes_are_not_all_theirs_are_refused(tmp_path, dtype, reason):
    with pytest.raises(ValueError, match=reason):
        Runs(dtype, BUCKET_MS, tmp_path, "p", 10)


def test_rows_of_another_payload_are_refused(tmp_path):
    runs = new_runs(tmp_path)
    with pytest.raises(ValueError, match="expected rows of"):
        runs.put(np.zeros((1, 2), np.uint64), np.zeros(1, np.int64), np.zeros(1, [("other", "<f8")]))
    runs.put(np.zeros((1, 2), np.uint64), np.zeros(1, np.int64), payload([1]))
    flushed = runs.flush()
    other = Runs(np.dtype([("other", "<f8")]), BUCKET_MS, tmp_path, "m:1/pending", 10)
    with pytest.raises(ValueError, match="expected saved rows of"):
        other.restore(flushed.values, flushed.blobs)


def test_saved_buckets_keep_their_width_unless_it_is_far_from_what_is_asked(tmp_path):
    runs = new_runs(tmp_path)
    hashes, times, rows = random_rows(3, 50, 50)
    runs.put(hashes, times, rows)
    flushed = runs.flush()
    near = Runs(PAYLOAD, 2 * BUCKET_MS, tmp_path, "m:1/pending", 10**9, TINY)
    near.restore(flushed.values, flushed.blobs)
    assert near.rows_by_bucket() == runs.rows_by_bucket()
    assert as_lists(near.find(hashes)) == as_lists(runs.find(hashes))
    for width in (9 * BUCKET_MS, BUCKET_MS // 9):
        with pytest.raises(ValueError, match="buckets of about"):
            Runs(PAYLOAD, width, tmp_path, "m:1/pending", 10**9, TINY).restore(flushed.values, flushed.blobs)


@given(st.integers(1, 8 * 365 * 86_400_000))
def test_a_horizon_has_64_buckets_of_whole_seconds(horizon_ms):
    width = bucket_width(horizon_ms)
    assert 1_000 <= width <= 2**32
    assert width * 64 >= horizon_ms
    assert width <= horizon_ms / 64 + 1_000
