"""From a notification to a start: once for each trigger, at the right time, with what the monitor knows about it."""

from __future__ import annotations

import concurrent.futures
import json
import time
from urllib.parse import quote

import pytest

from monitor.hook import events
from monitor.hook.ledger import Ledger
from tests.expose.client import fetch, write_certificate
from tests.hook.world import DAY_MS, Clock, alert, config_of, http_start, notification, running, serving, stepped
from tests.prometheus import wait_for

HOUR_MS = 3_600_000


def known(status=200, tree=None):
    """A monitor that knows every trigger."""
    return lambda asked: (status, {"id": asked.path.rsplit("/", 1)[1], "drop": 0.2} if tree is None else tree)


def test_a_trigger_starts_once_with_its_evidence_and_its_id(tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    with serving() as target, serving(known()) as monitor:
        access = {"url": monitor.url, "bearer_token": {"file": "token"}}
        with running(config_of(tmp_path, http_start(f"{target.url}/run"), monitor=access)) as hook:
            assert hook.send(alert("t/1")) == {"received": 1, "known": 0, "ignored": {}, "truncated": 0}
            shown = hook.until("t/1", "started")
            [asked] = monitor.requests
            assert (asked.method, asked.path, asked.headers["authorization"]) == ("GET", "/api/v1/triggers/t%2F1", "Bearer s3cret")
            [sent] = target.requests
            assert (sent.method, sent.path, sent.headers["content-type"]) == ("POST", "/run", "application/json")
            assert sent.headers["idempotency-key"] == "t/1"
            assert sent.json == {
                "id": "t/1",
                "run": shown["run_id"],
                "model": "churn",
                "reason": "performance",
                "evidence": {"id": "t%2F1", "drop": 0.2},
            }
            assert (shown["reason"], shown["attempts"], shown["answer"]) == ("accepted", 1, "200 {}")
            assert hook.metric("triggers_started_total", reason="accepted") == 1
            assert hook.metric("evidence_total", evidence="fetched") == 1
            assert hook.metric("last_start_timestamp_seconds") == pytest.approx(time.time(), abs=60)


def test_what_an_alert_says_stays_a_value_wherever_it_stands(tmp_path):
    hostile = 'a/../b?c=d&e#f "g" ä\u2028{"h": 1}'
    with serving() as target:
        start = http_start(f"{target.url}/run/${{reason}}", headers={"X-Reason": "<${reason}>"})
        with running(config_of(tmp_path, start)) as hook:
            hook.send(alert("t-1", reason=hostile))
            hook.until("t-1", "started")
    [sent] = target.requests
    assert sent.path == "/run/" + quote(hostile.replace("\u2028", " "), safe="")
    assert sent.headers["x-reason"] == f"<{hostile}>".replace("\u2028", " ")
    assert sent.json["reason"] == hostile.replace("\u2028", " ")


def test_repeats_replays_and_a_restart_start_nothing_again(tmp_path):
    with serving() as target:
        config = config_of(tmp_path, http_start(target.url))
        body = notification(alert("t-1"), alert("t-1"), alert("t-2", model="fraud"))
        with running(config) as hook:
            assert json.loads(hook.post(body).body) == {"received": 2, "known": 1, "ignored": {}, "truncated": 0}
            hook.until("t-1", "started")
            hook.until("t-2", "started")
            hook.send(alert("t-1", status="resolved"), alert("t-1"))
        with running(config) as hook:
            assert json.loads(hook.post(body).body)["received"] == 0
            assert hook.metric("triggers_deduplicated_total") == 3
            assert hook.metric("triggers_received_total") == 2, "totals go on over a restart"
            hook.send(alert("t-3", model="last"))
            hook.until("t-3", "started")
        assert sorted(post.json["id"] for post in target.posts()) == ["t-1", "t-2", "t-3"]


def test_a_flood_of_one_trigger_starts_once(tmp_path):
    with serving() as target, running(config_of(tmp_path, http_start(target.url))) as hook:
        body = notification(alert("t-1"))

        def post(_):
            return hook.post(body).status

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(post, range(1_000))) == {200}
        hook.until("t-1", "started")
        assert len(target.posts()) == 1
        assert hook.metric("triggers_deduplicated_total") == 999
        assert hook.metric("notifications_total") == 1_000


