"""Templates: a value can never become structure, whatever it holds."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.hook.template import MAX_TEXT, Fields, check, render, render_text, run_id


def fields(**changes):
    known = {
        "trigger_id": "t-1", "model": "churn", "reason": "performance", "severity": "warning", "starts_at": "2027-01-15T08:00:00Z",
        "received_at": "2027-01-15T08:00:01.000Z", "evidence_url": "http://m/api/v1/triggers/t-1", "labels": {"team": "growth"},
        "annotations": {"summary": "Look."}, "evidence": {"drop": 0.1, "segments": [{"name": "country=FR"}], "a.b": True},
    }  # fmt: skip
    return Fields(**known | changes)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${trigger_id}", "t-1"),
        ("run ${run_id} of ${model}", f"run {run_id('churn', 't-1')} of churn"),
        ("${evidence}", {"drop": 0.1, "segments": [{"name": "country=FR"}], "a.b": True}),
        ("${evidence.drop}", 0.1),
        ("by ${evidence.drop}", "by 0.1"),
        ("${evidence.segments[0].name}", "country=FR"),
        ('${evidence."a.b"}', True),
        ("${evidence.segments}!", '[{"name":"country=FR"}]!'),
        ("${evidence.nothing.there}", None),
        ("${evidence.segments[7]}", None),
        ("${evidence.segments.name}", None),
        ("${evidence.drop[0]}", None),
        ("<${evidence.nothing}>", "<>"),
        ("${labels.team}, ${labels.none}, ${annotations.summary}", "growth, , Look."),
        ("$$ ${model} $${model} $5", "$ churn ${model} $5"),
        ({"a": ["${model}", 1, None, {"b": "x${model}"}], "c": False}, {"a": ["churn", 1, None, {"b": "xchurn"}], "c": False}),
    ],
)
def test_placeholders_are_replaced(template, expected):
    check(template)
    assert render(template, fields()) == expected


def test_without_evidence_it_is_null():
    assert render({"e": "${evidence}", "part": "${evidence.drop}", "text": "e=${evidence}"}, fields(evidence=None)) == {
        "e": None,
        "part": None,
        "text": "e=",
    }


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("${modle}", "expected one of trigger_id, run_id, model.* got 'modle'"),
        ("${labels}", "got 'labels'"),
        ("${labels.}", "got 'labels.'"),
        ("${}", "got ''"),
        ("${model", r"expected a closing } after \${"),
        ("${a${model}}", r"expected a closing } after \${"),
        ("${evidence[}", "expected a path"),
        ({"${model}": 1}, "expected keys that are text without a placeholder"),
        ({1: "x"}, "expected keys that are text"),
        ([float("nan")], "expected text, a number"),
        ({"when": __import__("datetime").date(2027, 1, 1)}, "got date .quote a date."),
    ],
)
def test_a_template_that_means_nothing_is_refused(template, said):
    with pytest.raises(ValueError, match=said):
        check(template)


def test_a_template_is_not_deeper_than_it_may_be():
    deep = "x"
    for _ in range(33):
        deep = [deep]
    with pytest.raises(ValueError, match="at most 32 levels"):
        check(deep)


ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=300)


@given(ANY_TEXT)
def test_what_a_value_holds_stays_that_value_in_json(value):
    tree = {"whole": "${reason}", "part": "<${reason}>", "other": "x"}
    sent = json.loads(msgspec.json.encode(render(tree, fields(reason=value))))
    assert sent == {"whole": value, "part": f"<{value[:MAX_TEXT]}>", "other": "x"}


@given(ANY_TEXT)
def test_what_a_value_holds_stays_one_piece_of_a_url(value):
    url = render_text("http://host/a/${reason}/b?q=${reason}", fields(reason=value), lambda text: quote(text, safe=""))
    target = urlsplit(url)
    assert target.netloc == "host"
    assert target.path.count("/") == 3
    assert parse_qs(target.query, keep_blank_values=True, encoding="utf-8") == {"q": [value]}


def test_a_value_that_looks_like_a_placeholder_is_not_one():
    assert render("${reason}-${reason}", fields(reason="${evidence.secret}$$")) == "${evidence.secret}$$-${evidence.secret}$$"


def test_a_long_value_is_cut_inside_a_text():
    assert len(render_text("${reason}${reason}", fields(reason="x" * 5_000))) == 2 * MAX_TEXT


@given(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,99}", fullmatch=True),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
)
def test_a_run_id_is_a_name_for_kubernetes_and_airflow(model, trigger_id):
    name = run_id(model, trigger_id)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name), "RFC 1123 label"
    assert re.fullmatch(r"[A-Za-z0-9_.~:+-]+", name), "Airflow's allowed_run_id_pattern"
    assert run_id(model, trigger_id) == name
    assert run_id(model, trigger_id + "x") != name
