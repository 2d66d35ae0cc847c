"""A card as Markdown. Text from outside stays text: no mark-up, no HTML, no line of its own."""

import re
from collections.abc import Iterator, Sequence

from everloop.evaluation.cards.blocks import (
    Bars,
    Block,
    Card,
    Diagonal,
    Gallery,
    Grid,
    Paragraph,
    Points,
)

_MARKS = re.compile(r"([\\`*\[\]#|~])")
_EDGE = re.compile(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")


def markdown(card: Card) -> str:
    """The text of a card; its pictures are told of, not shown."""
    lines = [f"# {plain(card.title)}", ""]
    for section in card.sections:
        if section.blocks:
            lines += [f"## {plain(section.title)}", ""]
            for block in section.blocks:
                lines += [*_written(block), ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Text in one line in which Markdown and HTML find nothing.

    >>> plain("a|b <i>*c*\\n# d")
    'a\\\\|b &lt;i&gt;\\\\*c\\\\* \\\\# d'
    """
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _EDGE.sub(r"\\_", _MARKS.sub(r"\\\1", line))


def _written(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield plain(text)
        case Points(lines):
            yield from (f"- {plain(line)}" for line in lines)
        case Grid(columns, rows):
            yield from _grid(columns, rows)
        case Bars(bars):
            yield from _grid(("", ""), [(bar.name, bar.told) for bar in bars])
        case Diagonal(across, up, points):
            marks = [(f"{x:.3f}", f"{y:.3f}", str(count)) for x, y, count in points]
            yield from _grid((across, up, "answers"), marks)
        case Gallery(shown):
            for each in shown:
                told = "" if each.jpeg is None else " (its picture is in the HTML card)"
                yield f"- {plain('; '.join(each.lines))}{told}"


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(plain, columns))} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(map(plain, row))} |"
