"""Label tasks say whether a model's answer was taken for the label without a person."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing was taken so before."""
    op.add_column(
        "label_tasks", sa.Column("accepted", sa.Boolean(), nullable=False, server_default="0")
    )
