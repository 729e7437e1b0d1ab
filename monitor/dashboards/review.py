"""Review: where the model fails and who looks after it, what was drawn to be looked at, and how good the labels are."""

from __future__ import annotations

from monitor.dashboards.board import MODEL, Dashboard, dashboard
from monitor.dashboards.drift import VERSION
from monitor.dashboards.panel import ORANGE, Panel, lines, over_time, pick, row, stat, states, steps, table
from monitor.dashboards.performance import SEGMENT

_MODEL = 'model=~"$model"'
_VERSION = 'model=~"$model",version=~"$version"'
_SEGMENT = f'{_VERSION},segment=~"$segment"'
_NAMED = "{{version}} {{segment}}"


def review() -> Dashboard:
    """The dashboard."""
    return dashboard(
        "review",
        "review and failure modes",
        "Where the model fails and who looks after it, what was drawn to be looked at, and how good the labels are.",
        [MODEL, VERSION, SEGMENT],
        [
            *_state(),
            row("Failure modes"),
            *_modes(),
            row("What to look at"),
            *_queue(),
            row("Quality of labels"),
            *_quality(),
            row("Whether labels stand for all"),
            *_audit(),
        ],
    )


def _of_segment(name: str, *more: str) -> str:
    return f"max by ({', '.join(('version', 'segment', *more))}) ({pick(f'driftgauge_{name}', _SEGMENT)})"


def _state() -> list[Panel]:
    modes = pick("driftgauge_failure_modes", _MODEL, 'status!="closed"')
    nobody = pick("driftgauge_failure_modes", _MODEL, 'status=~"open|reopened"')
    return [
        stat(
            "Failure modes",
            "Failure modes that evidence has not closed.",
            f"sum(max by (model, status) ({modes}))",
            "none",
            steps((1, ORANGE)),
            6,
        ),
        stat(
            "Nobody's",
            "Failure modes that are open or reopened: neither assigned nor about to be fixed by a version.",
            f"sum(max by (model, status) ({nobody}))",
            "none",
            steps((1, ORANGE)),
            6,
        ),
        stat(
            "Drawn in 24 hours",
            "Predictions drawn for review in the last 24 hours, edge cases and the audit sample.",
            f"sum(increase({pick('driftgauge_review_items_total', _MODEL)}[24h]))",
            "short",
            steps(),
            6,
        ),
        stat(
            "Labels to come",
            "Labels still to come for the window's predictions, if they come as they did.",
            f"sum(max by (model, version) ({pick('driftgauge_labels_expected', _VERSION, segment='ALL')}))",
            "short",
            steps(),
            6,
        ),
    ]


def _modes() -> list[Panel]:
    keys = "model, version, segment, predicted, error"
    impact = f"max by ({keys}) ({pick('driftgauge_failure_mode_impact', _VERSION)})"
    known = f"max by ({keys}, failure_mode, status, owner, trend) ({pick('driftgauge_failure_mode_info', _VERSION)})"
    return [
        table(
            "Failure modes by cost",
            "Cost in the window beyond what the reference had, the dearest first, without closed ones. The id goes to"
            " driftgauge control assign; ids of predictions that failed so are in /api/v1/failure-modes.",
            {"Cost": ("short", f"sort_desc({impact} * on ({keys}) group_right () {known})")},
            "Cost",
            (24, 10),
        ),
        lines(
            "Cost by failure mode",
            "Cost in the window beyond what the reference had, of the ten dearest.",
            [over_time(f"topk(10, {impact})", "{{version}} {{segment}} {{predicted}} {{error}}")],
            "short",
        ),
        lines(
            "Failure modes by state",
            "Open, assigned to somebody, about to be fixed by a version, closed by evidence, and come back.",
            [over_time(f"max by (model, status) ({pick('driftgauge_failure_modes', _MODEL)})", "{{model}} {{status}}")],
            "none",
        ),
    ]


def _queue() -> list[Panel]:
    drawn = pick("driftgauge_review_items_total", _MODEL)
    return [
        lines(
            "Drawn for review",
            "Predictions drawn to be looked at, by the first of their reasons. None of a model whose configuration asks for none.",
            [over_time(f"sum by (model, kind, reason) (rate({drawn}[$__rate_interval]))", "{{model}} {{kind}}: {{reason}}")],
            "cps",
            stacked=True,
        ),
        lines(
            "Labels still to come",
            "For the window's predictions, by segment, if labels come as they did.",
            [over_time(_of_segment("labels_expected"), _NAMED)],
            "short",
        ),
    ]


def _quality() -> list[Panel]:
    annotators = f"max by (model, version, annotator) ({pick('driftgauge_annotator_agreement_ratio', _VERSION)})"
    return [
        lines(
            "Agreement of annotators",
            "Beyond chance: 1 is perfect, 0 is chance. Absent while no prediction has several annotators.",
            [
                over_time(
                    f"max by (model, version, statistic) ({pick('driftgauge_label_agreement', _VERSION)})",
                    "{{model}} {{version}} {{statistic}}",
                )
            ],
            "none",
        ),
        lines(
            "Disagreement",
            "Share of predictions with several annotators on which they differ.",
            [over_time(_of_segment("label_disagreement_ratio"), _NAMED)],
            "percentunit",
        ),
        lines(
            "Flipped labels",
            "Share of labels that were restated to another value.",
            [over_time(_of_segment("label_flip_ratio"), _NAMED)],
            "percentunit",
        ),
        table(
            "Annotators",
            "Share of an annotator's labels that are the consensus, of those with most labels that others judged too.",
            {"Agreement with the consensus": ("percentunit", annotators)},
            "Agreement with the consensus",
            (12, 8),
        ),
    ]


def _audit() -> list[Panel]:
    audited = pick("driftgauge_performance_labelled_rows", _SEGMENT, view="audit")
    biased = (("selection_biased", "Scores unlike all"), ("coverage_uneven", "Labelled unevenly"))
    said = (
        "1 while scores of labelled predictions are unlike those of all by more than chance, else 0; absent with too few labels.",
        "1 while the segment is labelled more or less than all traffic by more than chance, else 0.",
    )
    return [
        lines(
            "Labels of the audit sample",
            "Labels in the window of predictions that were drawn uniformly: they stand for all traffic whatever else is labelled.",
            [over_time(f"max by (version, segment) ({audited})", _NAMED)],
            "short",
        ),
        lines(
            "Coverage of the window",
            "Share of the window's predictions that have a label.",
            [over_time(_of_segment("label_coverage_ratio"), _NAMED)],
            "percentunit",
        ),
        *(
            states(title, text, over_time(_of_segment(f"label_{name}"), _NAMED), "none", steps((1, ORANGE)), (12, 8))
            for (name, title), text in zip(biased, said, strict=True)
        ),
    ]