def test_alertmanager_has_its_answer_while_the_target_takes_its_time(tmp_path):
    began = []

    def slow(_):
        began.append(1)
        wait_for("the end of the test", lambda: len(began) > 1)
        return 200, {}

    with serving(slow) as target, running(config_of(tmp_path, http_start(target.url, timeout="30s"))) as hook:
        hook.send(alert("t-1"))
        wait_for("the request", lambda: began)
        assert hook.send(alert("t-2"))["received"] == 1, "answered though the worker is busy"
        assert hook.triggers()["t-1"]["in_flight"]
        assert hook.metric("triggers_pending") == 2
        began.append(1)
        hook.until("t-2", "started")


class TestEvidence:
    def test_it_is_waited_for(self, tmp_path):
        answers = [(500, {}), (404, {}), (200, b"not json"), (200, [1]), (200, {"at": "last"})]
        with serving() as target, serving(lambda _: answers.pop(0)) as monitor:
            config = config_of(tmp_path, http_start(target.url), monitor={"url": monitor.url, "wait": "1m"})
            with stepped(config) as hook:
                hook.receive(alert("t-1"))
                for asked in range(1, 6):
                    hook.work()
                    assert len(monitor.requests) == asked, "every two seconds"
                    hook.clock.now_ms += 1_999
                    hook.work()
                    assert len(monitor.requests) == asked
                    hook.clock.now_ms += 1
                assert hook.ledger.entry("t-1").state == "started"
        assert target.posts()[0].json["evidence"] == {"at": "last"}

    def test_optional_evidence_that_cannot_be_had_is_done_without_and_that_is_said(self, tmp_path):
        with serving() as target, serving(known(404, {})) as monitor:
            config = config_of(tmp_path, http_start(target.url), monitor={"url": monitor.url, "wait": "300ms"})
            with running(config) as hook:
                hook.send(alert("t-1"))
                shown = hook.until("t-1", "started")
                assert shown["evidence"] == "started without: expected status 200 from the monitor, got 404"
                assert target.posts()[0].json["evidence"] is None
                assert len(monitor.requests) >= 2
                assert hook.metric("evidence_total", evidence="none") == 1
                assert events.EvidenceMissing("t-1", "churn", "expected status 200 from the monitor, got 404") in hook.said

    def test_without_required_evidence_nothing_is_started(self, tmp_path):
        with serving() as target, serving(known(503, {})) as monitor:
            access = {"url": monitor.url, "wait": "300ms", "evidence": "required"}
            with running(config_of(tmp_path, http_start(target.url), monitor=access)) as hook:
                hook.send(alert("t-1"))
                shown = hook.until("t-1", "failed")
                assert (shown["reason"], shown["may_have_started"]) == ("no_evidence", False)
                assert "got 503" in shown["answer"]
                assert hook.metric("triggers_failed_total", reason="no_evidence") == 1
        assert target.requests == []

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ((200, b"[" * 1_900), "at most 100 levels"),
            ((200, b'{"x": NaN}'), "expected JSON"),
            ((200, b'{"x": "\\ud800"}'), "expected JSON"),
            ((200, b"\xff\xff"), "expected JSON"),
            ((200, b"{" + b" " * 3_000 + b"}"), "expected at most 2000 bytes"),
            ((302, {}), "got 302"),
            ((0, None), "cannot be asked"),
        ],
    )
    def test_whatever_the_monitor_answers_the_start_goes_on(self, tmp_path, answer, said):
        with serving() as target, serving(lambda _: answer) as monitor:
            access = {"url": monitor.url, "wait": "0s", "max_bytes": 2_000}
            with running(config_of(tmp_path, http_start(target.url), monitor=access)) as hook:
                hook.send(alert("t-1"))
                assert said in hook.until("t-1", "started")["evidence"]
                json.loads(target.posts()[0].body)

    def test_evidence_too_large_for_the_target_is_left_out_and_that_is_said(self, tmp_path):
        with serving() as target, serving(known(200, {"rows": ["x" * 100] * 100})) as monitor:
            config = config_of(tmp_path, http_start(target.url, max_body_bytes=1_000), monitor={"url": monitor.url})
            with running(config) as hook:
                hook.send(alert("t-1"))
                assert "left out of the request" in hook.until("t-1", "started")["evidence"]
        assert target.posts()[0].json["evidence"] is None


