"""What the state database holds of samples, taken out of it."""

from collections.abc import Collection

from sqlalchemy import delete

from everloop.state.database import Database
from everloop.state.tables import metadata

_AT_ONCE = 500


class Erasing:
    """Knows every table with a column `sample`: rows of such a table are about that sample."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def erase(self, samples: Collection[str]) -> dict[str, int]:
        """Delete all rows about samples, such as label tasks and their offers; how many by table.

        Safe to repeat. The rows are overwritten in the file, not only unlinked.
        """
        removed: dict[str, int] = {}
        names = sorted(samples)
        with self._database.write() as connection:
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
            for table in metadata.sorted_tables:
                if "sample" not in table.c:
                    continue
                for start in range(0, len(names), _AT_ONCE):
                    part = names[start : start + _AT_ONCE]
                    done = connection.execute(delete(table).where(table.c.sample.in_(part)))
                    if done.rowcount:
                        removed[table.name] = removed.get(table.name, 0) + done.rowcount
        self._database.checkpoint()
        return removed
