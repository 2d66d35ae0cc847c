"""What every `data.blobs.BlobStore` must do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from everloop.data.blobs import BlobStore
from everloop.errors import Refused

_BIG = bytes(range(256)) * 4096 * 6


class BlobContract:
    """Subclass it, override `blobs`, and let pytest collect the subclass."""

    @pytest.fixture
    def blobs(self) -> BlobStore:
        """An empty store."""
        raise NotImplementedError

    def test_what_was_put_comes_back(self, blobs: BlobStore) -> None:
        assert blobs.put("a/b/1.bin", b"\0one")
        assert blobs.put("empty", b"")
        assert blobs.put("big", _BIG)
        assert blobs.get("a/b/1.bin") == b"\0one"
        assert blobs.get("empty") == b""
        assert blobs.get("big") == _BIG
        view = blobs.view("a/b/1.bin")
        assert view is not None
        assert bytes(view) == b"\0one"
        nothing = blobs.view("empty")
        assert nothing is not None
        assert bytes(nothing) == b""

    def test_the_first_write_stands(self, blobs: BlobStore) -> None:
        assert blobs.put("k", b"first")
        assert not blobs.put("k", b"second, longer")
        assert blobs.get("k") == b"first"

    def test_of_many_writers_at_once_one_writes(self, blobs: BlobStore) -> None:
        texts = [f"writer {n}".encode() * 1000 for n in range(8)]
        with ThreadPoolExecutor(8) as threads:
            wrote = list(threads.map(lambda text: blobs.put("raced", text), texts))
        assert wrote.count(True) == 1
        assert blobs.get("raced") == texts[wrote.index(True)]

    def test_what_is_not_there_is_none(self, blobs: BlobStore) -> None:
        assert blobs.get("nothing") is None
        assert blobs.get_range("nothing", 0, 5) is None
        assert blobs.view("no/thing") is None
        assert list(blobs.list()) == []
        assert list(blobs.list("no/where")) == []

    def test_a_range_is_what_lies_there(self, blobs: BlobStore) -> None:
        blobs.put("k", b"0123456789")
        assert blobs.get_range("k", 2, 3) == b"234"
        assert blobs.get_range("k", 8, 100) == b"89"
        assert blobs.get_range("k", 10, 1) == b""
        assert blobs.get_range("k", 99, 1) == b""
        assert blobs.get_range("k", 0, 0) == b""

    def test_a_listing_names_every_file_under_a_folder(self, blobs: BlobStore) -> None:
        for key in ("a/1", "a/b/2", "ab", "c"):
            blobs.put(key, key.encode() * 2)
        assert {blob.key: blob.size for blob in blobs.list()} == {
            "a/1": 6,
            "a/b/2": 10,
            "ab": 4,
            "c": 2,
        }
        assert {blob.key for blob in blobs.list("a")} == {"a/1", "a/b/2"}
        assert all(blob.modified.tzinfo is not None for blob in blobs.list())

    def test_more_files_than_one_page_are_listed_and_deleted(self, blobs: BlobStore) -> None:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda n: blobs.put(f"many/{n}", b"x"), range(1100)))
        assert len(list(blobs.list("many"))) == 1100
        blobs.delete(blob.key for blob in blobs.list("many"))
        assert list(blobs.list()) == []

    def test_deleting_is_repeatable_and_frees_the_key(self, blobs: BlobStore) -> None:
        blobs.put("a/1", b"x")
        blobs.put("a/2", b"y")
        blobs.delete(["a/1", "never"])
        blobs.delete(["a/1"])
        assert [blob.key for blob in blobs.list()] == ["a/2"]
        assert blobs.put("a/1", b"again")
        assert blobs.get("a/1") == b"again"

    @pytest.mark.parametrize("key", ["", "/etc/passwd", "a//b", "../x", "a/../../x", "a/.", "a\0b"])
    def test_a_key_that_is_no_plain_path_is_refused(self, blobs: BlobStore, key: str) -> None:
        with pytest.raises(Refused, match="relative path"):
            blobs.put(key, b"x")
        with pytest.raises(Refused, match="relative path"):
            blobs.get(key)
        with pytest.raises(Refused, match="relative path"):
            blobs.delete([key])

    @pytest.mark.parametrize("key", ["a b", "ä/ü", "100%", "a+b", "a?b#c", "..x", "x.."])
    def test_any_other_key_is_taken_as_it_is(self, blobs: BlobStore, key: str) -> None:
        assert blobs.put(key, b"x")
        assert blobs.get(key) == b"x"
        assert [blob.key for blob in blobs.list()] == [key]
        blobs.delete([key])
        assert list(blobs.list()) == []
