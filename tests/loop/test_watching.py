"""Captured answers on their way into sketches, and what the signals say of them."""

import shutil
from datetime import timedelta

import numpy as np
import pytest
from tests.support.bundles import SIDE, graph, make_bundle
from tests.support.captures import answer
from tests.support.clock import at
from tests.support.pictures import noise, png
from tests.support.projects import opened, write_project

from everloop.action import Action
from everloop.ids import BundleId
from everloop.loop import kinds
from everloop.loop.act import perform
from everloop.loop.actions.collect import collect
from everloop.loop.controller import acquire
from everloop.loop.decision import Decision
from everloop.loop.project import Project, Turn
from everloop.loop.signals import over, standing
from everloop.monitoring.finding import findings_in
from everloop_runtime.capture import CaptureWriter, sealed_segments
from everloop_runtime.images import ImageSpec, to_array
from everloop_runtime.model import Graph


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return opened(write_project(tmp_path_factory.mktemp("watched") / "bars", pictures=1))


def _capture(project: Project, bundle: BundleId, images: list[bytes], first: int) -> str:
    """The name of a sealed segment with the model's answers to these pictures."""
    spec = ImageSpec(SIDE, SIDE, 1)
    seen = Graph(graph()).run(np.stack([to_array(image, spec) for image in images]))
    writer = CaptureWriter(project.layout.capture)
    for number, image in enumerate(images):
        writer.append(
            answer(
                first + number,
                image,
                bundle,
                probabilities=tuple(seen.values[number].tolist()),
                embedding=tuple(seen.embeddings[number].tolist()),
            )
        )
    writer.close()
    return sealed_segments(project.layout.capture)[-1].name


def test_answers_are_sketched_once_and_a_changed_window_is_told_in_the_journal(
    project: Project,
) -> None:
    bundle, now = make_bundle(project.layout.bundles), at(0) + timedelta(minutes=5)
    fence = acquire(project, now)
    assert fence is not None
    turn = Turn(fence, now)
    usual = [noise(1000 + number) for number in range(30)]
    dark = [_darker(noise(2000 + number)) for number in range(30)]
    for first, images in ((0, usual), (30, dark)):
        name = _capture(project, bundle, images, first)
        kept = project.layout.capture / name
        shutil.copy(kept, kept.with_suffix(".kept"))
        for _ in range(2):
            # As if it was killed before the segment was gone.
            shutil.copy(kept.with_suffix(".kept"), kept)
            collect(project, turn, kinds.collect(name))
        kept.unlink(missing_ok=True)
    whole = over(project, bundle, now, timedelta(hours=1))
    assert (whole.answers, whole.sketches) == (60, 2)
    assert over(project, bundle, at(30), timedelta(seconds=30)).answers == 30
    assert standing(project, bundle).window is None

    outcomes = []
    for index in (0, 1):
        later = Turn(fence, now + timedelta(seconds=index))
        action = kinds.monitor(bundle, index, 30)
        outcomes.append(perform(project, later, _decided(action), lambda: now))
    calm, changed = outcomes
    assert calm.result["drifted"] is False
    assert changed.result["drifted"] is True
    found = {finding.name: finding for finding in findings_in(changed.result)}
    assert set(found) >= {"data-quality", "input-drift", "label-shift", "harm", "concept-drift"}
    assert found["input-drift"].since == at(30)
    assert len(found["input-drift"].samples) == 8
    told = standing(project, bundle)
    assert (told.window, told.running) == (1, 60 % project.policy.monitor.window)


def _decided(action: Action) -> Decision:
    return Decision("monitor", action, "a window is full")


def _darker(image: bytes) -> bytes:
    import io

    from PIL import Image

    return png(Image.open(io.BytesIO(image)).point(lambda value: value * 0.5))