class TestAttempts:
    def test_a_target_that_is_down_is_tried_again_until_it_is_up(self, tmp_path):
        answers = [(503, {}), (429, {}), (401, {}), (201, {"id": 7})]
        with serving(lambda _: answers.pop(0)) as target, running(config_of(tmp_path, http_start(target.url))) as hook:
            hook.send(alert("t-1"))
            shown = hook.until("t-1", "started")
            assert (shown["attempts"], shown["answer"]) == (4, '201 {"id": 7}')
            assert hook.metric("attempts_failed_total", reason="not_taken") == 3
        assert len({(post.body, post.headers["idempotency-key"]) for post in target.posts()}) == 1, "always the same request"

    def test_a_target_that_cannot_be_reached_counts_as_not_taken(self, tmp_path):
        with serving() as target:
            closed = target.url
        with running(config_of(tmp_path, http_start(closed))) as hook:
            hook.send(alert("t-1"))
            wait_for("attempts", lambda: hook.metric("attempts_failed_total", reason="not_reached") >= 2)
            assert not hook.triggers()["t-1"]["may_have_started"]

    def test_attempts_back_off_and_are_given_up_in_the_end(self, tmp_path):
        retry = {"first": "10s", "longest": "40s", "give_up_after": "2m"}
        at: list[int] = []
        with serving(lambda _: (503, {})) as target, stepped(config_of(tmp_path, http_start(target.url, retry=retry))) as hook:
            hook.receive(alert("t-1"))
            for second in range(200):
                hook.work()
                at += [second] * (len(target.posts()) - len(at))
                hook.clock.now_ms += 1_000
            entry = hook.ledger.entry("t-1")
        assert at == [0, 10, 30, 70, 110, 150]
        assert (entry.state, entry.reason, entry.may_have_started, entry.answer) == ("failed", "gave_up", False, "not_taken: 503 {}")

    @pytest.mark.parametrize("status", [301, 400, 404, 409, 422])
    def test_a_clear_no_is_not_tried_again(self, tmp_path, status):
        with serving(lambda _: (status, {"detail": "no"})) as target, running(config_of(tmp_path, http_start(target.url))) as hook:
            hook.send(alert("t-1"))
            shown = hook.until("t-1", "failed")
            assert (shown["reason"], shown["may_have_started"]) == ("refused", False)
            assert shown["answer"].startswith(str(status))
            assert events.TriggerFailed("t-1", "churn", "refused", may_have_started=False) in hook.said
            assert len(target.posts()) == 1

    def test_a_trigger_that_failed_does_not_hold_the_next_one_back(self, tmp_path):
        answers = [(400, {}), (200, {})]
        with serving(lambda _: answers.pop(0)) as target:
            config = config_of(tmp_path, http_start(target.url), policy={"cooldown": "24h", "daily_maximum": 1})
            with running(config) as hook:
                hook.send(alert("t-1"), alert("t-2"))
                hook.until("t-1", "failed")
                hook.until("t-2", "started")


