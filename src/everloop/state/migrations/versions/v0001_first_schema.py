"""The first schema: journal, lease, release, label queue, decisions, requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; a moment is an integer of microseconds since 1970."""
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("approved", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_decisions_bundle", "decisions", ["bundle"])
    op.create_table(
        "journal",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("intended_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("final", sa.Integer()),
        sa.Column("delay", sa.Float()),
        sa.Column("result", sa.JSON()),
        sa.Column("error", sa.Text()),
        sa.Column("finished_at", sa.BigInteger()),
    )
    op.create_index("ix_journal_intended_at", "journal", ["intended_at"])
    op.create_index("ix_journal_kind", "journal", ["kind"])
    op.create_index("journal_unfinished", "journal", ["final"])
    op.create_table(
        "label_tasks",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sample", sa.String(), nullable=False),
        sa.Column("round", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("suggestion", sa.String()),
        sa.Column("suggested_by", sa.String()),
        sa.Column("suggestion_confidence", sa.Float()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("leased_by", sa.String()),
        sa.Column("leased_until", sa.BigInteger()),
        sa.Column("label", sa.String()),
        sa.Column("answered_by", sa.String()),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("skip_reason", sa.Text()),
    )
    op.create_index("ix_label_tasks_round", "label_tasks", ["round"])
    op.create_index("label_tasks_waiting", "label_tasks", ["status", "position"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String()),
        sa.Column("expires", sa.BigInteger()),
    )
    op.create_table(
        "release",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("champion", sa.String()),
        sa.Column("champion_since", sa.BigInteger()),
        sa.Column("previous", sa.String()),
        sa.Column("canary", sa.String()),
        sa.Column("step", sa.Integer()),
        sa.Column("share", sa.Float()),
        sa.Column("canary_since", sa.BigInteger()),
    )
    op.create_table(
        "release_history",
        sa.Column("generation", sa.Integer(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("bundle", sa.String()),
        sa.Column("reason", sa.Text()),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("answered_at", sa.BigInteger()),
    )
    op.create_index("ix_requests_at", "requests", ["at"])
