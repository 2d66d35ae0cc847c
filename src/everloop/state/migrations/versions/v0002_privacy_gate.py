"""The privacy gate: a label task names its rendition and policy version, and both are checked.

Tasks of before were never cleared: the open ones wait (`uncleared`) until the filters ran.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CLEARED = """EXISTS (
    SELECT 1 FROM clearances AS c
    WHERE c.sample = NEW.sample AND c.version = NEW.policy_version
      AND c.rendition = NEW.rendition AND c.verdict IN ('cleared', 'released')
)"""
_TRIGGERS = (
    f"""CREATE TRIGGER label_task_made_of_cleared BEFORE INSERT ON label_tasks
    WHEN NOT {_CLEARED}
    BEGIN SELECT RAISE(ABORT, 'the privacy gate has not cleared this sample'); END""",
    f"""CREATE TRIGGER label_task_open_only_when_cleared
    BEFORE UPDATE OF sample, rendition, policy_version, status ON label_tasks
    WHEN NEW.status = 'open' AND NOT {_CLEARED}
    BEGIN SELECT RAISE(ABORT, 'the privacy gate has not cleared this sample'); END""",
    """CREATE TRIGGER clearance_stays BEFORE UPDATE ON clearances
    WHEN NOT (OLD.verdict = 'held' AND NEW.verdict = 'released' AND NEW.sample = OLD.sample
              AND NEW.version = OLD.version AND NEW.rendition = OLD.rendition)
    BEGIN SELECT RAISE(ABORT, 'a clearance is never changed, only released'); END""",
)


def upgrade() -> None:
    """Add the book of clearances, the tasks' new columns, and the triggers over both."""
    op.create_table(
        "clearances",
        sa.Column("sample", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("rendition", sa.String()),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("released_by", sa.String()),
        sa.Column("released_because", sa.Text()),
        sa.Column("released_at", sa.BigInteger()),
        sa.CheckConstraint("verdict IN ('cleared', 'held', 'released')"),
        sa.CheckConstraint("verdict = 'held' OR length(rendition) = 64"),
        sa.CheckConstraint("verdict <> 'released' OR length(released_because) > 0"),
    )
    for name in ("rendition", "policy_version"):
        column = sa.Column(name, sa.String(), nullable=False, server_default="")
        op.add_column("label_tasks", column)
    op.execute("UPDATE label_tasks SET status = 'uncleared' WHERE status = 'open'")
    # The defaults were for the rows of before: a new row must say both.
    with op.batch_alter_table("label_tasks") as table:
        for name in ("rendition", "policy_version"):
            table.alter_column(name, server_default=None, existing_nullable=False,
                               existing_type=sa.String())  # fmt: skip
    for trigger in _TRIGGERS:
        op.execute(trigger)
