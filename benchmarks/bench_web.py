"""The pages: what waiting for people costs, and a task among a hundred thousand.

    python benchmarks/bench_web.py [start|queue|answers|samples ...]

Prints the processor time of `everloop web` until it listens and until its first page is there,
how long a labeller waits for their next tasks as the queue grows, and what looking through a
million captured answers takes: a page of the newest, one of rare ones, one far back, what was seen
alike, and the newest thousand for the map; and the same of a million labelled samples.
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
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import update

from everloop.data.browsing import Region, Wanted, browse, seen_alike
from everloop.data.catalogue.chosen import Chosen
from everloop.data.schemas import Tables
from everloop.data.store import DataStore
from everloop.ids import BundleId, LabelTaskId, PolicyVersion, PredictionId, RenditionId, SampleId
from everloop.layout import Layout
from everloop.state.clearances import Claim, Clearances, Cleared, Judged
from everloop.state.database import Database
from everloop.state.label_queue import LabelQueue, LabelTask
from everloop.state.lease import Leases
from everloop.state.tables import label_tasks
from everloop_runtime.segments import Captured

VERSION = PolicyVersion("a" * 64)
RENDITION = RenditionId("d" * 64)
SIZES = (10_000, 100_000)
ASKS = 200
LEASE = timedelta(minutes=10)
ANSWERS, _SEGMENT = 1_000_000, 50_000
BUNDLE = BundleId("b" * 64)


class EveryRendition:
    """A store that holds whatever it is asked about."""

    def held(self, claims: Sequence[Claim]) -> Set[Claim]:
        """All of them."""
        return set(claims)


def main() -> None:
    """Print the tables that are asked for; all of them where none is."""
    known = {"start": _start, "queue": _queue, "answers": _answers, "samples": _samples}
    for name in sys.argv[1:] or known:
        with tempfile.TemporaryDirectory() as folder:
            known[name](Path(folder) / name)


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


def _answers(folder: Path) -> None:
    predictions = DataStore(folder).predictions
    generator = np.random.default_rng(0)
    for start in range(0, ANSWERS, _SEGMENT):
        predictions.append(_segment(generator, start), f"segment {start}")
    asks: Mapping[str, Callable[[], object]] = {
        "the newest 48": lambda: browse(predictions, Wanted(), 48),
        "48 of one in a thousand": lambda: browse(predictions, Wanted(surest=0.001), 48),
        "half of them back": lambda: browse(predictions, Wanted(label="3"), 48, ANSWERS // 2),
        "of no such label": lambda: browse(predictions, Wanted(label="none"), 48),
        "of a region of the map": lambda: browse(predictions, Wanted(region=_region(1.0)), 48),
        "of a region where none is": lambda: browse(predictions, Wanted(region=_region(99.0)), 48),
        "seen alike": lambda: seen_alike(predictions, BUNDLE, SampleId(f"{ANSWERS - 5:064x}"), 48),
        "the newest 1,000": lambda: predictions.window(BUNDLE, ANSWERS - 1000, 1000),
    }
    print(f"\n{f'{ANSWERS:,} answers':<28}{'median ms':>12}{'worst ms':>12}")
    for what, ask in asks.items():
        times = []
        for _ in range(5):
            began = time.perf_counter()
            ask()
            times.append(1000 * (time.perf_counter() - began))
        print(f"{what:<28}{statistics.median(times):>12.0f}{max(times):>12.0f}")


def _samples(folder: Path) -> None:
    _label_a_million(Tables.under(folder))
    store = DataStore(folder)
    began = time.perf_counter()
    store.catalogue.chosen(Chosen(), 0, 1)
    print(f"\n{ANSWERS:,} labelled samples, met in {time.perf_counter() - began:.0f} s, once")
    asks: Mapping[str, Chosen] = {
        "the first 48": Chosen(),
        "of one label in ten": Chosen("3"),
        "of one in a thousand": Chosen("rare"),
        "of no such label": Chosen("none"),
        "of the hold-out, by one person": Chosen(by="person 7", side="holdout"),
        "of one origin": Chosen(origin="camera 3"),
        "of one hour": Chosen(since=_DAY + timedelta(hours=200), until=_DAY + timedelta(hours=201)),
        "of none, by all five": Chosen("none", "train", "nowhere", "nobody", _DAY),
    }
    print(f"{'one page':<36}{'median ms':>12}{'worst ms':>12}{'found':>8}")
    for what, chosen in asks.items():
        for far, after in (("", 0), (", half of them on", ANSWERS // 2)):
            times = []
            for _ in range(5):
                began = time.perf_counter()
                found, _ = store.catalogue.chosen(chosen, after, 48)
                ids = [sample for _, sample in found]
                store.annotations.standing(ids)
                store.samples.places(ids)
                times.append(1000 * (time.perf_counter() - began))
            told = f"{statistics.median(times):>12.0f}{max(times):>12.0f}{len(found):>8}"
            print(f"{what + far:<36}{told}")


def _region(left: float) -> Region:
    """Of a map that has the first two figures of an embedding as its axes."""
    return Region(BUNDLE, left, left, left + 0.1, left + 0.1, 64, lambda seen: seen[:, :2])


_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def _label_a_million(tables: Tables) -> None:
    """Samples without bytes and a label of each, written as they are stored."""
    generator = np.random.default_rng(0)
    for start in range(0, ANSWERS, _SEGMENT):
        numbers = range(start, start + _SEGMENT)
        ids = [f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}{n:048x}" for n in numbers]
        labels = np.where(generator.random(_SEGMENT) < 0.001, "rare", "").tolist()
        fact: dict[str, Sequence[object]] = {
            name: [None] * _SEGMENT for name in tables.facts.columns
        }
        origins = [f"camera {n % 20}" for n in numbers]
        sides = ["holdout" if n % 5 == 0 else "train" for n in numbers]
        fact |= {"id": ids, "side": sides, "origin": origins, "added_at": [_DAY] * _SEGMENT}
        tables.facts.append(tables.facts.table(fact))
        said: dict[str, Sequence[object]] = {
            "id": [f"{n:064x}" for n in numbers],
            "sample": ids,
            "label": [rare or str(n % 10) for n, rare in zip(numbers, labels, strict=True)],
            "by": [f"person {n % 10}" for n in numbers],
            "kind": ["import"] * _SEGMENT,
            "confidence": [None] * _SEGMENT,
            "at": [_DAY + timedelta(seconds=n) for n in numbers],
            "origin": ["made"] * _SEGMENT,
        }
        tables.annotations.append(tables.annotations.table(said))


def _segment(generator: np.random.Generator, start: int) -> Sequence[Captured]:
    seen = generator.standard_normal((_SEGMENT, 64)).astype(np.float32).tolist()
    sure = generator.random(_SEGMENT).tolist()
    return [
        Captured(
            prediction=PredictionId(f"{number:032x}"),
            sample=SampleId(f"{number:064x}"),
            bundle=BUNDLE,
            role="champion",
            key="k",
            at=1.7e9 + number,
            latency_ms=1.0,
            status="ok",
            label=str(number % 10),
            confidence=confidence,
            probabilities=(confidence, 1 - confidence),
            embedding=embedding,
        )
        for number, confidence, embedding in zip(
            range(start, start + _SEGMENT), sure, seen, strict=True
        )
    ]


if __name__ == "__main__":
    main()
