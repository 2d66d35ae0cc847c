"""A card as one HTML file that needs nothing else and can run nothing."""

import base64
import html
import re
from collections.abc import Collection, Sequence

from everloop.evaluation.cards.blocks import (
    Bars,
    Block,
    Card,
    Diagonal,
    Gallery,
    Grid,
    Paragraph,
    Points,
    Shown,
)

_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;
color:#1c1e21;background:#fff}}h1{{font-size:1.6rem}}h2{{font-size:1.15rem;margin:2rem 0 .4rem}}
table{{border-collapse:collapse;display:block;overflow-x:auto}}td,th{{border-bottom:1px solid #ddd;
padding:.2rem .7rem;text-align:left;vertical-align:top;overflow-wrap:break-word}}
.m td{{border:1px solid #fff;
text-align:right}}.cases{{display:flex;flex-wrap:wrap;gap:.8rem}}.case{{border:1px solid #ddd;
border-radius:6px;padding:.5rem;max-width:30rem;overflow-wrap:anywhere;font-size:13px}}
.case img{{max-width:100%;image-rendering:auto}}.small .case{{width:8.5rem}}.small img{{width:100%}}
.cases{{margin-top:.8rem}}@media print{{td,th{{overflow-wrap:anywhere}}}}
@media(max-width:40rem){{body{{margin:1rem auto}}td,th{{padding:.2rem .4rem;font-size:13px}}
.small .case{{width:6rem}}}}svg{{max-width:100%;height:auto}}
</style></head><body><h1>{title}</h1>
"""
_CASE = re.compile(r'(<div class="case">(?:<img [^>]*>)?<div>.*?</div></div>)', re.DOTALL)
_ROW, _NAME, _WIDE = 22, 190, 320


def page(card: Card) -> str:
    """The whole file; everything that came from outside is escaped."""
    parts = [_HEAD.format(title=_text(card.title))]
    for section in card.sections:
        if section.blocks:
            parts.append(f"<h2>{_text(section.title)}</h2>")
            parts += map(_written, section.blocks)
    return "".join([*parts, "</body></html>\n"])


def _text(text: str) -> str:
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return html.escape(line)


def _written(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{_text(text)}</p>"
        case Points(lines):
            return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>"
        case Grid():
            return _grid(block)
        case Bars():
            return _bars(block)
        case Diagonal():
            return _diagonal(block)
        case Gallery(shown, is_small):
            kind = "cases small" if is_small else "cases"
            return f'<div class="{kind}">{"".join(map(_case, shown))}</div>'


def _grid(grid: Grid) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in grid.columns)
    body = []
    for number, row in enumerate(grid.rows):
        shades = grid.shades[number] if grid.shades else (None,) * len(row)
        cells = (f"<td{_shade(s)}>{_text(cell)}</td>" for cell, s in zip(row, shades, strict=True))
        body.append(f"<tr>{''.join(cells)}</tr>")
    kind = ' class="m"' if grid.shades else ""
    return f"<table{kind}><tr>{head}</tr>{''.join(body)}</table>"


def _shade(share: float | None) -> str:
    if share is None:
        return ""
    share = min(max(share, 0.0), 1.0)
    ink = ";color:#fff" if share > 0.6 else ""
    return f' style="background:rgba(29,78,216,{0.06 + 0.94 * share:.2f}){ink}"'


def _case(shown: Shown) -> str:
    picture = ""
    if shown.jpeg is not None:
        coded = base64.b64encode(shown.jpeg).decode()
        told = _text(shown.lines[0] if shown.lines else "")
        picture = f'<img alt="{told}" src="data:image/jpeg;base64,{coded}">'
    lines = "<br>".join(map(_text, shown.lines))
    return f'<div class="case">{picture}<div>{lines}</div></div>'


def without(told: str, names: Collection[str]) -> str:
    """A file that `page` wrote, without the pictures whose lines name one of these.

    >>> shown = Shown(b"x", ("why", "ab12"))
    >>> told = page(Card("t", (Section("s", (Gallery((shown, Shown(b"y", ("cd34",)))),)),)))
    >>> without(told, ["ab12"]) == told, "ab12" in without(told, ["ab12"])
    (False, False)
    """
    parts = _CASE.split(told)
    kept = [part for part in parts if not (_CASE.fullmatch(part) and _names(part, names))]
    return "".join(kept)


def _names(case: str, names: Collection[str]) -> bool:
    lines = case[case.rindex("<div>") + len("<div>") :].removesuffix("</div></div>")
    return any(line in names for line in lines.split("<br>"))


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">'
        f"{''.join(parts)}</svg>"
    )


def _bars(bars: Bars) -> str:
    parts = []
    for place, bar in enumerate(bars.bars):
        top, long = place * _ROW, _WIDE * min(max(bar.value, 0.0) / (bars.most or 1.0), 1.0)
        name = bar.name if len(bar.name) <= 30 else f"{bar.name[:29]}…"
        parts.append(
            f'<text x="0" y="{top + 15}">{_text(name)}</text>'
            f'<rect x="{_NAME}" y="{top + 3}" width="{long:.1f}" height="{_ROW - 6}" '
            'fill="#1d4ed8"/>'
            f'<text x="{_NAME + long + 6:.1f}" y="{top + 15}">{_text(bar.told)}</text>'
        )
    return _svg(_NAME + _WIDE + 140, max(1, len(bars.bars)) * _ROW, parts)


def _diagonal(diagram: Diagonal) -> str:
    side, left = 240, 40
    most = max((count for _, _, count in diagram.points), default=1)
    low, far = 10 + side, left + side
    frame = (
        f'<rect x="{left}" y="10" width="{side}" height="{side}" fill="none" stroke="#999"/>'
        f'<line x1="{left}" y1="{low}" x2="{far}" y2="10" stroke="#999" stroke-dasharray="4"/>'
        f'<text x="{left}" y="{low + 18}">0</text><text x="{far - 8}" y="{low + 18}">1</text>'
        f'<text x="{left + 70}" y="{low + 18}">{_text(diagram.across)}</text>'
        f'<text transform="translate(14 {low - 30}) rotate(-90)">{_text(diagram.up)}</text>'
    )
    parts = [frame]
    for across, up, count in diagram.points:
        size = 3 + 7 * (count / most) ** 0.5
        parts.append(
            f'<circle cx="{left + side * across:.1f}" cy="{10 + side * (1 - up):.1f}" '
            f'r="{size:.1f}" fill="#1d4ed8" fill-opacity=".6"/>'
        )
    return _svg(left + side + 20, side + 40, parts)
