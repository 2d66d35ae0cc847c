"""A product with something on every page, and its pages served in a thread of the test."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from tests.support.bundles import SIDE, make_bundle
from tests.support.captures import answer
from tests.support.pictures import noise
from tests.support.projects import opened

from everloop.action import Action, Outcome
from everloop.data.annotations import Annotation, annotation_id
from everloop.data.bad_files import BadFile
from everloop.data.renditions import NewRendition
from everloop.data.samples import NewSample
from everloop.data.splits import SplitRule
from everloop.evaluation.evaluate import Evaluation, save
from everloop.ids import BundleId, Json, LabelTaskId, SampleId, SnapshotId
from everloop.labelling.backend import Backend
from everloop.labels import Box, BoxesLabel, encode
from everloop.loop import kinds
from everloop.loop.actions.record_answers import record_answers
from everloop.loop.controller import acquire
from everloop.loop.project import Project, Turn
from everloop.state.access import ROLES, Role
from everloop.state.clearances import Judged
from everloop.state.label_queue import LabelTask
from everloop.state.lease import Fence
from everloop.web.serve import make_site
from everloop_runtime.arriving import WireLimits
from everloop_runtime.listening import listen, origin_of
from everloop_runtime.segments import Captured
from everloop_runtime.server import Server

HOSTILE = '<img onerror="alert(1)" src=x>'
"""A class that wants to be a script."""

_PRODUCT = """
from everloop.product import Params, Product, Run, TrainingData
from everloop.tasks.{module} import {task}

product = Product("things", task={task}({arguments}))


@product.train
def train(data: TrainingData, params: Params, run: Run) -> object:
    raise NotImplementedError