class TestWithoutAClearAnswer:
    @pytest.mark.parametrize("answer", [(500, {}), (502, {}), (504, {}), (0, None)])
    def test_stop_sends_nothing_again_and_says_that_it_may_have_started(self, tmp_path, answer):
        with serving(lambda _: answer) as target, running(config_of(tmp_path, http_start(target.url))) as hook:
            hook.send(alert("t-1"))
            shown = hook.until("t-1", "failed")
            assert (shown["reason"], shown["may_have_started"]) == ("unsure", True)
            assert shown["answer"].startswith("no_answer: " if answer[0] == 0 else f"server_error: {answer[0]}")
            assert len(target.posts()) == 1

    def test_repeat_sends_the_same_request_and_takes_already_there_for_an_answer(self, tmp_path):
        answers = [(0, None), (504, {}), (409, {"title": "Conflict"})]
        start = {"when_unsure": "repeat", "already": [409]}
        with serving(lambda _: answers.pop(0)) as target, running(config_of(tmp_path, http_start(target.url, **start))) as hook:
            hook.send(alert("t-1"))
            shown = hook.until("t-1", "started")
            assert (shown["reason"], shown["attempts"]) == ("already_there", 3)
            assert len({post.body for post in target.posts()}) == 1

    @pytest.mark.parametrize("there", [True, False])
    def test_ask_sends_it_again_only_when_it_is_not_there(self, tmp_path, there):
        def respond(asked):
            if asked.method == "GET":
                return 200, {"runs": [{"name": target.posts()[0].json["run"]}] if there else []}
            return (0, None) if len(target.posts()) == 1 else (200, {})

        with serving(respond) as target:
            lookup = {"url": f"{target.url}/runs", "query": {"name": "${run_id}"}}
            with running(config_of(tmp_path, http_start(target.url, when_unsure="ask", lookup=lookup))) as hook:
                hook.send(alert("t-1"))
                shown = hook.until("t-1", "started")
                assert shown["reason"] == ("found" if there else "accepted")
                assert len(target.posts()) == (1 if there else 2)
                asked = next(each for each in target.requests if each.method == "GET")
                assert asked.path == f"/runs?name={shown['run_id']}"

    def test_ask_waits_until_the_target_can_be_asked(self, tmp_path):
        answers = [(0, None), (503, {}), (200, b"x" * 5_000_000), (200, {"runs": []}), (200, {})]
        with serving(lambda _: answers.pop(0)) as target:
            start = http_start(target.url, when_unsure="ask", lookup={"url": f"{target.url}/runs"})
            with running(config_of(tmp_path, start)) as hook:
                hook.send(alert("t-1"))
                hook.until("t-1", "started")
                assert [asked.method for asked in target.requests] == ["POST", "GET", "GET", "GET", "POST"]
                assert hook.metric("attempts_failed_total", reason="cannot_ask") == 2

    def test_an_answer_that_drips_is_ended_by_the_timeout(self, tmp_path):
        import socket
        import threading

        listener = socket.create_server(("127.0.0.1", 0))
        ended = threading.Event()

        def drip():
            connection, _ = listener.accept()
            with connection:
                try:
                    while not ended.wait(0.1):
                        connection.sendall(b"H")
                except OSError:
                    pass

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with running(config_of(tmp_path, http_start(url, timeout="500ms"))) as hook:
            hook.send(alert("t-1"))
            assert hook.until("t-1", "failed")["reason"] == "unsure"
        ended.set()
        thread.join(10)
        listener.close()


class TestHttps:
    @pytest.fixture
    def certificate(self, tmp_path):
        write_certificate(tmp_path, "pipeline")
        return tmp_path

    def test_target_and_monitor_by_a_certificate_of_ones_own(self, certificate):
        with serving(certificate=certificate) as target, serving(known(), certificate=certificate) as monitor:
            tls = {"ca_file": "cert.pem"}
            access = {"url": monitor.url, "tls": tls}
            with running(config_of(certificate, http_start(target.url, tls=tls), monitor=access)) as hook:
                hook.send(alert("t-1"))
                assert hook.until("t-1", "started")["evidence"].endswith("bytes")
                assert len(target.posts()) == 1

    def test_a_certificate_that_is_not_trusted_gets_nothing(self, certificate):
        with serving(certificate=certificate) as target, running(config_of(certificate, http_start(target.url))) as hook:
            hook.send(alert("t-1"))
            wait_for("attempts", lambda: hook.metric("attempts_failed_total", reason="not_reached") >= 1)
            assert target.requests == []

    def test_an_answer_that_never_comes_is_ended_by_the_timeout(self, certificate):
        import threading

        ended = threading.Event()
        with serving(lambda _: (ended.wait(20), (200, {}))[1], certificate=certificate) as target:
            config = config_of(certificate, http_start(target.url, tls={"ca_file": "cert.pem"}, timeout="500ms"))
            with running(config) as hook:
                hook.send(alert("t-1"))
                assert hook.until("t-1", "failed")["reason"] == "unsure"
            ended.set()


