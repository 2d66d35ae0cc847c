"""How far the answers of a labelling backend were pulled, so that each is taken once."""

from sqlalchemy import insert, select, update

from everloop.state.database import Database
from everloop.state.tables import backend_marks

_M = backend_marks.c
_CURSOR = "cursor"


class BackendMarks:
    """Of each backend a cursor, and the version of each of its answers that was taken."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cursor(self, backend: str) -> str:
        """Where to go on; empty: from the beginning."""
        return self._get(backend, _CURSOR)

    def move(self, backend: str, cursor: str) -> None:
        """Go on from here next time."""
        self._put(backend, _CURSOR, cursor)

    def is_taken(self, backend: str, answer: str, version: str) -> bool:
        """Whether this version of an answer was taken already."""
        return self._get(backend, f"answer {answer}") == version

    def take(self, backend: str, answer: str, version: str) -> None:
        """Note that it is."""
        self._put(backend, f"answer {answer}", version)

    def _get(self, backend: str, name: str) -> str:
        query = select(_M.value).where(_M.backend == backend, _M.name == name)
        with self._database.read() as connection:
            return str(connection.execute(query).scalar() or "")

    def _put(self, backend: str, name: str, value: str) -> None:
        this = (_M.backend == backend) & (_M.name == name)
        with self._database.write() as connection:
            if not connection.execute(
                update(backend_marks).where(this).values(value=value)
            ).rowcount:
                connection.execute(
                    insert(backend_marks).values(backend=backend, name=name, value=value)
                )
