"""Runs chosen and put in order by what is known of them."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from everloop.errors import Refused
from everloop.ids import Json
from everloop.loop.run_records import short_name
from everloop.registry.runs import RunRecord

_CONDITION = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*")
_IDS = frozenset({"run", "snapshot", "bundle", "code", "commit"})
"""May be given by how they begin, also when that is all digits."""
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact of a run against a value, such as `loss < 0.2` or `status = failed`."""

    name: str
    sign: str
    value: str

    def holds(self, record: RunRecord) -> bool:
        """Whether a run is such; one that does not have the fact is not, except for `!=`."""
        found = fact(record, self.name)
        if found is None:
            return self.sign == "!="
        if self.name in _IDS:
            same = bool(self.value) and str(found).startswith(self.value)
        else:
            number, wanted = _number(found), _number(self.value)
            if number is not None and wanted is not None:
                return _COMPARE[self.sign](number, wanted)
            same = str(found) == self.value
        if self.sign == "!=":
            return not same
        return same and self.sign in {"=", "=="}


def read_condition(text: str) -> Condition:
    """A condition as people write it; `Refused` when it is none.

    >>> read_condition("loss<0.2")
    Condition(name='loss', sign='<', value='0.2')
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise Refused(f"{text!r} is no condition; such as 'loss < 0.2' or 'status = failed'")
    condition = Condition(match[1], match[2], match[3])
    if condition.sign not in {"=", "==", "!="} and _number(condition.value) is None:
        raise Refused(f"{text!r} compares with {condition.value!r}, which is no number")
    return condition


def fact(record: RunRecord, name: str) -> Json:
    """What a name stands for: a fact of the run, a metric, a parameter (`params.NAME`, where a
    metric has the same name); None where the run has none.
    """
    own: dict[str, Json] = {
        "run": short_name(record.key),
        "status": record.status,
        "snapshot": record.snapshot,
        "bundle": record.bundle,
        "code": record.code,
        "commit": record.git.get("commit"),
        "seed": record.seed,
        "lives": record.lives,
        "began": record.started_at.timestamp(),
        "seconds": record.duration.total_seconds(),
    }
    if name in own:
        return own[name]
    if name.startswith("params."):
        return record.params.get(name.removeprefix("params."))
    if name.startswith("metrics."):
        return record.metrics.get(name.removeprefix("metrics."))
    return record.metrics[name] if name in record.metrics else record.params.get(name)


def chosen(
    records: Sequence[RunRecord], conditions: Sequence[Condition], sort: str | None
) -> list[RunRecord]:
    """Those that fulfil all conditions; by `sort`, the least first (`-NAME`: the largest first).

    Runs without that fact come last. Raises `Refused` for a name that no run has.
    """
    names = [condition.name for condition in conditions]
    names += [sort.removeprefix("-")] if sort else []
    for name in names:
        if records and all(fact(record, name) is None for record in records):
            raise Refused(f"no run has {name!r}; there are: {', '.join(fact_names(records))}")
    kept = [record for record in records if all(c.holds(record) for c in conditions)]
    if sort is None:
        return kept
    name, sign = sort.removeprefix("-"), -1.0 if sort.startswith("-") else 1.0

    def place(record: RunRecord) -> tuple[bool, float, str]:
        found = fact(record, name)
        number = _number(found)
        missing = found is None or (number is not None and math.isnan(number))
        return missing, sign * number if number is not None and not missing else 0.0, str(found)

    return sorted(kept, key=place)


def fact_names(records: Sequence[RunRecord]) -> list[str]:
    """The names of metrics and parameters that any run has, and of what each has."""
    metrics = {name for record in records for name in record.metrics}
    params = {f"params.{name}" for record in records for name in record.params}
    own = ("status", "snapshot", "bundle", "code", "commit", "seed", "lives", "seconds")
    return [*own, *sorted(metrics), *sorted(params)]


def differing(records: Sequence[RunRecord]) -> list[str]:
    """The parameters that are not the same in all runs."""
    names = sorted({name for record in records for name in record.params})
    return [n for n in names if len({repr(r.params.get(n)) for r in records}) > 1]


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(str(value))
    except ValueError:
        return None
