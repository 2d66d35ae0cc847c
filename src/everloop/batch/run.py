"""A whole batch: parts given to processes, a process that dies survived, the parts joined."""

import fcntl
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from everloop.batch.plan import Plan, folder_of, make_plan
from everloop.batch.rows import Row, join_parts, write_part
from everloop.batch.sources import Source
from everloop.batch.work import Picture, Runner, answer, do_part, load
from everloop.errors import Conflict, Refused, Unavailable
from everloop_runtime.admission import Admission, admit
from everloop_runtime.bundle import Bundle

_AHEAD = 1
"""Parts beyond one a process that wait for their turn: a store's pictures are in memory then."""
_ENDED = "the process that read it was ended: by the picture, or by the system for memory"
_SUFFIXES = (".parquet", ".lance")


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch did."""

    pictures: int
    failed: int
    """Rows that have a reason instead of an answer, those of this run."""
    resumed: int
    """Pictures that an earlier run had answered."""


def run_batch(
    runner: Runner,
    source: Source,
    out: Path,
    *,
    workers: int,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> BatchResult:
    """Answer every picture of `source` and write `out`, a `.parquet` file or `.lance` folder.

    Killed at any moment and started again with the same arguments, it goes on with the parts that
    are missing. `progress` is told how many pictures of how many are done. Raises `Refused` when
    the bundle is, or when `out` is there already.
    """
    if out.suffix not in _SUFFIXES:
        raise Refused(f"{out} ends in {out.suffix!r}; .parquet and .lance are written")
    if out.exists():
        raise Refused(f"{out} is there already; name another --out or remove it")
    bundle = admit(runner.path, runner.bundle, Admission(limits=runner.limits))
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        return _run(runner, bundle, source, out, workers, progress)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """`Conflict` while another process works for the same output."""
    lock = out.with_name(f".{out.name}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"another process writes {out} now") from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _run(
    runner: Runner,
    bundle: Bundle,
    source: Source,
    out: Path,
    workers: int,
    progress: Callable[[int, int], None],
) -> BatchResult:
    plan = make_plan(out, source, runner.bundle)
    done = resumed = plan.done_pictures()
    failed = 0
    progress(done, plan.count)
    with _Workers(runner, workers) as pool:
        for part in _done(pool, plan, source):
            failed += part.failed
            done += part.pictures
            progress(done, plan.count)
    about = {
        "everloop.bundle": bundle.id,
        "everloop.product": bundle.manifest.product,
        "everloop.classes": "\n".join(bundle.manifest.classes),
    }
    join_parts([plan.part(number) for number in range(plan.parts)], out, about)
    shutil.rmtree(folder_of(out))
    return BatchResult(plan.count, failed, resumed)


@dataclass(frozen=True, slots=True)
class _Done:
    pictures: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Part:
    place: Path
    pictures: list[Picture]


def _done(pool: "_Workers", plan: Plan, source: Source) -> Iterator[_Done]:
    """Each part as it is done. A bounded number is under way; what a dead process had is redone."""
    waiting = _parts(plan, source)
    under_way: dict[Future[int], _Part] = {}
    suspects: deque[_Part] = deque()
    while True:
        while len(under_way) < pool.size + _AHEAD and (part := next(waiting, None)) is not None:
            under_way[pool.submit(part)] = part
        if not under_way:
            return
        ended, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in ended:
            part = under_way.pop(future)
            try:
                yield _Done(len(part.pictures), future.result())
            except BrokenProcessPool:
                suspects.append(part)
        if suspects:
            # Whichever it was: all that were under way are done again, one after the other.
            suspects += under_way.values()
            under_way.clear()
            pool.renew()
            while suspects:
                yield _carefully(pool, suspects.popleft())


def _parts(plan: Plan, source: Source) -> Iterator[_Part]:
    for number, names in plan.waiting():
        contents = source.load(names)
        pictures = [Picture(n, c) for n, c in zip(names, contents, strict=True)]
        yield _Part(plan.part(number), pictures)


def _carefully(pool: "_Workers", part: _Part) -> _Done:
    """The part done alone; if its process dies too, halved until the picture is found."""
    rows = _rows(pool, part.pictures)
    write_part(part.place, rows)
    return _Done(len(rows), sum(row.error is not None for row in rows))


def _rows(pool: "_Workers", pictures: list[Picture]) -> list[Row]:
    try:
        return pool.answer(pictures)
    except BrokenProcessPool:
        pool.renew()
    if len(pictures) == 1:
        return [Row(pictures[0].name, None, error=_ENDED)]
    middle = len(pictures) // 2
    return _rows(pool, pictures[:middle]) + _rows(pool, pictures[middle:])


class _Workers:
    """Processes with the bundle loaded, replaced when one of them dies."""

    def __init__(self, runner: Runner, size: int) -> None:
        self.size = size
        self._runner = runner
        self._pool = self._fresh()
        # A bundle that cannot be loaded would break every pool: told at once, as what it is.
        try:
            self._pool.submit(_is_loaded).result()
        except BrokenProcessPool as error:
            self._pool.shutdown()
            raise Unavailable("the batch's processes cannot load the bundle") from error

    def _fresh(self) -> ProcessPoolExecutor:
        # Spawned: a fork would copy this process's threads' locks in whatever state they are.
        return ProcessPoolExecutor(
            self.size, get_context("spawn"), initializer=load, initargs=(self._runner,)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def submit(self, part: _Part) -> Future[int]:
        return self._pool.submit(do_part, part.pictures, part.place)

    def answer(self, pictures: list[Picture]) -> list[Row]:
        return self._pool.submit(answer, pictures).result()

    def renew(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._pool = self._fresh()


def _is_loaded() -> bool:
    return True


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
