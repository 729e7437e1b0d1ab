"""The hook's server: who may post, what is answered, and that nothing a client does starts anything or breaks it."""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.hook import events
from monitor.hook.alert import Ignored
from monitor.hook.metrics import FAMILIES
from tests.expose.client import WAIT_SECONDS, fetch, raw, read_all, trusting, write_certificate
from tests.hook.test_alert import ALERTS, JSON
from tests.hook.world import Running, alert, config_of, http_start, notification, running, serving
from tests.prometheus import wait_for

TOKEN = "correct horse battery staple"


@pytest.fixture
def open_hook(tmp_path):
    """A hook without credentials, whose target must never be asked."""
    with serving() as target, running(config_of(tmp_path, http_start(target.url))) as hook:
        yield hook
        assert target.requests == []


@pytest.fixture
def guarded(tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "password").write_text("pass:word")
    listen = {"port": 0, "bearer_token": {"file": "token"}, "basic_auth": {"username": "alertmanager", "password": {"file": "password"}}}
    with serving() as target, running(config_of(tmp_path, http_start(target.url), listen=listen)) as hook:
        hook.target = target
        yield hook


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class TestCredentials:
    @pytest.mark.parametrize("right", [{"Authorization": f"Bearer {TOKEN}"}, basic("alertmanager", "pass:word")])
    def test_the_right_ones_open_the_door(self, guarded, right):
        assert guarded.post(notification(alert()), **right).status == 200

    @pytest.mark.parametrize(
        "wrong",
        [
            {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN},
            {"Authorization": f"Token {TOKEN}"}, basic("alertmanager", "wrong"), basic("other", "pass:word"), {"Authorization": "Basic !!"},
            {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"X-Authorization": f"Bearer {TOKEN}"},
        ],
    )  # fmt: skip
    def test_wrong_ones_are_refused_without_a_word_why(self, guarded, wrong):
        answer = guarded.post(notification(alert()), **wrong)
        assert (answer.status, json.loads(answer.body)) == (401, {"error": "credentials are missing or wrong"})
        assert answer.headers.get_all("WWW-Authenticate") == ['Bearer realm="driftgauge"', 'Basic realm="driftgauge", charset="UTF-8"']
        for path in ("/", "/metrics", "/nothing"):
            assert fetch(guarded.port, path, headers=wrong).status == 401
        assert fetch(guarded.port, "/healthz", headers=wrong).status == 200
        assert guarded.target.requests == []

    def test_a_body_of_somebody_unknown_is_not_even_read(self, guarded):
        with socket.create_connection(("127.0.0.1", guarded.port), timeout=WAIT_SECONDS) as client:
            client.sendall(b"POST /webhook HTTP/1.1\r\nContent-Length: 900000\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 401"

    def test_a_flood_of_wrong_tokens_starts_nothing_and_does_not_flood_the_log(self, guarded):
        def post(number: int) -> int:
            return guarded.post(notification(alert()), Authorization=f"Bearer {number}").status

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(post, range(300))) == {401}
        right = {"Authorization": f"Bearer {TOKEN}"}
        page = fetch(guarded.port, "/metrics", headers=right).body.decode()
        assert 'driftgauge_hook_notifications_refused_total{reason="credentials"} 300.0' in page
        assert len([said for said in guarded.said if isinstance(said, events.NotificationRefused)]) <= 4
        assert guarded.target.requests == []

    def test_secrets_stand_nowhere(self, guarded, tmp_path, capfd):
        right = {"Authorization": f"Bearer {TOKEN}"}
        guarded.post(notification(alert()), **right)
        wait_for("a start", lambda: guarded.target.requests)
        shown = fetch(guarded.port, "/", headers=right).body + fetch(guarded.port, "/metrics", headers=right).body
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("hook.sqlite"))
        told = repr(guarded.said).encode() + "".join(capfd.readouterr()).encode()
        for secret in (TOKEN.encode(), b"pass:word", base64.b64encode(b"alertmanager:pass:word")):
            assert secret not in shown + kept + told

    def test_a_secret_that_cannot_be_read_closes_the_door_and_says_so_in_the_log(self, guarded, tmp_path):
        (tmp_path / "token").unlink()
        answer = guarded.post(notification(alert()), Authorization=f"Bearer {TOKEN}")
        assert answer.status == 503
        assert b"token" not in answer.body
        assert guarded.target.requests == []


