"""The audit log, of which nothing is changed or removed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TRIGGERS = tuple(
    f"CREATE TRIGGER audit_stays_at_{change.lower()} BEFORE {change} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
    for change in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    """Create the table; its seals form a chain, its triggers keep it from slips."""
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("seal", sa.String(), nullable=False),
    )
    op.create_index("ix_audit_what", "audit", ["what"])
    for trigger in _TRIGGERS:
        op.execute(trigger)
