"""The pages: what waiting for people costs, and a task among a hundred thousand.

    python benchmarks/bench_web.py

Prints the processor time of `everloop web` until it listens and until its first page is there,
and how long a labeller waits for their next tasks as the queue grows.
"""

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import update

from everloop.ids import LabelTaskId, PolicyVersion, RenditionId, SampleId
from everloop.layout import Layout
from everloop.state.clearances import Claim, Clearances, Cleared, Judged
from everloop.state.database import Database
from everloop.state.label_queue import LabelQueue, LabelTask
from everloop.state.lease import Leases
from everloop.state.tables import label_tasks

VERSION = PolicyVersion("a" * 64)
RENDITION = RenditionId("d" * 64)
SIZES = (10_000, 100_000)
ASKS = 200
LEASE = timedelta(minutes=10)


class EveryRendition:
    """A store that holds whatever it is asked about."""

    def held(self, claims: Sequence[Claim]) -> Set[Claim]:
        """All of them."""
        return set(claims)


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        _start(Path(folder) / "product")
        _queue(Path(folder) / "queue")


def _start(folder: Path) -> None:
    program = [sys.executable, "-m", "everloop.app"]
    template = ["init", str(folder), "--template", "image-classification"]
    subprocess.run([*program, *template], check=True, stdout=subprocess.DEVNULL)
    print(f"{'everloop web':<28}{'processor s':>12}{'MB':>8}")
    for what, asks in (("until it listens", False), ("and the first page", True)):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [*program, "web", "--project", str(folder), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = Layout(folder).pages_address
        while not address.exists():
            time.sleep(0.01)
        if asks:
            url = json.loads(address.read_text())["url"]
            httpx.get(f"{url}/login", timeout=60, trust_env=False).raise_for_status()
        held = _megabytes(process.pid)
        process.send_signal(signal.SIGTERM)
        process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{what:<28}{spent:>12.2f}{held:>8.0f}")


def _megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _queue(folder: Path) -> None:
    print(f"\n{'tasks':<12}{'take 4, median ms':>20}{'worst ms':>12}{'answer, median ms':>20}")
    for size in SIZES:
        database = Database.open(folder / f"{size}.db")
        queue = _filled(database, size)
        takes, answers = [], []
        for turn in range(ASKS):
            who, began = f"person {turn % 8}", time.perf_counter()
            tasks = queue.take(who, datetime.now(UTC), LEASE, 4)
            took = time.perf_counter()
            queue.answer(tasks[0].id, "1", who, datetime.now(UTC))
            takes.append(1000 * (took - began))
            answers.append(1000 * (time.perf_counter() - took))
        print(
            f"{size:<12,}{statistics.median(takes):>20.1f}{max(takes):>12.1f}"
            f"{statistics.median(answers):>20.1f}"
        )


def _filled(database: Database, size: int) -> LabelQueue:
    """A queue of which nine in ten tasks are answered already."""
    now = datetime.now(UTC)
    fence = Leases(database).acquire("controller", "a benchmark", now, timedelta(hours=1))
    assert fence is not None
    book, queue = Clearances(database, EveryRendition()), LabelQueue(database, VERSION)
    samples = [SampleId(f"{n:064x}") for n in range(size)]
    book.record((Judged(s, VERSION, RENDITION, None) for s in samples), fence, now)
    proofs = book.cleared(samples, VERSION)
    queue.add(_tasks(samples, proofs, now), fence)
    with database.write() as connection:
        done = update(label_tasks).where(label_tasks.c.position <= size * 9 // 10)
        connection.execute(done.values(status="answered", label="1", answered_by="ann"))
    return queue


def _tasks(
    samples: Sequence[SampleId], proofs: Mapping[SampleId, Cleared], now: datetime
) -> Iterable[LabelTask]:
    for sample in samples:
        name = LabelTaskId(sample)
        yield LabelTask(name, proofs[sample], "round", "train", "1", None, 0.5, now)


if __name__ == "__main__":
    main()
