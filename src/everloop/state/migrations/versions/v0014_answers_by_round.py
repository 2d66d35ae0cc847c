"""What was answered last in each round is told by an index alone."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put an index that begins with the round in the place of the one of rounds."""
    op.create_index("label_tasks_of_round", "label_tasks", ["round", "status", "answered_at"])
    op.drop_index("ix_label_tasks_round", "label_tasks")
