"""What kafka-python 3.0.12 gets wrong when it is polled in turns, mended from outside."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from kafka.coordinator.base import MemberState
from kafka.errors import KafkaTimeoutError


def mend(consumer: Any) -> None:
    """Call before each poll, on the thread that polls."""
    _take_up_parked(consumer._fetcher)
    _keep_join(consumer._coordinator)


def is_fenced(consumer: Any) -> bool:
    """Whether another member took this one's static name. Its heartbeats end then, which is logged alone, and it reads on."""
    coordinator = consumer._coordinator
    with coordinator._lock:
        silent = not coordinator._heartbeat_enabled and not coordinator.rejoining
        return bool(silent and coordinator.state is MemberState.STABLE)


def _take_up_parked(fetcher: Any) -> None:
    # What was fetched of a paused partition is parked, and no more of it is fetched until that is taken up; but it is taken up
    # only into a place that is None, where a used-up batch of another partition may stay for ever.
    if not fetcher._next_partition_records:
        fetcher._next_partition_records = None


def _keep_join(coordinator: Any) -> None:
    # A leader that joined because its topics have changed counts them as known once it has assigned the partitions, though its own are
    # still to be told to it. A join that is under way when a poll ends, or whose connection breaks just then, would be awaited by nobody.
    # Without heartbeats it would be expelled, and read no more.
    if coordinator.rebalance_in_progress():
        coordinator.request_rejoin()
    # A join that is under way when a poll ends is awaited by the next poll, but only if it is not done by then: one that was done
    # between two polls is thrown away and sent anew. From the group's leader that is a new rebalance, for every member, which may
    # be done between two polls as well, and so on for ever.
    task = coordinator._join_task
    if task is not None and isinstance(task.exception, KafkaTimeoutError):
        coordinator._join_task = None  # taken for the end of the poll's own time, it would be awaited in each, in vain
    elif task is not None and not isinstance(task, _Kept):
        coordinator._join_task = _Kept(task)


class _Kept:
    """A future that is taken for one still to come, so that it is awaited."""

    is_done = False

    def __init__(self, future: Any) -> None:
        self._future = future

    @property
    def exception(self) -> BaseException | None:
        return self._future.exception  # type: ignore[no-any-return]

    def add_callback(self, call: Callable[[Any], None]) -> None:
        self._future.add_callback(call)

    def add_errback(self, call: Callable[[Exception], None]) -> None:
        self._future.add_errback(call)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._future.__await__()  # type: ignore[no-any-return]
