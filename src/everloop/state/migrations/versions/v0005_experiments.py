"""A/B tests: which variants had which share, when, and how each came to its end."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "experiments",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("champion", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("event_most", sa.Float(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("reason", sa.Text()),
    )
    op.create_index("ix_experiments_since", "experiments", ["since"])
    op.create_table(
        "experiment_variants",
        sa.Column("experiment", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("out_at", sa.BigInteger()),
        sa.Column("out_reason", sa.Text()),
    )
