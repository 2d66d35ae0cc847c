"""How often an alarm came back shortly after it was over."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and the index by which the latest alarm of a key is found."""
    op.add_column("alarms", sa.Column("returns", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_alarms_key", "alarms", ["key"])
