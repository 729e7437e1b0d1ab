"""A client on a thread of its own behaves like a call, within limits."""

from __future__ import annotations

import threading

import pytest

from monitor.source.client_thread import ClientThread


@pytest.fixture
def thread():
    started = ClientThread("test-client")
    yield started
    started.end()


def test_a_call_returns_what_the_function_returns_from_another_thread(thread):
    assert thread.call(lambda: threading.current_thread().name, 5) == "test-client"


def test_a_call_raises_what_the_function_raises(thread):
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 / 0, 5)
    assert thread.call(lambda: "still there", 5) == "still there"


def test_a_function_that_hangs_is_given_up(thread):
    released = threading.Event()
    with pytest.raises(TimeoutError, match=r"the client did not answer within 0\.05 s"):
        thread.call(released.wait, 0.05)
    released.set()


def test_questions_are_answered_on_the_calling_thread_before_the_function_goes_on(thread):
    answers = []

    def client():
        answered = threading.Event()
        thread.ask(lambda: answers.append(threading.get_ident()), answered.set)
        answered.wait(5)
        return list(answers)

    assert thread.call(client, 5) == [threading.get_ident()]


def test_time_spent_answering_is_not_held_against_the_client(thread):
    def client():
        answered = threading.Event()
        thread.ask(lambda: threading.Event().wait(0.3), answered.set)
        answered.wait(5)
        return "done"

    assert thread.call(client, 0.2) == "done"


def test_a_question_that_fails_lets_the_client_finish_and_is_raised_then(thread):
    finished = []

    def client():
        answered = threading.Event()

        def refuse():
            raise LookupError("no state")

        thread.ask(refuse, answered.set)
        assert answered.wait(5)
        finished.append(True)

    with pytest.raises(LookupError, match="no state"):
        thread.call(client, 5)
    assert finished == [True]
