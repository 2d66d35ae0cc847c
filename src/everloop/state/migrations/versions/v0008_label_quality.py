"""Labels can be judged: gold questions, and what adjudicators decided."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is known of a gold question, an index by sample, and the table of decisions."""
    op.add_column("label_tasks", sa.Column("known", sa.String()))
    op.create_index("label_tasks_of_sample", "label_tasks", ["sample", "round"])
    op.create_table(
        "resolutions",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("sample", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recorded", sa.Integer(), nullable=False),
    )
    op.create_index("ix_resolutions_sample", "resolutions", ["sample"])
