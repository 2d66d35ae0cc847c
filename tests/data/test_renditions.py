"""Renditions: immutable, named by their policy version, kept beside those of older versions."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.clock import at

from everloop.data.renditions import NewRendition, Renditions
from everloop.errors import Refused
from everloop.ids import PolicyVersion, RenditionId, SampleId
from everloop_runtime.ids import digest_bytes

OLD, NEW = PolicyVersion("a" * 64), PolicyVersion("b" * 64)
ONE = NewRendition(SampleId("1" * 64), OLD, b"picture", "png", 2, 1, [{"kind": "face"}], None)


def test_the_first_rendition_under_a_version_stands(tmp_path: Path) -> None:
    store = Renditions(tmp_path)
    store.add([ONE, replace(ONE, sample=SampleId("2" * 64))], at(0))
    store.add([replace(ONE, data=b"another"), replace(ONE, version=NEW, data=b"newer")], at(1))
    for opened in (store, Renditions(tmp_path)):
        old = opened.of([ONE.sample, SampleId("9" * 64)], OLD)
        assert list(old) == [ONE.sample]
        assert (old[ONE.sample].made_at, old[ONE.sample].regions) == (at(0), ({"kind": "face"},))
        kept = old[ONE.sample].id
        assert kept == digest_bytes(b"picture") and opened.read(kept) == b"picture"
        newer = opened.of([ONE.sample], NEW)[ONE.sample].id
        assert newer is not None and opened.read(newer) == b"newer"


def test_only_true_claims_hold(tmp_path: Path) -> None:
    store = Renditions(tmp_path)
    assert store.held([(ONE.sample, OLD, RenditionId("d" * 64))]) == set()
    store.add([ONE], at(0))
    made = RenditionId(digest_bytes(b"picture"))
    true = (ONE.sample, OLD, made)
    false = [(ONE.sample, NEW, made), (SampleId("2" * 64), OLD, made),
             (ONE.sample, OLD, RenditionId("d" * 64))]  # fmt: skip
    assert store.held([true, *false]) == {true}


def test_what_is_held_without_a_picture_is_known_too(tmp_path: Path) -> None:
    store = Renditions(tmp_path)
    store.add([replace(ONE, data=b"", format="", held="it cannot be decoded")], at(0))
    facts = store.of([ONE.sample], OLD)[ONE.sample]
    assert (facts.id, facts.held) == (None, "it cannot be decoded")
    with pytest.raises(Refused, match="not in the store"):
        store.read(RenditionId("d" * 64))
