"""What is bad is set aside with its bytes; people look, mend and force; nothing is rewritten."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import hostile
from tests.support.clock import at
from tests.support.pictures import flat, noise

from everloop.data.bad_files import BadFile
from everloop.data.examined import DecodingLimits
from everloop.data.ingest import IngestRules, ingest
from everloop.data.mending import Hand, force, mend
from everloop.data.quarantine import Quarantine
from everloop.data.splits import SplitRule
from everloop.data.store import DataStore
from everloop.errors import Refused
from everloop.tasks.image_classification import ImageClassification
from everloop_runtime.images import ImageLimits

HAND = Hand("ann", at(9), DecodingLimits(ImageLimits()), SplitRule(0.2))


@pytest.fixture
def store(tmp_path: Path) -> DataStore:
    return DataStore(tmp_path / "store")


def _take_in(store: DataStore, folder: Path, second: float = 0) -> None:
    ingest(
        store,
        folder,
        source="in",
        rules=IngestRules(ImageClassification("ab"), ImageLimits(), SplitRule(0.2)),
        now=at(second),
    )


def _bad(name: str, data: bytes = b"x", reason: str = "broken") -> BadFile:
    return BadFile(name, reason, f"{name} is bad", "/in/" + name, data)  # type: ignore[arg-type]


def test_an_import_counts_by_reason_and_keeps_the_bytes(store: DataStore, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "a").mkdir(parents=True)
    (folder / "c").mkdir()
    (folder / "a" / "good.png").write_bytes(noise(1))
    (folder / "a" / "page.png").write_bytes(b"<html>")
    (folder / "a" / "cut.png").write_bytes(noise(2, side=40)[:-30])
    (folder / "a" / "huge.png").write_bytes(hostile.claims_400_megapixels())
    (folder / "c" / "other.png").write_bytes(noise(3))
    _take_in(store, folder)
    assert store.quarantine.counts() == {
        "not-an-image": 1, "broken": 1, "too-many-pixels": 1, "bad-label": 1,
    }  # fmt: skip
    page = next(each for each in store.quarantine.standing() if each.name == "a/page.png")
    (folder / "a" / "page.png").unlink()
    assert store.quarantine.bytes_of(page) == b"<html>"
    assert page.where == str(folder / "a" / "page.png")
    assert store.examinations.count() == store.samples.count() == 1


def test_the_same_bad_file_again_adds_no_event(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    assert quarantine.record("s", [_bad("one"), _bad("two")], at(0)) == 2
    assert Quarantine(tmp_path).record("s", [_bad("two"), _bad("one")], at(1)) == 0
    one = quarantine.find(quarantine.standing()[0].id[:10])
    assert len(quarantine.history(one.id)) == 1


def test_what_was_looked_at_and_is_well_is_gone_and_the_rest_stands(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    quarantine.record("s", [_bad("one"), _bad("two")], at(0))
    quarantine.record("other", [_bad("one")], at(0))
    quarantine.record("s", [], at(1), looked_at={"two", "three"})
    assert [(each.source, each.name) for each in quarantine.standing()] == [
        ("s", "one"), ("other", "one"),
    ]  # fmt: skip
    quarantine.record("s", [_bad("two")], at(2), looked_at={"two"})
    assert len(quarantine.standing()) == 3
    quarantine.record("s", [], at(3))
    assert [each.source for each in quarantine.standing()] == ["other"]


def test_names_and_reasons_are_plain_text_whatever_the_source_calls_them(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    wild = "\x1b[31m\n\0\u202egnp.exe" + "x" * 4096 + "\udcff"
    quarantine.record("s", [_bad(wild)], at(0))
    found = Quarantine(tmp_path).standing()[0]
    assert found.name.isascii() and found.name.isprintable()
    assert found.text.isascii() and found.text.isprintable()


def test_a_mended_file_is_taken_in_and_the_record_says_by_whom(store: DataStore) -> None:
    store.quarantine.record("in", [_bad("cut.png")], at(0))
    file = store.quarantine.standing()[0]
    with pytest.raises(Refused, match="not-an-image as well"):
        mend(store, file, b"<html>", HAND)
    sample = mend(store, file, flat(5), replace(HAND, label="a"))
    assert store.samples.read([sample]) == [flat(5)]
    assert store.annotations.current()[sample].by == "ann"
    assert store.quarantine.standing() == ()
    events = [(event["event"], event["by"]) for event in store.quarantine.history(file.id)]
    assert events == [("bad", ""), ("mended", "ann")]


def test_only_what_can_be_decoded_can_be_forced(store: DataStore) -> None:
    film = hostile.gif_of(2000)
    store.quarantine.record(
        "in", [_bad("film.gif", film, "too-many-frames"), _bad("cut.png", flat(1)[:50])], at(0)
    )
    frames, cut = store.quarantine.standing()
    with pytest.raises(Refused, match="broken cannot be forced"):
        force(store, cut, HAND)
    sample = force(store, frames, HAND)
    assert store.samples.read([sample]) == [film]
    again = _bad("film.gif", film, "too-many-frames")
    assert store.quarantine.record("in", [again], at(20), looked_at={"film.gif"}) == 0
    assert [each.name for each in store.quarantine.standing()] == ["cut.png"]


def test_bytes_that_are_not_kept_are_read_where_they_lie_if_they_are_the_same(
    store: DataStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("everloop.data.quarantine.KEPT_FILE", 10)
    place = tmp_path / "other.png"
    place.write_bytes(flat(3))
    bad = BadFile("other.png", "bad-label", "no class", str(place), flat(3))
    store.quarantine.record("in", [bad], at(0))
    file = store.quarantine.standing()[0]
    assert store.quarantine.bytes_of(file) is None
    place.write_bytes(flat(4))
    with pytest.raises(Refused, match="neither kept nor"):
        force(store, file, HAND)
    place.write_bytes(flat(3))
    assert store.samples.read([force(store, file, HAND)]) == [flat(3)]


def test_what_version_0_1_set_aside_stands_until_it_is_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine" / "ab12.json").write_text(
        '{"source":"s","at":"2026-01-02T03:04:05+00:00",'
        '"files":[{"name":"a/1.png","reason":"the image cannot be decoded"}]}'
    )
    quarantine = Quarantine(tmp_path)
    assert [each.text for each in quarantine.standing()] == ["the image cannot be decoded"]
    quarantine.record("s", [], at(1))
    assert quarantine.standing() == Quarantine(tmp_path).standing() == ()
