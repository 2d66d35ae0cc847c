"""Label Studio's JSON exports: choices and rectangles, in the full form and in the short one.

Pictures are looked up in the source by what their address ends in; nothing is fetched. Turned
rectangles, masks, key points and relations are not taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from everloop.data.formats.format import Fit, Wanted
from everloop.data.formats.json_stream import elements
from everloop.data.formats.pictures import is_picture, missing, reader, unlabelled
from everloop.data.formats.shape import box, of_boxes, of_names
from everloop.data.formats.sketch import Sketch
from everloop.data.incoming import Incoming
from everloop.data.sources.index import Index
from everloop.data.sources.tree import Entry, Tree
from everloop.errors import Refused
from everloop.labels import Box, Label, encode

_MOST_TOLD = 5
_LONGEST_PREFIX = 64


class LabelStudio:
    """A JSON array of tasks, with the pictures they name beside it."""

    name = "label-studio"

    def fits(self, sketch: Sketch, wanted: Wanted) -> Fit | None:
        """Whether a source looks like this format, and why; None when it does not."""
        if wanted.modality != "image" or wanted.label_kind == "value":
            return None
        found = [p for p in sketch.ending_in(".json") if _looks_so(sketch.head(p))]
        return Fit(f"{found[0]} is a list of labelling tasks") if found else None

    def read(self, tree: Tree, wanted: Wanted) -> Iterator[Incoming]:
        """Every picture with what is stated of it; then the pictures that no task speaks of."""
        index = Index(tree)
        try:
            read = 0
            for entry in index.all():
                if entry.path.lower().endswith(".json"):
                    with tree.open(entry.path) as file:
                        fits = _looks_so(file.read(64 * 1024))
                    if fits:
                        read += 1
                        yield from _tasks(tree, index, entry.path, wanted)
            if not read:
                raise Refused("no JSON file of it is a list of labelling tasks")
            yield from unlabelled(tree, index.unused())
        finally:
            index.close()


def _looks_so(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    full = b'"data"' in head and b'"annotations"' in head
    short = b'"annotation_id"' in head or b'"lead_time"' in head or b'"annotator"' in head
    return start == b"[" and (full or short)


def _tasks(tree: Tree, index: Index, path: str, wanted: Wanted) -> Iterator[Incoming]:
    with tree.open(path) as file:
        try:
            for number, (_, task) in enumerate(elements(file, {""}), start=1):
                yield _task(tree, index, path, number, task, wanted)
        except Refused as error:
            raise Refused(f"{path}: {error}") from error


def _task(tree: Tree, index: Index, path: str, number: int, task: Any, wanted: Wanted) -> Incoming:
    told = task.get("id") if isinstance(task, dict) else None
    what = f"task {str(told)[:40]}" if isinstance(told, int | str) else f"task number {number}"
    stray = f"{path}#{what}"
    if not isinstance(task, dict):
        return Incoming(stray, missing(f"{path}: {what} is not a JSON object"))
    data = task.get("data")
    address = _address(data if isinstance(data, dict) else task)
    if address is None:
        return Incoming(stray, missing(f"{path}: {what} names no picture"))
    found = _find(index, address, path.rpartition("/")[0])
    if len(found) != 1:
        why = "is not in the source" if not found else f"may be any of {len(found)} files"
        reason = f"{path}: {what}: its picture {address[:200]!r} {why}"
        return Incoming(stray, missing(reason))
    label, size, problems = _stated(task, wanted)
    if not index.use(found[0].path):
        problems.insert(0, "another task is about the same picture")
    return Incoming(
        found[0].path,
        reader(tree, found[0].path),
        found[0].stamp,
        None if problems else label,
        unit="share",
        size=size,
        problems=tuple(f"{path}: {what}: {problem}" for problem in problems[:_MOST_TOLD]),
    )


def _address(data: Mapping[str, Any]) -> str | None:
    """The value that names a picture: of a usual key, or the only one that looks like one."""
    for key in ("image", "img", "picture", "photo", "url"):
        if isinstance(data.get(key), str):
            return str(data[key])
    named = [v for v in data.values() if isinstance(v, str) and is_picture(v.partition("?")[0])]
    return named[0] if len(named) == 1 else None


def _find(index: Index, address: str, beside: str) -> tuple[Entry, ...]:
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query, max_num_fields=20)
    except ValueError:
        return index.find(address, beside)
    # Label Studio serves local files as /data/local-files/?d=folder/name.jpg
    path = unquote(query["d"][0]) if "d" in query else unquote(parts.path)
    if found := index.find(path, beside):
        return found
    # What was uploaded there was given a prefix: 1a2b3c4d-name.jpg
    prefix, dash, name = path.rpartition("/")[2].partition("-")
    return index.find(name, beside) if dash and 0 < len(prefix) <= _LONGEST_PREFIX else ()


def _stated(
    task: Mapping[str, Any], wanted: Wanted
) -> tuple[Label | None, tuple[int, int] | None, list[str]]:
    if "annotations" not in task:
        return _one(_short_results(task), wanted)
    rows = task["annotations"]
    kept = [
        row["result"]
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
        and not row.get("was_cancelled")
        and isinstance(row.get("result"), list)
    ]
    if not kept:
        return None, None, []
    label, size, problems = _one(kept[0], wanted)
    for other in kept[1:]:
        second, _, more = _one(other, wanted)
        if not problems and (more or _text(second) != _text(label)):
            problems = [f"its {len(kept)} annotations say different things"]
    return label, size, problems


def _text(label: Label | None) -> str | None:
    return None if label is None else encode(label)


def _short_results(task: Mapping[str, Any]) -> list[Any]:
    """The results of the short form, as the full one has them."""
    found: list[Any] = []
    for value in task.values():
        rows = value if isinstance(value, list) else []
        found += [
            {"type": "rectanglelabels", "value": row, **row}
            for row in rows
            if isinstance(row, dict) and "rectanglelabels" in row
        ]
    choice = task.get("choice")
    choices = choice.get("choices") if isinstance(choice, dict) else choice
    if choices:
        names = [choices] if isinstance(choices, str) else choices
        found.append({"type": "choices", "value": {"choices": names}})
    return found


def _one(
    results: Sequence[Any], wanted: Wanted
) -> tuple[Label | None, tuple[int, int] | None, list[str]]:
    boxes: list[Box] = []
    names: list[str] = []
    problems: list[str] = []
    size: tuple[int, int] | None = None
    for number, result in enumerate(results, start=1):
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict):
            continue
        if result.get("type") == "choices":
            names += _strings(value.get("choices"))
        elif result.get("type") == "rectanglelabels":
            size = _size(result) or size
            made = _box(value)
            if isinstance(made, str):
                problems.append(f"result {number} is {made}")
            else:
                boxes.append(made)
    if wanted.label_kind == "boxes":
        return of_boxes(boxes, "boxes") if not problems else None, size, problems  # type: ignore[return-value]
    label = of_names(names or [one.label for one in boxes], wanted.label_kind)
    if isinstance(label, str):
        return None, None, [label]
    return (label if names or boxes else None), None, []


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _size(result: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = result.get("original_width"), result.get("original_height")
    if type(width) is int and type(height) is int and width > 0 and height > 0:
        return width, height
    return None


def _box(value: Mapping[str, Any]) -> Box | str:
    names = _strings(value.get("rectanglelabels"))
    if len(names) != 1:
        return f"a rectangle of {len(names)} labels"
    if value.get("rotation"):
        return f"a turned rectangle ({str(value['rotation'])[:20]} degrees)"
    edges = [value.get(key) for key in ("x", "y", "width", "height")]
    shares = [e / 100 if isinstance(e, int | float) and abs(e) < 1e300 else e for e in edges]
    return box(names[0], shares, corner_and_size=True, share=True)
