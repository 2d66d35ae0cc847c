"""Write deploy/grafana/*.json: Grafana's dashboards over the service and the loop, as code."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "deploy" / "grafana"
_WIDE, _HIGH, _ACROSS = 8, 7, 3


@dataclass(frozen=True)
class Panel:
    """One plot: what it shows, in which unit, and a query with a legend for each line."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    text: str = ""
    kind: str = "timeseries"


SERVICE = (
    Panel("Requests", "reqps", (("{{role}}", "everloop:requests:rate5m"),)),
    Panel("Failed", "percentunit", (("failed", "everloop:errors:ratio5m"),)),
    Panel("Refused", "reqps", (
        ("{{code}}", "sum by (code) (rate(everloop_refused_total[5m]))"),
    ), "Before a model saw them: what clients sent was wrong, or too much."),
    Panel("Latency", "s", (
        ("95% {{role}}", "everloop:request_seconds:p95_5m"),
        ("99% {{role}}", "everloop:request_seconds:p99_5m"),
    )),
    Panel("Where the time goes", "s", (
        ("decoding", "rate(everloop_decode_seconds_sum[5m])"),
        ("model {{bundle}}", "rate(everloop_model_seconds_sum[5m])"),
    ), "Seconds of work in each second."),
    Panel("Images of one run of a model", "none", (
        ("{{bundle}}", ("rate(everloop_batch_images_sum[5m]) / "
         "(rate(everloop_batch_images_count[5m]) > 0)")),
    )),
    Panel("Saturation", "none", (
        ("waiting", "everloop_queue_depth"), ("in flight", "everloop_in_flight"),
    )),
    Panel("Captures", "Bps", (("written", "rate(everloop_capture_bytes_total[5m])"),)),
    Panel("Captures that did not go well", "none", (
        ("dropped", "increase(everloop_capture_dropped_total[5m])"),
        ("late", "increase(everloop_capture_late_total[5m])"),
        ("left out by sampling", "increase(everloop_capture_skipped_total[5m])"),
    )),
    Panel("Feedback", "reqps", (
        ("{{kind}}", "sum by (kind) (rate(everloop_feedback_total[5m]))"),
    )),
)  # fmt: skip
LOOP = (
    Panel("The loop runs", "bool_yes_no", (("", "everloop_loop_running"),), kind="stat"),
    Panel("Champion", "none", (("{{bundle}}", "everloop_champion_info"),), kind="stat"),
    Panel("Alarms that nobody knows of", "none", (
        ("", "everloop_alarms_unacknowledged"),
    ), kind="stat"),
    Panel("Alarms", "none", (("{{what}} ({{level}})", "everloop_alarms"),)),
    Panel("Actions", "none", (
        ("{{kind}} {{outcome}}", "sum by (kind, outcome) (increase(everloop_actions_total[1h]))"),
    ), "Over within the hour."),
    Panel("Actions under way", "none", (("{{kind}}", "everloop_actions_open"),)),
    Panel("How long Actions take", "s", (
        ("{{kind}}", ("sum by (kind) (everloop_action_seconds_total) / "
         "sum by (kind) (everloop_actions_total)")),
    ), "From intent to outcome, in the mean of all there were."),
    Panel("Signals", "none", (("{{signal}}", "everloop_signal_level"),),
          "0 calm, 1 note, 2 alarm."),
    Panel("Signals beside their limits", "none", (
        ("{{signal}}", "everloop_signal_value / (abs(everloop_signal_limit) > 0)"),
    ), "As a part of the limit; some are to stay below it, some above."),
    Panel("Label tasks", "none", (("{{status}}", "everloop_label_tasks"),)),
    Panel("Labelled samples", "none", (("{{side}}", "everloop_labelled_samples"),)),
    Panel("Answers in the store", "none", (("", "everloop_answers_stored"),)),
    Panel("Waiting", "none", (
        ("segments of captures", "everloop_segments_waiting"),
        ("requests of people", "everloop_requests_waiting"),
        ("samples held back", "everloop_samples_held"),
    )),
    Panel("Messages on their way", "none", (("", "everloop_messages_undelivered"),)),
    Panel("Share of what is tried", "percentunit", (
        ("{{bundle}} {{mode}}", "everloop_candidate_share"),
    )),
)  # fmt: skip
BOARDS = {"everloop-service": ("Everloop: service", SERVICE),
          "everloop-loop": ("Everloop: loop", LOOP)}  # fmt: skip


def board(name: str) -> dict[str, Any]:
    """One dashboard as Grafana imports it."""
    title, panels = BOARDS[name]
    return {
        "uid": name,
        "title": title,
        "tags": ["everloop"],
        "schemaVersion": 39,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        ]},
        "panels": list(_panels(panels)),
    }  # fmt: skip


def _panels(panels: Sequence[Panel]) -> Iterator[dict[str, Any]]:
    source = {"type": "prometheus", "uid": "${source}"}
    for number, panel in enumerate(panels):
        yield {
            "id": number + 1,
            "type": panel.kind,
            "title": panel.title,
            "description": panel.text,
            "datasource": source,
            "gridPos": {
                "x": number % _ACROSS * _WIDE, "y": number // _ACROSS * _HIGH,
                "w": _WIDE, "h": _HIGH,
            },
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": [
                {"refId": chr(ord("A") + place), "datasource": source, "expr": expression,
                 "legendFormat": legend or panel.title}
                for place, (legend, expression) in enumerate(panel.queries)
            ],
        }  # fmt: skip


def text(name: str) -> str:
    """The file of one dashboard."""
    return json.dumps(board(name), indent=1) + "\n"


if __name__ == "__main__":
    for each in BOARDS:
        (FOLDER / f"{each}.json").write_text(text(each), encoding="utf-8")
    sys.exit(0)