def test_https(tmp_path):
    write_certificate(tmp_path, "hook")
    listen = {"port": 0, "tls": {"cert_file": "cert.pem", "key_file": "key.pem"}}
    with serving() as target, running(config_of(tmp_path, http_start(target.url), listen=listen)) as hook:
        answer = fetch(hook.port, "/webhook", method="POST", body=notification(alert()), tls=trusting(tmp_path))
        assert answer.status == 200
        wait_for("a start", lambda: target.requests)
        with pytest.raises((http.client.HTTPException, OSError)):
            fetch(hook.port, "/healthz")


class TestAnswers:
    def test_what_is_no_trigger_is_understood_and_counted_by_its_reason(self, open_hook: Running):
        body = notification(
            alert(status="resolved"), alert(None), alert("two words"), alert(alertname="Watchdog"), alert(action="x"), alert(model=""), 7,
            truncatedAlerts=3,
        )  # fmt: skip
        answer = open_hook.post(body)
        assert answer.status == 200
        counts = {
            Ignored.RESOLVED: 1, Ignored.NO_TRIGGER_ID: 1, Ignored.BAD_TRIGGER_ID: 1, Ignored.OTHER_ALERT: 1, Ignored.OTHER_ACTION: 1,
            Ignored.BAD_MODEL: 1, Ignored.MALFORMED: 1, Ignored.OTHER_MODEL: 0,
        }  # fmt: skip
        assert json.loads(answer.body) == {"received": 0, "known": 0, "ignored": {k: n for k, n in counts.items() if n}, "truncated": 3}
        assert {reason: open_hook.metric("alerts_ignored_total", reason=reason) for reason in counts} == counts
        assert open_hook.metric("alerts_truncated_total") == 3
        assert events.AlertsTruncated(3) in open_hook.said

    def test_what_is_no_notification_is_a_400_that_alertmanager_does_not_repeat_at_once(self, open_hook: Running):
        answer = open_hook.post(b"{}")
        assert (answer.status, json.loads(answer.body)["expected"]) == (
            400,
            "the JSON of an Alertmanager notification with version and alerts",
        )
        assert open_hook.metric("notifications_refused_total", reason="malformed") == 1

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/webhook", 405),
            ("PUT", "/webhook", 405),
            ("POST", "/", 405),
            ("POST", "/x", 404),
            ("GET", "/webhook/", 404),
            ("HEAD", "/", 200),
        ],
    )  # fmt: skip
    def test_other_paths_and_methods_are_refused(self, open_hook: Running, method, path, status):
        assert fetch(open_hook.port, path, method=method).status == status

    def test_a_large_body_is_refused(self, tmp_path):
        listen = {"port": 0, "max_body_bytes": 10_000}
        with serving() as target, running(config_of(tmp_path, http_start(target.url), listen=listen)) as hook:
            assert hook.post(notification(alert(), padding="x" * 10_000)).status == 413
            assert hook.metric("notifications_refused_total", reason="too_large") == 1
            assert target.requests == []

    def test_when_too_many_wait_alertmanager_is_told_to_come_again(self, tmp_path):
        with serving() as target:
            closed = target.url
        with running(config_of(tmp_path, http_start(closed), ledger={"max_pending": 2})) as hook:
            assert hook.post(notification(alert("a"), alert("b"))).status == 200
            answer = hook.post(notification(alert("c")))
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert hook.metric("notifications_refused_total", reason="full") == 1
            assert hook.post(notification(alert("a"))).status == 200

    def test_when_the_ledger_cannot_be_written_alertmanager_is_told_to_come_again(self, tmp_path):
        with serving() as target, running(config_of(tmp_path, http_start(target.url))) as hook:
            database = hook.hook._ledger._database._connection
            database.execute("PRAGMA query_only = ON")  # as a disk that takes nothing more
            assert hook.post(notification(alert())).status == 503
            assert hook.metric("notifications_refused_total", reason="ledger") == 1
            database.execute("PRAGMA query_only = OFF")
            assert hook.post(notification(alert())).status == 200
            hook.until("t-1", "started")

    def test_every_metric_that_is_declared_is_shown_and_no_other(self, open_hook: Running):
        page = fetch(open_hook.port, "/metrics").body.decode()
        shown = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE driftgauge_")}
        assert shown == {f"driftgauge_hook_{name}" for name in FAMILIES}
        assert "process_resident_memory_bytes" in page

    def test_the_page_of_the_last_triggers_is_json_that_a_browser_does_not_take_for_a_page(self, tmp_path):
        with serving() as target, running(config_of(tmp_path, http_start(target.url))) as hook:
            hook.send(alert("t-1", reason="<script>alert(1)</script>"))
            hook.until("t-1", "started")
            answer = fetch(hook.port, "/")
            assert answer.headers["Content-Type"].startswith("application/json")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]

    def test_health_follows_the_worker(self, tmp_path):
        with serving() as target, running(config_of(tmp_path, http_start(target.url))) as hook:
            assert json.loads(fetch(hook.port, "/healthz").body) == {"alive": True}
            hook.hook._stopping.set()
            hook.hook._worker.join(20)
            assert fetch(hook.port, "/healthz").status == 503


