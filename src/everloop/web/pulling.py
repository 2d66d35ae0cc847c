"""Answers of the team's labelling tool, pulled soon after it says that there are some."""

import logging
import threading
from collections.abc import Callable

from everloop.errors import EverloopError, Unavailable

_PAUSE, _AGAIN, _LEAVE = 1.0, 30.0, 5.0
_LOG = logging.getLogger(__name__)


class Pulling:
    """One thread that pulls when it is told to; however often it is told meanwhile, once more.

    What it is not told of is lost to nobody: each pull takes all that came since the last one.
    """

    def __init__(
        self, pull: Callable[[], None], *, pause: float = _PAUSE, again: float = _AGAIN
    ) -> None:
        """`pull` is called in the thread, at most once in `pause` seconds; where the tool did not
        answer, it is called again after `again` seconds, or when it calls."""
        self._pull, self._pause, self._again = pull, pause, again
        self._asked, self._ended = threading.Event(), threading.Event()
        self._one_by_one = threading.Lock()
        self._thread: threading.Thread | None = None

    def soon(self) -> None:
        """Pull in a moment; returns at once."""
        self._asked.set()
        with self._one_by_one:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._run, name="pulling", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End once what is begun is done, or has taken too long: it may be killed anywhere."""
        with self._one_by_one:
            self._ended.set()
            self._asked.set()
        if self._thread is not None:
            self._thread.join(_LEAVE)

    def _run(self) -> None:
        while True:
            self._asked.wait()
            if self._ended.is_set():
                return
            # Cleared before it pulls: what is told from here on wants another pull.
            self._asked.clear()
            again = not self._try()
            self._ended.wait(self._pause)
            if again:
                # Whoever calls meanwhile is there again.
                self._asked.wait(self._again)
                self._asked.set()

    def _try(self) -> bool:
        """Pull; whether there is nothing that another try would mend."""
        try:
            self._pull()
        except Unavailable as error:
            _LOG.warning("the labelling tool did not answer, it is tried again: %s", error)
            return False
        except EverloopError as error:
            _LOG.warning("answers of the labelling tool were not pulled: %s", error)
        except Exception:  # noqa: BLE001 - the thread serves later calls too; the log has it all
            _LOG.exception("a pull of the labelling tool's answers broke")
        return True
