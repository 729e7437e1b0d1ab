"""What the monitor thinks of itself, and what river says, from hand-made answers."""

from __future__ import annotations

import msgspec

from monitor.demo.account import alarms, balanced, itself
from monitor.demo.answers import Status, VerdictPage
from monitor.demo.terminal import Ink
from monitor.expose.api import status_json, verdicts_json
from tests.demo.answers import status
from tests.expose.sample import NOW_MS, running

PLAIN = Ink(False)


def test_every_row_is_accounted_for_in_one_sum() -> None:
    lines = itself(status(), 100, PLAIN)
    assert lines[2:] == [
        "  health     healthy. Reading all partitions.",
        "  rows       100 received of 100 sent",
        "             = 80 counted + 10 duplicate + 4 late + 5 rejected + 1 tombstones: adds up",
        "  losses     0 offsets, 0 ids forgotten, 7 rows without a segment",
        "  versions   1, with a reference; 2, WITHOUT a reference",
        "  segments   53 of the reference, 1 new, at most 100",
        "  event time judged to 2014-01-01 00:00, watermark 2014-01-01 00:00, 0 messages behind",
        "  memory     2.0 KiB in 4 open panes, 3.0 MiB in closed ones, 0 B for 4,559 ids",
    ]


def test_a_row_that_is_missing_on_either_side_is_not_hidden() -> None:
    assert balanced(status().models[0], 100)
    for answer, sent in ((status(), 101), (status(rows_counted=79), 100), (status(unaccounted=1), 100), (status(messages=99), 100)):
        assert not balanced(answer.models[0], sent)
        assert "does NOT add up" in "\n".join(itself(answer, sent, PLAIN))


def test_rivers_detectors_say_their_alarms() -> None:
    assert alarms(status().models[0], PLAIN)[2:] == [
        "  ADWIN on the daily mean of score, all traffic: no alarm",
        "  KSWIN on the daily mean of score, carrier=UA: 2 alarms, last on 2013-12-19",
    ]
    assert alarms(msgspec.structs.replace(status().models[0], river=()), PLAIN) == []


def test_what_the_api_answers_is_what_is_read() -> None:
    page = msgspec.json.decode(verdicts_json(running(), {}), type=VerdictPage)
    assert page.verdicts[0].times > 1
    assert page.total > len(page.verdicts) == page.next_offset
    known = msgspec.json.decode(status_json(running(), NOW_MS + 301_000), type=Status)
    assert known.models[0].versions[0].reference_start == "2013-01-02T00:00:00.000Z"
    assert balanced(known.models[0], known.models[0].ledger.messages)