"""
_POLICY = """
level = 2
[approval]
by = "person"
[serve]
port = 0
[tracking]
ui = false
[web]
on = false
"""
CLASSES = ("dark", "bright", HOSTILE)
_BOXES = encode(BoxesLabel((Box("bright", 2.0, 2.0, 6.0, 6.0),)))


def things_project(folder: Path, *, boxes: bool = False, more: str = "") -> Project:
    """A project of pictures of one class, or with boxes; nothing is in it yet.

    `more` of a policy is added to it.
    """
    folder.mkdir(parents=True)
    size = f"classes={list(CLASSES)!r}, size=(8, 8), channels=1"
    module, task = ("object_detection", "ObjectDetection") if boxes else (
        "image_classification", "ImageClassification")  # fmt: skip
    (folder / "product.py").write_text(_PRODUCT.format(module=module, task=task, arguments=size))
    (folder / "everloop.toml").write_text(_POLICY + more)
    return opened(folder)


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Filled:
    """What was put into a project."""

    samples: Sequence[SampleId]
    bundles: Sequence[BundleId]
    tasks: Sequence[LabelTaskId]


def fill(project: Project, *, tasks: int = 12, side: int = 24, measured: bool = False) -> Filled:
    """Samples with labels, two judged models, label tasks with pre-labels, a file set aside.

    `measured`: what the models answer on the hold-out is there too.
    """
    fence = acquire(project, now())
    assert fence is not None
    try:
        new = [
            NewSample(noise(seed, side), f"{HOSTILE}{seed}.png", "test", "test", "PNG", side, side)
            for seed in range(30)
        ]
        samples = project.data.samples.add(new, now(), split=SplitRule(0.3))
        _say(project, samples)
        project.data.quarantine.record(
            "test", [BadFile(f"{HOSTILE}.png", "broken", "it ends too early")], now()
        )
        made = _ask(project, samples[:tasks], fence)
        bundles = [make_bundle(project.layout.bundles, lean=lean) for lean in (0.0, 0.5)]
        project.data.predictions.append(_answers(bundles[0], samples), "planted")
        for number, bundle in enumerate(bundles):
            says = CLASSES[1 - number]
            evaluation = measure(project, bundle, samples, says) if measured else "e"
            judge(project, bundle, 0.9 + number / 20, fence, evaluation)
    finally:
        project.leases.release(fence)
    return Filled(samples, bundles, made)


def _answers(bundle: BundleId, samples: Sequence[SampleId]) -> list[Captured]:
    """One captured answer about each sample."""
    seen = np.random.default_rng(0).random((len(samples), SIDE * SIDE))
    return [
        answer(
            number,
            b"",
            bundle,
            sample=sample,
            label=CLASSES[number % 2],
            confidence=0.5 + number % 10 / 20,
            embedding=tuple(map(float, seen[number])),
        )
        for number, sample in enumerate(samples)
    ]


def _say(project: Project, samples: Sequence[SampleId]) -> None:
    project.data.annotations.append(
        [
            Annotation(
                annotation_id(sample, CLASSES[n % 3], "ann", "import"),
                sample,
                CLASSES[n % 3],
                "ann",
                "import",
                None,
                now(),
                "import",
            )
            for n, sample in enumerate(samples)
        ]
    )


def _ask(project: Project, samples: Sequence[SampleId], fence: Fence) -> list[LabelTaskId]:
    version = project.rules.version
    assert version is not None
    originals = project.data.samples.read(list(samples))
    project.data.renditions.add(
        [
            NewRendition(sample, version, data, "png", 24, 24, (), None)
            for sample, data in zip(samples, originals, strict=True)
        ],
        now(),
    )
    facts = project.data.renditions.of(samples, version)
    judged = [Judged(sample, version, facts[sample].id, None) for sample in samples]
    project.clearances.record(judged, fence, now())
    proofs = project.clearances.cleared(samples, version)
    of_classes = project.declaration.task.label_kind == "class"
    made = [
        LabelTask(
            LabelTaskId(f"{n:064x}"),
            proofs[sample],
            "round-1",
            "train",
            CLASSES[n % 2] if of_classes else _BOXES,
            "b" * 64,
            0.75,
            now(),
        )
        for n, sample in enumerate(samples)
    ]
    project.queue.add(made, fence)
    return [task.id for task in made]


def disagree(
    project: Project,
    sample: SampleId,
    answers: Mapping[str, str | None],
    *,
    known: str | None = None,
) -> list[LabelTaskId]:
    """Have people answer about one cleared sample in a round of its own; None: not yet. Their
    tasks."""
    fence = acquire(project, now())
    version = project.rules.version
    assert fence is not None and version is not None
    proof = project.clearances.cleared([sample], version)[sample]
    first = LabelTask(
        LabelTaskId(f"0-{sample}-{known}"), proof, f"round of {sample} {known}", "train",
        None, None, None, now(),
    )  # fmt: skip
    if known is not None:
        first = replace(first, purpose="gold", known=known)
    tasks = [replace(first, id=LabelTaskId(f"{n}-{first.id}")) for n in range(len(answers))]
    project.queue.add(tasks, fence)
    for task, (by, label) in zip(tasks, answers.items(), strict=True):
        if label is not None:
            project.queue.answer(task.id, label, by, now())
    project.leases.release(fence)
    return [task.id for task in tasks]


def record(project: Project) -> None:
    """Make annotations of what was answered, as the loop does."""
    fence = acquire(project, now())
    assert fence is not None
    record_answers(project, Turn(fence, now()), Action("record-answers", {"tasks": "x"}))
    project.leases.release(fence)


def measure(project: Project, bundle: BundleId, samples: Sequence[SampleId], says: str) -> str:
    """Store an evaluation on the hold-out's side, of two classes; its digest.

    Every other camera is a phone, on which the model `says` one and the same; of the others it is
    always right.
    """
    places = project.data.samples.places(list(samples))
    standing = project.data.annotations.standing(samples)
    # The models know two of the classes.
    known = [sample for sample in samples if standing[sample].label in CLASSES[:2]]
    held = [sample for sample in known if places[sample].side == "holdout"]
    labels = [standing[sample].label for sample in held]
    phones = [number % 2 == 1 for number in range(len(held))]
    answers = [says if phone else label for phone, label in zip(phones, labels, strict=True)]
    bright = np.array(answers) == "bright"
    sure = np.linspace(0.55, 0.95, len(held))
    values = np.stack([np.where(bright, 1 - sure, sure), np.where(bright, sure, 1 - sure)], axis=1)
    right = np.array(answers) == np.array(labels)
    found = Evaluation(
        bundle, SnapshotId("5" * 64), CLASSES[:2], tuple(held), tuple(labels),
        ("test",) * len(held), values.astype(np.float32), {"accuracy": float(np.mean(right))},
        "accuracy", np.array(right, np.float64),
        tuple((f"camera={'phone' if phone else 'desk'}",) for phone in phones),
    )  # fmt: skip
    return save(project.layout.evaluations, found)


def judge(
    project: Project, bundle: BundleId, accuracy: float, fence: Fence, evaluation: str = "e"
) -> None:
    """Write into the journal that a bundle was measured, and passed its gates."""
    snapshot = SnapshotId("5" * 64)
    done: Mapping[str, tuple[Action, dict[str, Json]]] = {
        "judge": (
            kinds.evaluate(project.policy, bundle, snapshot),
            {"evaluation": evaluation, "metrics": {"accuracy": accuracy}, "quality": "accuracy"},
        ),
        "gate": (
            kinds.gate(project.policy, bundle, snapshot, None),
            {"passed": True, "reasons": [f"accuracy {accuracy:.2f} of at least 0.80"]},
        ),
    }
    for arm, (action, result) in done.items():
        project.journal.intend(action, arm, "planted", fence, now())
        project.journal.finish(action.key, Outcome(True, result=result), fence, now())


@dataclass(frozen=True)
class Pages:
    """Pages that are served, and somebody of each role."""

    url: str
    project: Project
    tokens: Mapping[Role, str]

    def client(self, role: Role | None) -> httpx.Client:
        """A program that shows the token of a role; None: of nobody."""
        headers = {} if role is None else {"authorization": f"Bearer {self.tokens[role]}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)


@contextmanager
def pages_of(
    project: Project,
    limits: WireLimits | None = None,
    *,
    port: int = 0,
    people: bool = True,
    label_backend: Callable[[Project], Backend] | None = None,
) -> Iterator[Pages]:
    """The project's pages on a free port, as `everloop web` serves them.

    `people`: somebody of each role has a token. `label_backend`: a tool whose calls are taken.
    """
    listening = listen("127.0.0.1", port, allow_remote=False)
    url = origin_of(listening)
    web = project.policy.web
    tokens = {
        role: project.access.make(role, role, by="test", now=now(), lasts=timedelta(days=1))[1]
        for role in ROLES
        if people
    }
    folder = project.layout.project
    running = threading.Event()
    ending: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        site = make_site(
            project.layout,
            web,
            partial(opened, folder),
            now,
            listening.getsockname()[1],
            label_backend=label_backend,
        )
        server, end = Server(site, limits), asyncio.Event()
        server.start(listening)
        ending.append((asyncio.get_running_loop(), end))
        running.set()
        await end.wait()
        await server.drain(2.0, 0.0)
        await site.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="pages", daemon=True)
    thread.start()
    assert running.wait(20)
    try:
        yield Pages(url, project, tokens)
    finally:
        loop, end = ending[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(20)