class TestHostileClients:
    def test_further_connections_than_allowed_are_refused_and_then_served_again(self, tmp_path):
        listen = {"port": 0, "max_connections": 3, "read_timeout": "2s"}
        with serving() as target, running(config_of(tmp_path, http_start(target.url), listen=listen)) as hook:
            idle = [socket.create_connection(("127.0.0.1", hook.port), timeout=WAIT_SECONDS) for _ in range(3)]
            for each in idle:
                each.sendall(b"POST /webhook HTTP/1.1\r\n")
            wait_for("a refusal", lambda: raw(hook.port, b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503"))
            assert all(read_all(each) == b"" for each in idle), "slow clients are dropped"
            wait_for("a free place", lambda: raw(hook.port, b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200"))
            for each in idle:
                each.close()
            assert target.requests == []

    @given(st.binary(max_size=300) | JSON.map(lambda tree: json.dumps(tree).encode()))
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_body_makes_it_fail_or_start(self, open_hook: Running, body):
        assert open_hook.post(body).status in (200, 400)
        assert open_hook.metric("triggers_received_total") == 0

    @given(ALERTS.filter(lambda alerts: "trigger_id" not in json.dumps(alerts)))
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_alert_without_a_trigger_id_makes_it_fail_or_start(self, open_hook: Running, alerts):
        assert open_hook.post(notification(*alerts)).status == 200
        assert open_hook.metric("triggers_received_total") == 0

    @given(st.binary(max_size=400))
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_bytes_on_the_wire_make_it_fail_or_start(self, open_hook: Running, data):
        with socket.create_connection(("127.0.0.1", open_hook.port), timeout=WAIT_SECONDS) as client:
            client.sendall(b"POST /webhook HTTP/1.1\r\n" + data)
            client.shutdown(socket.SHUT_WR)
            answered = read_all(client)
        assert answered == b"" or answered.split()[1][:1] in (b"2", b"4")
        assert open_hook.metric("triggers_received_total") == 0

    def test_a_valid_notification_cut_anywhere_starts_nothing(self, open_hook: Running):
        body = notification(alert())
        for end in range(0, len(body) - 1, 23):
            assert open_hook.post(body[:end]).status == 400
        assert open_hook.metric("notifications_total") == 0

    def test_many_different_triggers_wait_their_turn_and_none_is_lost(self, tmp_path):
        with serving() as target, running(config_of(tmp_path, http_start(target.url))) as hook:
            for group in range(4):
                hook.send(*(alert(f"t-{group}-{n}", model=f"model_{n}") for n in range(25)))
            wait_for("all starts", lambda: len(target.posts()) == 100, 60)
            assert hook.metric("triggers_started_total", reason="accepted") == 100
            assert len({post.json["id"] for post in target.posts()}) == 100
