"""A candidate's place in a release has a mode: canary, shadow or green."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; without a value a candidate is a canary, as it was before."""
    op.add_column("release", sa.Column("mode", sa.String()))
