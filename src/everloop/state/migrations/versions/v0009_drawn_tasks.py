"""Label tasks say whether they were drawn at random; audits and the hold-out's always were."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "label_tasks", sa.Column("drawn", sa.Boolean(), nullable=False, server_default="0")
    )
    op.execute("UPDATE label_tasks SET drawn = 1 WHERE purpose IN ('audit', 'holdout')")
