"""Checks of a table's columns: sensors, gaps in time, leaks, rare values, identifiers."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.data.checks.finding import Finding, Item, present
from everloop.data.checks.series import Run, lone_zeros, missing_times, moments, stuck_runs
from everloop.data.checks.target_leaks import exact_leak, near_leaks
from everloop.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FEW = 20
"""A column with fewer different values is one of categories, not a measurement."""
RARE_SHARE, RARE_ROWS = 0.001, 10
"""A category is rare below this share of the rows, or this many rows."""
_UNIQUE = 0.99


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what."""

    target: str | None = None
    times: tuple[str, ...] = ()
    """A column of moments or dates, or one of dates and one of hours."""


def check_columns(table: "pa.Table", columns: Columns) -> Sequence[Finding]:
    """All findings about a table, the gravest first. `Refused` when a named column is not there."""
    missing = [c for c in (columns.target, *columns.times) if c and c not in table.column_names]
    if missing:
        told = ", ".join(table.column_names)
        raise Refused(f"there is no column {', '.join(missing)}; there are: {told}")
    numbers = _numbers(table)
    when = moments(table, columns.times) if columns.times else None
    order = None if when is None else when.argsort(kind="stable")
    measured = {
        name: values if order is None else values[order]
        for name, values in numbers.items()
        if _distinct(values) >= FEW
    }
    where = when if when is None or order is None else when[order]
    identifiers = _identifiers(table, numbers, {*columns.times, columns.target})
    found = [
        *_leaks(table, numbers, columns, identifiers),
        *_sensors(measured, identifiers, where),
        *_gaps(when),
        *_rows(table, identifiers),
        *_categories(table, columns),
    ]
    weights = ("stop", "mend", "look", "know")
    return tuple(sorted(found, key=lambda finding: weights.index(finding.weight)))


def _numbers(table: "pa.Table") -> Mapping[str, "NDArray[np.float64]"]:
    import numpy as np
    import pyarrow as pa

    def is_number(kind: "pa.DataType") -> bool:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

    return {
        field.name: table.column(field.name).to_numpy(zero_copy_only=False).astype(np.float64)
        for field in table.schema
        if is_number(field.type)
    }


def _distinct(values: "NDArray[np.float64]") -> int:
    import numpy as np

    return len(np.unique(values[np.isfinite(values)]))


def _identifiers(
    table: "pa.Table", numbers: Mapping[str, "NDArray[np.float64]"], named: Set[str | None]
) -> Mapping[str, str]:
    """Columns that name or count the rows, and why they are taken for that."""
    import numpy as np

    found = {}
    for name in table.column_names:
        if name in named:
            continue
        column = table.column(name)
        if name in numbers:
            steps = np.diff(numbers[name])
            if len(steps) and (steps == steps[0]).all() and steps[0] != 0:
                found[name] = (
                    f"it grows by {steps[0]:g} with every row: it says only how late it is"
                )
        elif len(column) and len(column.unique()) > _UNIQUE * len(column):
            found[name] = f"more than {_UNIQUE:.0%} of its values are unique"
    return found


def _leaks(
    table: "pa.Table",
    numbers: Mapping[str, "NDArray[np.float64]"],
    columns: Columns,
    identifiers: Mapping[str, str],
) -> Sequence[Finding]:
    if columns.target is None:
        return ()
    features = {name: values for name, values in numbers.items() if name != columns.target}
    exact: list[Item] = []
    if columns.target in numbers and (leak := exact_leak(features, numbers[columns.target])):
        exact.append(Item(f"{columns.target} = {leak}"))
    categories = {
        name: table.column(name)
        for name in table.column_names
        if name not in numbers and name != columns.target and name not in identifiers
    }
    near = [
        Item(f"{name} alone explains {share:.1%} of {columns.target}")
        for name, share in near_leaks(features, categories, table.column(columns.target))
    ]
    return present(
        Finding(
            "target-follows", "stop", "the target follows exactly from features",
            "a weighted sum of them gives it to the last digit: they are known only with it",
            tuple(exact),
        ),
        Finding(
            "target-nearly-follows", "look", "single features that nearly give the target away",
            "a table of their values explains 90% or more; is it known before the target is?",
            tuple(near),
        ),
    )  # fmt: skip


