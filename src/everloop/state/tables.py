"""The tables of the state database. A change here needs a migration beside it."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, kept as microseconds since 1970, so that it sorts and compares exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        if value is None:
            return None
        return round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


metadata = MetaData()

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("token", Integer, nullable=False),
    Column("holder", String),
    Column("expires", Moment),
)

journal = Table(
    "journal",
    metadata,
    Column("key", String, primary_key=True),
    Column("kind", String, nullable=False, index=True),
    Column("arm", String, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("reason", Text, nullable=False),
    Column("intended_at", Moment, nullable=False, index=True),
    Column("not_before", Moment),
    Column("failures", Integer, nullable=False),
    Column("final", Integer),
    Column("delay", Float),
    Column("result", JSON),
    Column("error", Text),
    Column("finished_at", Moment),
    Index("journal_unfinished", "final"),
)

release = Table(
    "release",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("champion", String),
    Column("champion_since", Moment),
    Column("previous", String),
    Column("canary", String),
    Column("step", Integer),
    Column("share", Float),
    Column("canary_since", Moment),
    Column("mode", String),
)

experiments = Table(
    "experiments",
    metadata,
    Column("name", String, primary_key=True),
    Column("champion", String, nullable=False),
    Column("event", String, nullable=False),
    Column("event_most", Float, nullable=False),
    Column("since", Moment, nullable=False, index=True),
    Column("ended_at", Moment),
    Column("reason", Text),
)

experiment_variants = Table(
    "experiment_variants",
    metadata,
    Column("experiment", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("bundle", String, nullable=False),
    Column("share", Float, nullable=False),
    Column("out_at", Moment),
    Column("out_reason", Text),
)

release_history = Table(
    "release_history",
    metadata,
    Column("generation", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("what", String, nullable=False),
    Column("bundle", String),
    Column("reason", Text),
)

label_tasks = Table(
    "label_tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("sample", String, nullable=False),
    Column("round", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("suggestion", String),
    Column("suggested_by", String),
    Column("suggestion_confidence", Float),
    Column("created_at", Moment, nullable=False),
    Column("status", String, nullable=False),
    Column("leased_by", String),
    Column("leased_until", Moment),
    Column("label", String),
    Column("answered_by", String),
    Column("answered_at", Moment),
    Column("skip_reason", Text),
    Column("rendition", String, nullable=False),
    Column("policy_version", String, nullable=False),
    Column("known", String),
    Column("drawn", Boolean, nullable=False, server_default="0"),
    Column("accepted", Boolean, nullable=False, server_default="0"),
    Index("label_tasks_waiting", "status", "position"),
    Index("label_tasks_of_sample", "sample", "round"),
    Index("label_tasks_of_round", "round", "status", "answered_at"),
)
# Triggers, which only the migration states, let no task in or open without a clearance.

clearances = Table(
    "clearances",
    metadata,
    Column("sample", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("rendition", String),
    Column("verdict", String, nullable=False),
    Column("reason", Text),
    Column("at", Moment, nullable=False),
    Column("released_by", String),
    Column("released_because", Text),
    Column("released_at", Moment),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bundle", String, nullable=False, index=True),
    Column("approved", Integer, nullable=False),
    Column("by", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("at", Moment, nullable=False),
)

resolutions = Table(
    "resolutions",
    metadata,
    Column("id", String, primary_key=True),
    Column("sample", String, nullable=False, index=True),
    Column("why", String, nullable=False),
    Column("label", Text, nullable=False),
    Column("by", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("recorded", Integer, nullable=False),
)

backend_marks = Table(
    "backend_marks",
    metadata,
    Column("backend", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

checklist_answers = Table(
    "checklist_answers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("bundle", String, nullable=False, index=True),
    Column("question", Text, nullable=False),
    Column("answer", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("by", String, nullable=False),
    Column("at", Moment, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("by", String, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Column("answer", Text),
    Column("answered_at", Moment),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("by", String, nullable=False),
    Column("what", String, nullable=False, index=True),
    Column("told", JSON, nullable=False),
    Column("seal", String, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("hash", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("made_by", String, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("once", Integer, nullable=False),
    Column("used_at", Moment),
    Column("revoked_at", Moment),
)

passwords = Table(
    "passwords",
    metadata,
    Column("token", String, primary_key=True),
    Column("hash", String, nullable=False),
    Column("set_at", Moment, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", String, primary_key=True),
    Column("token", String, nullable=False, index=True),
    Column("began_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, index=True),
    Column("told", JSON, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment, index=True),
    Column("acked_at", Moment),
    Column("acked_by", String),
    Column("marks", JSON, nullable=False),
    Column("returns", Integer, nullable=False, server_default="0"),
)
# An index that only the migration states lets no alarm stand twice.

silences = Table(
    "silences",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pattern", String, nullable=False),
    Column("until", Moment, nullable=False),
    Column("by", String, nullable=False),
    Column("because", Text, nullable=False),
    Column("at", Moment, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String, primary_key=True),
    Column("message", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("target", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("attachment", Text),
    Column("made_at", Moment, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("error", Text),
    Column("delivered_at", Moment, index=True),
)
