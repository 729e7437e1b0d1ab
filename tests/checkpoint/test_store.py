"""A commit is all or nothing, at every step of it, and damage costs at most an epoch."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.checkpoint.store import Store
from monitor.errors import StateError

STEPS = ("before blobs", "after blobs", "before manifest", "before rename", "after rename", "before prune", "after prune")
COMMITTED_FROM = "after rename"


class Crash(Exception):
    """Stands for the end of the process: nothing after it runs."""


def commit_number(store: Store, number: int) -> None:
    kept = {f"kept/{number}": b"k%d" % number}
    store.commit({"number": number}, {"now": b"n%d" % number}, kept, {f"kept/{n}" for n in range(max(1, number - 3), number + 1)})


def opened_number(directory: Path) -> tuple[int | None, dict[str, bytes]]:
    store = Store(directory, keep_epochs=2)
    try:
        opened = store.open()
        return (None if opened.manifest is None else opened.manifest.values["number"]), opened.blobs
    finally:
        store.close()


def state_of(number: int) -> dict[str, bytes]:
    return {"now": b"n%d" % number, **{f"kept/{n}": b"k%d" % n for n in range(max(1, number - 3), number + 1)}}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at_commit", [1, 2, 7])
def test_a_crash_at_any_step_leaves_the_epoch_before_or_the_new_one(tmp_path, step, at_commit):
    number = 0

    def crash(name: str) -> None:
        if name == step and number == at_commit:
            raise Crash

    store = Store(tmp_path, 2, crash)
    store.open()
    with pytest.raises(Crash):
        for number in range(1, 10):
            commit_number(store, number)
    store.close()
    survived = at_commit if STEPS.index(step) >= STEPS.index(COMMITTED_FROM) else at_commit - 1
    found, blobs = opened_number(tmp_path)
    assert (found or 0) == survived
    assert blobs == (state_of(survived) if survived else {})

    again = Store(tmp_path, 2)
    again.open()
    commit_number(again, survived + 1)
    again.close()
    assert opened_number(tmp_path) == (survived + 1, state_of(survived + 1))


def commits(directory: Path, count: int) -> None:
    store = Store(directory, keep_epochs=3)
    store.open()
    for number in range(1, count + 1):
        commit_number(store, number)
    store.close()


def newest(directory: Path, pattern: str) -> Path:
    return max(directory.glob(pattern))


@pytest.mark.parametrize("pattern", ["manifest-*", "blobs-*-now", "blobs-*-kept"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_damage_to_the_newest_epoch_costs_that_epoch_only(tmp_path, pattern, damage):
    commits(tmp_path, 6)
    victim = newest(tmp_path, pattern)
    data = victim.read_bytes()
    if damage == "flip":
        victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "truncate":
        victim.write_bytes(data[:-1])
    elif damage == "empty":
        victim.write_bytes(b"")
    else:
        victim.unlink()
    assert opened_number(tmp_path) == (5, state_of(5))


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_no_single_damaged_byte_goes_unnoticed(tmp_path_factory, at, flip):
    directory = tmp_path_factory.mktemp("state")
    commits(directory, 2)
    files = sorted(path for path in directory.iterdir() if path.name != "lock")
    victim = files[at % len(files)]
    data = bytearray(victim.read_bytes())
    data[at % len(data)] ^= flip
    victim.write_bytes(data)
    number, blobs = opened_number(directory)
    assert number in (None, 1, 2)
    assert blobs == ({} if number is None else state_of(number))


def test_a_future_format_is_passed_over_and_named(tmp_path):
    commits(tmp_path, 2)
    victim = newest(tmp_path, "manifest-*")
    data = bytearray(victim.read_bytes())
    data[len(b"driftgauge-state\n") + 1] = 9
    victim.write_bytes(data)
    store = Store(tmp_path, 3)
    opened = store.open()
    store.close()
    assert opened.manifest is not None
    assert opened.manifest.epoch == 1
    assert opened.passed_over == ("epoch 2: expected state format 1 to 2, got 9: it was written by another version of driftgauge",)


def test_an_epoch_number_is_never_used_twice(tmp_path):
    commits(tmp_path, 3)
    newest(tmp_path, "manifest-*").write_bytes(b"junk")
    store = Store(tmp_path, 3)
    store.open()
    commit_number(store, 3)
    store.close()
    assert store.epoch == 4
    assert opened_number(tmp_path)[0] == 3


def test_disk_use_is_bounded_by_the_epochs_kept(tmp_path):
    commits(tmp_path, 50)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len([name for name in names if name.startswith("manifest-")]) == 3
    assert len([name for name in names if name.endswith("-now")]) == 3
    assert len([name for name in names if name.endswith("-kept")]) == 6


def test_two_processes_cannot_share_a_folder(tmp_path):
    first = Store(tmp_path, 2)
    first.open()
    with pytest.raises(StateError, match="another driftgauge process uses this state folder"):
        Store(tmp_path, 2).open()
    first.close()
    second = Store(tmp_path, 2)
    second.open()
    second.close()


def test_a_failed_commit_can_be_tried_again(tmp_path):
    store = Store(tmp_path, 2)
    store.open()
    commit_number(store, 1)
    (tmp_path / "blobs-000000000002-now").mkdir()
    with pytest.raises(StateError, match="could not be saved"):
        commit_number(store, 2)
    (tmp_path / "blobs-000000000002-now").rmdir()
    commit_number(store, 2)
    store.close()
    assert opened_number(tmp_path) == (2, state_of(2))


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="the state folder cannot be written"):
        Store(tmp_path / "file" / "state", 2).open()


def test_an_epoch_with_damaged_blobs_does_not_push_out_the_good_one_before(tmp_path):
    store = Store(tmp_path, 2)
    store.open()
    for number in (1, 2, 3):
        commit_number(store, number)
    store.close()
    (tmp_path / "blobs-000000000003-now").write_bytes(b"damaged")
    again = Store(tmp_path, 2)
    assert again.open().manifest.epoch == 2
    commit_number(again, 3)
    again.close()
    (tmp_path / "blobs-000000000004-now").write_bytes(b"damaged")
    assert opened_number(tmp_path)[0] == 2