def _sensors(
    measured: Mapping[str, "NDArray[np.float64]"],
    identifiers: Mapping[str, str],
    where: "NDArray[np.datetime64] | None",
) -> Sequence[Finding]:
    stuck: list[Item] = []
    zeros: list[Item] = []
    for name, values in measured.items():
        if name in identifiers:
            continue
        stuck += [Item(f"{name} {_told(run, where)}") for run in stuck_runs(values)]
        if (zero := lone_zeros(values)) is not None:
            zeros.append(
                Item(f"{name} is 0 in {zero.rows:,} rows, otherwise never below {zero.next:g}")
            )
    return present(
        Finding(
            "stuck", "mend", "sensors that stood still",
            "such a run of one value has, by how often this column repeats a value otherwise, "
            "a chance of less than one in a thousand in the whole table", tuple(stuck),
        ),
        Finding(
            "lone-zeros", "look", "zeros that cannot be measurements",
            "nothing lies between 0 and the next value, over at least two and a half "
            "of the column's usual steps: a missing value written as 0, or a sensor's threshold",
            tuple(zeros),
        ),
    )  # fmt: skip


def _told(run: Run, where: "NDArray[np.datetime64] | None") -> str:
    said = f"is {run.value:g} in {run.rows} rows on end"
    if where is None:
        return f"{said}, from row {run.start}"
    first, last = where[run.start], where[run.start + run.rows - 1]
    return f"{said}, {str(first)[:16]} to {str(last)[:16]}"


def _gaps(when: "NDArray[np.datetime64] | None") -> Sequence[Finding]:
    if when is None:
        return ()
    gaps = missing_times(when)
    items = [
        Item(f"{gap.missing} missing between {str(gap.after)[:16]} and {str(gap.before)[:16]}")
        for gap in gaps
    ]
    total = sum(gap.missing for gap in gaps)
    why = f"{total:,} moments in all have no row, by the usual step between rows"
    return present(Finding("missing-times", "mend", "gaps in time", why, tuple(items)))


def _rows(table: "pa.Table", identifiers: Mapping[str, str]) -> Sequence[Finding]:
    kept = [name for name in table.column_names if name not in identifiers]
    whole = table.select(kept)
    twice = whole.num_rows - whole.group_by(kept).aggregate([]).num_rows if kept else 0
    items = [Item(f"{twice:,} rows repeat another one")] if twice else []
    named = [Item(f"{name}: {why}") for name, why in identifiers.items()]
    empty = [
        Item(f"{name}: {table.column(name).null_count:,} rows")
        for name in table.column_names
        if table.column(name).null_count
    ]
    why = "in every column but identifiers"
    return present(
        Finding("duplicate-rows", "look", "rows that are there twice", why, tuple(items)),
        Finding(
            "identifier", "look", "columns that name the row",
            "a model that learns from them learns nothing for new rows", tuple(named),
        ),
        Finding("empty", "look", "empty values", "", tuple(empty)),
    )  # fmt: skip


def _categories(table: "pa.Table", columns: Columns) -> Sequence[Finding]:
    constant: list[Item] = []
    rare: list[Item] = []
    least = max(RARE_ROWS, RARE_SHARE * table.num_rows)
    for name in table.column_names:
        counts = {
            row["values"]: row["counts"] for row in table.column(name).value_counts().to_pylist()
        }
        if len(counts) == 1 and table.num_rows > 1:
            constant.append(Item(f"{name} is always {next(iter(counts))}"))
        elif len(counts) < FEW and name not in columns.times:
            rare += [
                Item(f"{name} = {value} in {rows} of {table.num_rows:,} rows")
                for value, rows in counts.items()
                if rows < least and table.num_rows >= FEW * RARE_ROWS
            ]
    return present(
        Finding("rare-value", "look", "rare categories",
                f"fewer than {least:g} rows: too few to learn from or to measure on", tuple(rare)),
        Finding("constant", "know", "columns of one value", "nothing to learn from",
                tuple(constant)),
    )  # fmt: skip
