"""The controller killed at every step of beginning, judging and ending an A/B test."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.bundles import make_bundle
from tests.support.planted import brightness_project, now, vouch_for

from everloop.ids import BundleId, Json
from everloop.loop.controller import acquire, take_turn
from everloop.loop.project import Project
from everloop_runtime.routes import read_routes


class _Killed(BaseException):
    """The process ends here."""


class _Dying:
    """A store whose process is killed just before or after a call."""

    def __init__(self, store: Any, method: str, *, after: bool) -> None:
        self._store, self._method, self._after = store, method, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._store, name)
        if name != self._method:
            return found

        def dies(*arguments: Any) -> None:
            if self._after:
                found(*arguments)
            raise _Killed

        return dies


def _dying(project: Project, part: str, method: str, *, after: bool) -> Project:
    changed: dict[str, Any] = {part: _Dying(getattr(project, part), method, after=after)}
    return replace(project, **changed)


def _turns(project: Project, count: int = 1) -> None:
    """Turns of a controller of its own; its lease ends with it, as with a process."""
    fence = acquire(project, now())
    assert fence is not None
    try:
        for _ in range(count):
            take_turn(project, fence, now)
    finally:
        project.leases.release(fence)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = brightness_project(tmp_path / "product")
    champion = make_bundle(project.layout.bundles)
    fence = acquire(project, now())
    assert fence is not None
    project.releases.promote(champion, fence, now())
    project.leases.release(fence)
    return project


def _begun(project: Project) -> BundleId:
    bundle = make_bundle(project.layout.bundles, 0.1)
    fence = acquire(project, now())
    assert fence is not None
    vouch_for(project, fence, bundle)
    project.leases.release(fence)
    variants: list[Json] = [{"bundle": bundle, "share": 0.4}]
    project.requests.submit("experiment", {"name": "ab", "variants": variants}, "ann", now())
    return bundle


def _killed_then_left_alone(project: Project, part: str, method: str, *, after: bool) -> None:
    with pytest.raises(_Killed):
        _turns(_dying(project, part, method, after=after), 3)
    _turns(project, 3)
    assert not project.requests.pending()
    entries = project.journal.timeline(100)
    assert all(e.outcome is not None and e.outcome.succeeded for e in entries)


_STEPS = [("requests", "done"), ("journal", "finish")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "method"), [("experiments", "start"), *_STEPS])
def test_it_begins_once(project: Project, part: str, method: str, after: bool) -> None:
    bundle = _begun(project)
    _killed_then_left_alone(project, part, method, after=after)
    assert [c.what for c in project.releases.history()] == ["champion", "experiment"]
    routes = read_routes(project.layout.routes)
    assert routes.experiment is not None and routes.experiment.variants[0].bundle == bundle


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "method"), [("experiments", "take_out"), _STEPS[1]])
def test_a_variant_is_taken_out_once(project: Project, part: str, method: str, after: bool) -> None:
    bundle = _begun(project)
    _turns(project, 2)
    project.decisions.record(bundle, approved=False, by="bo", comment="", now=now())
    _killed_then_left_alone(project, part, method, after=after)
    assert [c.what for c in project.releases.history()][2:] == ["variant out"]
    assert read_routes(project.layout.routes).experiment is None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "method"), [("experiments", "end"), *_STEPS])
def test_it_ends_once(project: Project, part: str, method: str, after: bool) -> None:
    _begun(project)
    _turns(project, 2)
    request = project.requests.submit("end-experiment", {"experiment": "ab"}, "ann", now())
    _killed_then_left_alone(project, part, method, after=after)
    assert project.requests.answer(request) == "experiment ab has ended"
    assert [c.what for c in project.releases.history()][2:] == ["experiment ended"]
    assert read_routes(project.layout.routes).experiment is None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "method"), [("releases", "set_champion"), _STEPS[0]])
def test_the_winner_is_promoted_once(project: Project, part: str, method: str, after: bool) -> None:
    bundle = _begun(project)
    _turns(project, 2)
    wanted: dict[str, Json] = {"experiment": "ab", "promote": bundle}
    project.requests.submit("end-experiment", wanted, "ann", now())
    _killed_then_left_alone(project, part, method, after=after)
    assert [c.what for c in project.releases.history()][2:] == ["champion"]
    assert project.releases.current().experiment is None
    assert read_routes(project.layout.routes).champion == bundle


@pytest.mark.parametrize("trial", ["experiment", "canary"])
def test_a_rollback_that_was_cut_short_ends_what_is_tried_and_no_more(
    project: Project, trial: str
) -> None:
    before = project.releases.current().champion
    champion = make_bundle(project.layout.bundles, 0.2)
    fence = acquire(project, now())
    assert fence is not None and before is not None
    project.releases.promote(champion, fence, now())
    if trial == "canary":
        candidate = make_bundle(project.layout.bundles, 0.3)
        project.releases.set_canary(candidate, 0, 0.5, fence, now())
    project.leases.release(fence)
    if trial == "experiment":
        _begun(project)
        _turns(project, 2)
    project.requests.submit("rollback", {}, "ann", now())
    with pytest.raises(_Killed):
        _turns(_dying(project, "requests", "done", after=False))
    _turns(project, 2)
    assert not project.requests.pending()
    release = project.releases.current()
    assert (release.champion, release.previous) == (champion, before)
    assert release.canary is None and release.experiment is None
