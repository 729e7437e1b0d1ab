"""A thread for a client that blocks, so that its caller neither hangs with it nor is called back on a foreign thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class _Question:
    function: Callable[[], None]
    answered: Callable[[], None]


class ClientThread:
    """Runs one function at a time on its own daemon thread, while the caller answers what the client asks meanwhile.

    ``call`` blocks like the function itself, with two differences: it gives up at a limit, and functions that
    any other thread hands to ``ask`` run on the *calling* thread. After it gave up, the thread is lost and must not be used again.
    """

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[_Outcome | _Question] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def call(self, function: Callable[[], Any], limit_s: float) -> Any:
        """What the function returns or raises.

        Raises ``TimeoutError`` after ``limit_s`` without an outcome; answering a question starts the limit anew, since
        that time is the caller's own. An exception of a question is raised after the function returned.
        """
        self._work.put(function)
        failure: BaseException | None = None
        while True:
            try:
                event = self._events.get(timeout=limit_s)
            except queue.Empty:
                raise TimeoutError(f"the client did not answer within {limit_s:g} s") from failure
            if isinstance(event, _Outcome):
                break
            try:
                event.function()
            except BaseException as error:
                failure = failure or error
            finally:
                event.answered()
        if failure is not None:
            raise failure
        if event.error is not None:
            raise event.error
        return event.value

    def ask(self, function: Callable[[], None], answered: Callable[[], None]) -> None:
        """Have the calling thread run ``function`` and then ``answered``. From any thread, only while a ``call`` is under way."""
        self._events.put(_Question(function, answered))

    def end(self) -> None:
        """End the thread after what it is doing."""
        self._work.put(None)

    def _run(self) -> None:
        while (function := self._work.get()) is not None:
            try:
                outcome = _Outcome(function(), None)
            except BaseException as error:
                outcome = _Outcome(None, error)
            self._events.put(outcome)
