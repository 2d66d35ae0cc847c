"""How runs look in a terminal."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.registry.runs import RunRecord

_BARS = "▁▂▃▄▅▆▇█"


def brief_time(duration: timedelta) -> str:
    """A duration in two units at most.

    >>> brief_time(timedelta(seconds=3725))
    '1 h 02 min'
    """
    seconds = max(0.0, duration.total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def cell(value: Json) -> str:
    """A fact as a table shows it."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def curves_of(record: "RunRecord") -> dict[str, list[tuple[int, float]]]:
    """Each metric over its steps."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for step, name, value, _ in record.history:
        curves.setdefault(name, []).append((step, value))
    return curves


def curve_row(name: str, curve: Sequence[tuple[int, float]]) -> tuple[str, ...]:
    """A metric in one row: its curve in small, its first value, its range, its last."""
    values = [value for _, value in curve]
    ends = f"{min(values):.4g} to {max(values):.4g}"
    return name, sparkline(values), f"{values[0]:.4g}", ends, f"{values[-1]:.4g}"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve in one line of text, at most `width` signs wide.

    >>> sparkline([4.0, 2.0, 1.0, 1.0])
    '█▃▁▁'
    """
    step = max(1.0, len(values) / width)
    picked = [values[int(n * step)] for n in range(min(width, len(values)))]
    known = [value for value in picked if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((v - low) * scale)] if math.isfinite(v) else "?" for v in picked)


def comparable(record: "RunRecord") -> dict[str, Json]:
    """Every fact of a run, by a name that is the same in every run."""
    return {
        "status": record.status,
        **{f"metric {name}": value for name, value in record.metrics.items()},
        **{f"param {name}": value for name, value in record.params.items()},
        "seed": record.seed,
        "snapshot": record.snapshot[:8],
        "code": record.code[:8],
        **{f"git {name}": fact[:12] for name, fact in record.git.items()},
        "bundle": (record.bundle or "-")[:8],
        "lives": record.lives,
        **{f"package {name}": version for name, version in record.environment.items()},
        **{f"hardware {name}": fact for name, fact in record.hardware.items()},
    }
