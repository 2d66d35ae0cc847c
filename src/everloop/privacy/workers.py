"""Pictures filtered in processes of their own, which may die without hurting the rest."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TypeAlias

from everloop.errors import Unavailable
from everloop.ids import SampleId
from everloop.privacy.render import Renderer, Rendition, held_back

_TRIES = 2
"""How often a picture may kill a worker before it is held back."""
_START_SECONDS = 120.0

MakeRenderer: TypeAlias = Callable[[], Renderer]
"""Called once in each worker; must be picklable. What it raises is raised here too."""
Original: TypeAlias = tuple[SampleId, bytes]


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    task: tuple[Original, int] | None = None
    """What it works on, and for the how-manieth time."""
    deadline: float = 0.0


class FilterWorkers:
    """Use as a context; `render` may be called once."""

    def __init__(self, make: MakeRenderer, *, workers: int, patience: float) -> None:
        self._make = make
        self._patience = patience
        self._spawn = multiprocessing.get_context("spawn")
        self._workers = [self._spawn_one() for _ in range(workers)]
        for worker in self._workers:
            _await_start(worker)
        self._again: list[tuple[Original, int]] = []

    def __enter__(self) -> "FilterWorkers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()

    def render(self, originals: Iterator[Original]) -> Iterator[tuple[SampleId, Rendition]]:
        """Each picture's rendition, in the order in which they are done.

        A picture that kills its worker twice, or takes longer than the patience, is held back.
        Raises what making the renderer raised, and `Unavailable` when workers cannot start.
        """
        while True:
            self._feed(originals)
            busy = {w.pipe: w for w in self._workers if w.task is not None}
            if not busy:
                return
            left = min(worker.deadline for worker in busy.values()) - time.monotonic()
            for pipe in wait(list(busy), timeout=max(0.0, left)):
                assert isinstance(pipe, Connection)  # noqa: S101 - only those were given
                if done := self._receive(busy.pop(pipe)):
                    yield done
            for worker in busy.values():
                if worker.deadline > time.monotonic():
                    continue
                # Its answer may have come while another one was being replaced.
                late = self._receive(worker) if worker.pipe.poll() else self._give_up(worker)
                if late:
                    yield late

    def _feed(self, originals: Iterator[Original]) -> None:
        for worker in self._workers:
            if worker.task is not None:
                continue
            original = next(originals, None) if not self._again else None
            if original is not None:
                worker.task = (original, 1)
            elif self._again:
                worker.task = self._again.pop()
            else:
                return
            worker.deadline = time.monotonic() + self._patience
            try:
                worker.pipe.send(worker.task[0])
            except OSError:
                continue  # It is dead; `wait` finds its pipe closed.

    def _receive(self, worker: _Worker) -> tuple[SampleId, Rendition] | None:
        assert worker.task is not None  # noqa: S101 - only busy ones are waited for
        (original, tries), worker.task = worker.task, None
        try:
            rendition = worker.pipe.recv()
        except (EOFError, OSError):
            code = self._replace(worker)
            if tries < _TRIES:
                self._again.append((original, tries + 1))
                return None
            rendition = held_back(f"the filters died on it (exit code {code})")
        return original[0], rendition

    def _give_up(self, worker: _Worker) -> tuple[SampleId, Rendition]:
        assert worker.task is not None  # noqa: S101 - it has a deadline
        sample = worker.task[0][0]
        self._replace(worker)
        return sample, held_back(f"the filters took longer than {self._patience:g} s")

    def _replace(self, worker: _Worker) -> int | None:
        """End a worker and put a new one in its place; the old one's exit code."""
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        code = worker.process.exitcode
        new = self._spawn_one()
        self._workers[self._workers.index(worker)] = new
        _await_start(new)
        return code

    def _spawn_one(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=_work, args=(theirs, self._make), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)


def _await_start(worker: _Worker) -> None:
    """Wait until the worker has its renderer; raises what making it raised."""
    if not worker.pipe.poll(_START_SECONDS):
        raise Unavailable(f"a filter worker did not start within {_START_SECONDS:g} s")
    try:
        failed = worker.pipe.recv()
    except EOFError as error:
        raise Unavailable("a filter worker died while it was starting") from error
    if failed is not None:
        raise failed


def _work(pipe: Connection, make: MakeRenderer) -> None:
    """A worker's life: a first message (None, or what went wrong), then an answer a picture."""
    try:
        render = make()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where it was asked for
        pipe.send(error)
        return
    pipe.send(None)
    while True:
        try:
            sample, original = pipe.recv()
        except EOFError:
            return
        pipe.send(_safely(render, sample, original))


def _safely(render: Renderer, sample: SampleId, original: bytes) -> Rendition:
    try:
        return render(sample, original)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; on doubt nothing is shown
        return held_back(f"a filter failed: {type(error).__name__}: {error}")