class TestPolicyOverRestarts:
    def test_the_cooldown_of_a_model_goes_on_over_restarts(self, tmp_path):
        clock = Clock()
        with serving() as target:
            config = config_of(tmp_path, http_start(target.url), policy={"cooldown": "6h", "daily_maximum": 100})
            for hours, trigger_id, model, state in [
                (0, "a", "churn", "started"),
                (1, "b", "churn", "skipped"),
                (1, "c", "fraud", "started"),
                (5, "d", "churn", "skipped"),
                (6, "e", "churn", "started"),
                (6, "f", "fraud", "skipped"),
                (7, "g", "fraud", "started"),
            ]:
                clock.now_ms = Clock().now_ms + hours * HOUR_MS
                with running(config, clock) as hook:
                    hook.send(alert(trigger_id, model))
                    shown = hook.until(trigger_id, "started", "skipped")
                    assert (trigger_id, shown["state"]) == (trigger_id, state)
            with running(config, clock) as hook:
                assert hook.metric("triggers_skipped_total", reason="cooldown") == 3
        assert [post.json["id"] for post in target.posts()] == ["a", "c", "e", "g"]

    def test_the_daily_maximum_goes_on_over_restarts(self, tmp_path):
        clock = Clock()
        with serving() as target:
            config = config_of(tmp_path, http_start(target.url), policy={"cooldown": "0s", "daily_maximum": 2})
            for offset_ms, trigger_id, state in [
                (0, "a", "started"),
                (HOUR_MS, "b", "started"),
                (2 * HOUR_MS, "c", "skipped"),
                (DAY_MS - 1, "d", "skipped"),
                (DAY_MS, "e", "started"),
                (DAY_MS + 1, "f", "skipped"),
                (DAY_MS + HOUR_MS, "g", "started"),
            ]:
                clock.now_ms = Clock().now_ms + offset_ms
                with running(config, clock) as hook:
                    hook.send(alert(trigger_id, model=f"model_{trigger_id}"))
                    shown = hook.until(trigger_id, "started", "skipped")
                    assert (trigger_id, shown["state"]) == (trigger_id, state)
            assert shown["reason"] == "accepted"
        assert [post.json["id"] for post in target.posts()] == ["a", "b", "e", "g"]

    def test_what_was_skipped_stays_so_while_its_alert_fires_on(self, tmp_path):
        clock = Clock()
        with serving() as target:
            config = config_of(tmp_path, http_start(target.url), policy={"cooldown": "1h", "daily_maximum": 9})
            with running(config, clock) as hook:
                hook.send(alert("a"), alert("b"))
                hook.until("b", "skipped")
                clock.now_ms += 2 * HOUR_MS
                assert hook.send(alert("b"))["known"] == 1
                assert hook.triggers()["b"]["state"] == "skipped"
                hook.send(alert("c"))
                hook.until("c", "started")
        assert [post.json["id"] for post in target.posts()] == ["a", "c"]

    def test_a_release_by_an_operator_starts_it_whatever_the_policy_says(self, tmp_path):
        with serving() as target:
            config = config_of(tmp_path, http_start(target.url), policy={"cooldown": "24h", "daily_maximum": 1})
            with running(config) as hook:
                hook.send(alert("a"), alert("b"))
                hook.until("b", "skipped")
                other = Ledger(config.ledger.path, working=False)
                other.release("b", int(time.time() * 1000))
                other.close()
                assert hook.until("b", "started")["released"] == 1
                assert hook.metric("triggers_released_total") == 1
        assert [post.json["id"] for post in target.posts()] == ["a", "b"]


def test_a_bug_in_one_trigger_stops_no_other(tmp_path, monkeypatch):
    from monitor.hook.target.http import HttpStart

    render = HttpStart.render
    monkeypatch.setattr(HttpStart, "render", lambda self, fields: 1 / 0 if fields.model == "bad" else render(self, fields))
    with serving() as target, running(config_of(tmp_path, http_start(target.url))) as hook:
        hook.send(alert("t-1", model="bad"), alert("t-2"))
        hook.until("t-2", "started")
        assert events.WorkFailed("t-1", "ZeroDivisionError") in hook.said
        assert hook.triggers()["t-1"]["state"] == "received"
        assert fetch(hook.port, "/healthz").status == 200


def test_stopping_lets_the_attempt_end_and_its_outcome_is_recorded(tmp_path):
    import threading

    went_on = threading.Event()

    def respond(_):
        went_on.wait(20)
        return 200, {}

    config_path = tmp_path
    with serving(respond) as target:
        config = config_of(config_path, http_start(target.url, timeout="20s"))
        with running(config) as hook:
            hook.send(alert("t-1"))
            wait_for("the request", target.posts)
            threading.Timer(0.3, went_on.set).start()
            assert hook.hook.stop(20)
        ledger = Ledger(config.ledger.path)
        assert ledger.entry("t-1").state == "started"
        ledger.close()


def test_stopping_does_not_wait_for_ever_and_the_next_process_settles_it(tmp_path):
    import threading

    went_on = threading.Event()
    with serving(lambda _: (went_on.wait(20), (200, {}))[1]) as target:
        config = config_of(tmp_path, http_start(target.url, timeout="20s"))
        with running(config, stop_seconds=0.1) as hook:
            hook.send(alert("t-1"))
            wait_for("the request", target.posts)
            assert not hook.hook.stop(0.3)
            went_on.set()
            hook.hook._worker.join(20)
            hook.hook._ledger.close()
