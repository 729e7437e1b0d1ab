"""Files beside the blobs: one commit with them, verified when the folder is opened, removed when no epoch names them."""

from __future__ import annotations

from pathlib import Path

import crc32c
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.checkpoint import store as store_module
from monitor.checkpoint.store import Store
from monitor.errors import StateError
from tests.checkpoint.test_store import COMMITTED_FROM, STEPS, Crash


def content(number: int) -> bytes:
    return b"rows of %d " % number * 50_000


def write(directory: Path, number: int) -> tuple[int, int]:
    data = content(number)
    (directory / f"{number}.rows").write_bytes(data)
    return len(data), crc32c.crc32c(data)


def commit_number(store: Store, number: int) -> None:
    """Each epoch writes a file and names the newest two."""
    refs = {f"{n}.rows": (len(content(n)), crc32c.crc32c(content(n))) for n in (number - 1, number) if n > 0}
    write(store.directory, number)
    store.commit({"number": number}, {"now": b"n"}, {}, set(), refs)


def commits(directory: Path, count: int, keep: int = 2) -> None:
    store = Store(directory, keep)
    store.open()
    for number in range(1, count + 1):
        commit_number(store, number)
    store.close()


def opened_number(directory: Path) -> int | None:
    store = Store(directory, 2)
    opened = store.open()
    store.close()
    if opened.manifest is None:
        return None
    for name, ref in opened.manifest.files.items():
        assert (directory / name).read_bytes() == content(int(name.removesuffix(".rows")))
        assert ref.length == len(content(int(name.removesuffix(".rows"))))
    return opened.manifest.values["number"]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.rows"))


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_leaves_an_epoch_with_all_its_files(tmp_path, step):
    number = 0

    def crash(name: str) -> None:
        if name == step and number == 4:
            raise Crash

    store = Store(tmp_path, 2, crash)
    store.open()
    with pytest.raises(Crash):
        for number in range(1, 6):
            commit_number(store, number)
    store.close()
    survived = 4 if STEPS.index(step) >= STEPS.index(COMMITTED_FROM) else 3
    assert opened_number(tmp_path) == survived
    again = Store(tmp_path, 2)
    again.open()
    commit_number(again, survived + 1)
    again.close()
    assert opened_number(tmp_path) == survived + 1
    # Two epochs of two files that overlap in one: what the crash left over is gone.
    assert files(tmp_path) == [f"{n}.rows" for n in range(survived - 1, survived + 2)]


@pytest.mark.parametrize("damage", ["flip", "truncate", "lengthen", "empty", "remove"])
def test_a_damaged_file_costs_the_epochs_that_name_it(tmp_path, damage):
    commits(tmp_path, 4)
    victim = tmp_path / "4.rows"
    data = victim.read_bytes()
    if damage == "remove":
        victim.unlink()
    else:
        changed = {"flip": data[:-1] + bytes([data[-1] ^ 1]), "truncate": data[:-1], "lengthen": data + b"x", "empty": b""}
        victim.write_bytes(changed[damage])
    store = Store(tmp_path, 2)
    opened = store.open()
    store.close()
    assert opened.manifest.values["number"] == 3
    [why] = opened.passed_over
    assert why.startswith("epoch 4: 4.rows ")


def test_a_damaged_file_that_all_epochs_share_leaves_none(tmp_path):
    commits(tmp_path, 2)
    (tmp_path / "1.rows").write_bytes(b"damaged")
    assert opened_number(tmp_path) is None


@given(at=st.integers(0, 10**9), flip=st.integers(1, 255))
def test_no_single_damaged_byte_of_a_file_goes_unnoticed(tmp_path_factory, at, flip):
    directory = tmp_path_factory.mktemp("state")
    commits(directory, 2)
    data = bytearray(content(2))
    data[at % len(data)] ^= flip
    (directory / "2.rows").write_bytes(data)
    assert opened_number(directory) == 1


def test_files_of_kept_epochs_stay_and_others_go(tmp_path):
    commits(tmp_path, 30, keep=3)
    assert files(tmp_path) == ["27.rows", "28.rows", "29.rows", "30.rows"]


def test_a_commit_that_names_a_file_that_is_not_there_fails(tmp_path):
    store = Store(tmp_path, 2)
    store.open()
    commit_number(store, 1)
    with pytest.raises(StateError, match=r"absent\.rows cannot be read"):
        store.commit({}, {}, {}, set(), {"absent.rows": (3, 1)})
    with pytest.raises(StateError, match=r"1\.rows is damaged \(expected 3 bytes, got 500000\)"):
        store.commit({}, {}, {}, set(), {"1.rows": (3, 1)})
    with pytest.raises(ValueError, match=r"ends in \.rows, got 'other\.txt'"):
        store.commit({}, {}, {}, set(), {"other.txt": (3, 1)})
    store.close()
    assert opened_number(tmp_path) == 1


def test_a_state_from_before_there_were_files_opens(tmp_path):
    """Format 1 as its own version wrote it: a manifest of three fields."""
    blob = b"counts"
    (tmp_path / "blobs-000000000007-now").write_bytes(blob)
    body = msgspec.msgpack.encode(
        {"epoch": 7, "values": {"number": 7}, "blobs": {"b": ["blobs-000000000007-now", 0, len(blob), crc32c.crc32c(blob)]}}
    )
    head = b"driftgauge-state\n" + (1).to_bytes(2, "big") + crc32c.crc32c(body).to_bytes(4, "big")
    (tmp_path / "manifest-000000000007").write_bytes(head + body)
    store = Store(tmp_path, 2)
    opened = store.open()
    assert opened.manifest.values == {"number": 7}
    assert opened.blobs == {"b": blob}
    assert opened.manifest.files == {}
    store.commit({"number": 8}, {"b": blob}, {}, set())
    # Without files the format is still the old one, so that the version before could go on from it.
    head = (tmp_path / "manifest-000000000008").read_bytes()[: len(head)]
    assert head[len(b"driftgauge-state\n") :][:2] == (1).to_bytes(2, "big")
    write(tmp_path, 9)
    store.commit({"number": 9}, {}, {}, set(), {"9.rows": write(tmp_path, 9)})
    store.close()
    assert (tmp_path / "manifest-000000000009").read_bytes()[len(b"driftgauge-state\n") :][:2] == store_module.FORMAT.to_bytes(2, "big")
    assert opened_number(tmp_path) == 9
