"""Filters run in processes that may die, hang or fail; the picture is held back, the rest go on."""

import os
import signal
import time
from dataclasses import dataclass

import pytest

from everloop.errors import Refused
from everloop.ids import SampleId
from everloop.privacy.render import Renderer, Rendition
from everloop.privacy.workers import FilterWorkers


def _render(_sample: SampleId, original: bytes) -> Rendition:
    if original == b"kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if original == b"hang":
        time.sleep(600)
    if original == b"fail":
        raise ValueError("no such face")
    return Rendition(original, "png", 1, 1, (), None)


@dataclass(frozen=True)
class _Make:
    fails: bool = False

    def __call__(self) -> Renderer:
        if self.fails:
            raise Refused("the filter text needs rapidocr")
        return _render


def test_a_picture_that_kills_hangs_or_fails_is_held_back_and_the_rest_go_on() -> None:
    originals = [b"a", b"kill", b"b", b"hang", b"fail", b"c", b"d"]
    with FilterWorkers(_Make(), workers=2, patience=3) as workers:
        done = dict(workers.render((SampleId(o.decode()), o) for o in originals))
    assert set(done) == {SampleId(o.decode()) for o in originals}
    assert {name for name, made in done.items() if made.held is None} == set("abcd")
    assert "died on it (exit code -9)" in str(done[SampleId("kill")].held)
    assert "longer than 3 s" in str(done[SampleId("hang")].held)
    assert "ValueError: no such face" in str(done[SampleId("fail")].held)


def test_a_filter_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(Refused, match="needs rapidocr"):
        FilterWorkers(_Make(fails=True), workers=1, patience=3)
