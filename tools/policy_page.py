"""Write docs/policy.md from the policy: every setting, its default, its meaning."""

import ast
import inspect
import sys
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from everloop import policy

PAGE = Path(__file__).parents[1] / "docs" / "policy.md"
_HEAD = """# The policy: `everloop.toml`

<!-- Made by tools/policy_page.py from src/everloop/policy.py; change it there. -->

A product's `everloop.toml` says what the loop may do by itself. Only `level` must be there; every
other setting has a default. A mistake (an unknown name, a value of the wrong kind or out of its
range) stops every command before it does anything, with one message that lists all mistakes with
their lines. Durations are written `"500ms"`, `"30s"`, `"10m"`, `"2h"` or `"7d"`.

The file is read when a command starts: after a change, start `everloop up` again. Its service
goes on answering in between if it was killed rather than stopped.
"""


def page() -> str:
    """The whole page."""
    classes = {
        node.name: node
        for node in ast.parse(inspect.getsource(policy)).body
        if isinstance(node, ast.ClassDef)
    }
    meanings = _meanings(classes["Policy"])
    parts = [_HEAD, f"\n## `level`\n\n{meanings['level']} It has no default.\n"]
    for name, field in policy.Policy.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            parts += _tables(name, kind, classes)
        elif (each := _each(kind)) is not None:
            parts.append(_table(f"[{name}]", each, _meanings(classes[each.__name__])))
        elif name != "level":
            default = _toml(field.default)
            parts.append(f"\n## `{name}`\n\n{meanings[name]} `{default}` by default.\n")
    return "".join(parts)


def _tables(name: str, kind: type[BaseModel], classes: dict[str, ast.ClassDef]) -> list[str]:
    """A table's page, then those of the tables within it."""
    meanings = _meanings(classes[kind.__name__])
    inner = {
        field: value.annotation
        for field, value in kind.model_fields.items()
        if inspect.isclass(value.annotation) and issubclass(value.annotation, BaseModel)
    }
    plain = {field: text for field, text in meanings.items() if field not in inner}
    parts = [_table(name, kind, plain)]
    for field, model in inner.items():
        parts += _tables(f"{name}.{field}", model, classes)
    return parts


def _each(kind: object) -> type[BaseModel] | None:
    """The table of an array of tables, `tuple[Model, ...]`."""
    inner = next(iter(get_args(kind)), None)
    return inner if inspect.isclass(inner) and issubclass(inner, BaseModel) else None


def _table(name: str, kind: type[BaseModel], meanings: dict[str, str]) -> str:
    told = (kind.__doc__ or "").partition(": ")[2]
    lines = [f"\n## `[{name}]`\n\n{told[0].upper()}{told[1:]}\n"]
    lines.append("\n| setting | default | meaning |\n| --- | --- | --- |\n")
    fields = kind.model_fields
    there = {each: "wanted" for each, field in fields.items() if field.is_required()}
    # What has no default is given any, so that the others can be told as they are written.
    defaults = kind.model_construct().model_dump(mode="json", warnings=False)
    for setting, meaning in meanings.items():
        default = there.get(setting) or f"`{_toml(defaults[setting])}`"
        lines.append(f"| `{setting}` | {default} | {meaning} |\n")
    return "".join(lines)


def _meanings(node: ast.ClassDef) -> dict[str, str]:
    """Each field's own docstring: the text under it."""
    found = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def _toml(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{name} = {_toml(item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return str(value)


if __name__ == "__main__":
    sys.exit(0 if PAGE.write_text(page(), encoding="utf-8") else 1)
