"""The report as one HTML file that needs nothing else and can run nothing."""

import base64
import html
import io
from collections.abc import Callable, Mapping

from everloop.data.checks.finding import Finding
from everloop.data.checks.inspect import Report
from everloop.data.owner import owner_only
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.ids import SampleId
from everloop_runtime.images import ImageLimits, open_image, upright

_MOST_CASES = 24
_MOST_PICTURES = 400
_SIDE = 160
_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Data check</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
h2{margin:2rem 0 .2rem}p{color:#444;margin:.2rem 0 .8rem}table{border-collapse:collapse}
td,th{border-bottom:1px solid #ddd;padding:.2rem .8rem .2rem 0;text-align:left}
.cases{display:flex;flex-wrap:wrap;gap:.8rem}.case{border:1px solid #ddd;border-radius:6px;
padding:.5rem;max-width:22rem;overflow-wrap:anywhere;font-size:13px}.case img{max-width:160px;
max-height:160px;image-rendering:auto}.stop{color:#b00020}.mend{color:#a34e00}
</style></head><body><h1>Data check</h1>
"""


def page(report: Report, store: DataStore, limits: ImageLimits) -> str:
    """The report with small pictures of its first cases, each decoded and encoded anew."""
    drawn = _Drawn(store, limits)
    parts = [
        _HEAD,
        f"<p>{report.samples:,} samples, {report.labelled:,} of them labelled.</p>",
        _enough(report),
        _table("Set aside", report.quarantined, "files by reason") if report.quarantined else "",
        *(_finding(finding, report.names, drawn) for finding in report.findings),
        "<p>Nothing else was found.</p></body></html>",
    ]
    return "".join(parts)


class _Drawn:
    """Small pictures as `data:` addresses, a bounded number of them."""

    def __init__(self, store: DataStore, limits: ImageLimits) -> None:
        self._store, self._limits = store, limits
        self._left = _MOST_PICTURES

    def __call__(self, sample: SampleId) -> str:
        if self._left <= 0:
            return ""
        self._left -= 1
        try:
            [data] = owner_only(self._store.samples, [sample])
            with open_image(data, self._limits) as image:
                small = upright(image, 3)
        except Refused:
            return ""
        small.thumbnail((_SIDE, _SIDE))
        out = io.BytesIO()
        small.save(out, "JPEG", quality=80)
        coded = base64.b64encode(out.getvalue()).decode()
        return f'<img alt="" src="data:image/jpeg;base64,{coded}">'


def _finding(
    finding: Finding, names: Mapping[SampleId, str], drawn: Callable[[SampleId], str]
) -> str:
    cases = []
    for item in finding.items[:_MOST_CASES]:
        pictures = "".join(map(drawn, item.samples))
        called = "<br>".join(
            f"{html.escape(names.get(sample, ''))} <small>{sample[:12]}</small>"
            for sample in item.samples
        )
        cases.append(
            f'<div class="case">{pictures}<div>{html.escape(item.text)}</div>{called}</div>'
        )
    more = finding.count - len(cases)
    rest = f"<p>and {more:,} more; everloop data check --json tells all</p>" if more > 0 else ""
    return (
        f'<h2 class="{finding.weight}">{html.escape(finding.title)}: {finding.count:,}</h2>'
        f'<p>{html.escape(finding.why)}</p><div class="cases">{"".join(cases)}</div>{rest}'
    )


def _enough(report: Report) -> str:
    told = report.enough
    if told.missing:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in told.missing)
        answer = f"<p>Not yet. Wanting:</p><ul>{lines}</ul>"
    else:
        answer = "<p>Yes, by the needs that are stated.</p>"
    rows = {
        name: f"{count:,} training, {told.holdout.get(name, 0):,} hold-out"
        for name, count in told.train.items()
    }
    return (
        f"<h2>Is there enough to start?</h2>{answer}{_table('Class', rows, 'samples')}"
        f"<p>An accuracy measured on this hold-out is sure to &plusmn;{told.holdout_margin:.1%}."
        "</p>"
    )


def _table(name: str, rows: Mapping[str, object], what: str) -> str:
    body = "".join(
        f"<tr><td>{html.escape(str(key))}</td><td>{html.escape(str(value))}</td></tr>"
        for key, value in rows.items()
    )
    return f"<table><tr><th>{name}</th><th>{what}</th></tr>{body}</table>"
