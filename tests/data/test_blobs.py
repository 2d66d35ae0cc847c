"""Files on every storage keep one contract; places are named, and refused, in one way."""

from pathlib import Path

import pytest
from tests.support.buckets import ObjectStore
from tests.support.radosgw import RadosGateway

from everloop.adapters.s3_storage import S3Storage
from everloop.data.blobs import BlobStore, open_blobs
from everloop.data.location import Location
from everloop.errors import Refused
from everloop.testing.blobs import BlobContract


class TestFolder(BlobContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> BlobStore:
        return open_blobs(tmp_path / "store")


class TestMoto(BlobContract):
    @pytest.fixture
    def blobs(self, moto_store: ObjectStore) -> BlobStore:
        return S3Storage().blobs(moto_store.bucket())


class TestRadosGateway(BlobContract):
    @pytest.fixture
    def blobs(self, radosgw: RadosGateway) -> BlobStore:
        return S3Storage().blobs(radosgw.store.bucket())


def test_an_unknown_scheme_is_refused_naming_the_installed_ones() -> None:
    with pytest.raises(Refused, match="no storage scheme 's4'; installed: a folder's path"):
        open_blobs(Location("s4://bucket"))


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "s3://b/../x", "s3://b/x?y", "s3://u@b/x"])
def test_a_place_on_s3_is_a_bucket_and_a_prefix(uri: str) -> None:
    with pytest.raises(Refused):
        S3Storage().blobs(Location(uri))


def test_a_location_never_prints_its_credentials() -> None:
    location = Location("s3://b/p", {"secret_access_key": "hush"}) / "x.lance"
    assert "hush" not in f"{location} {location!r}"
    assert location.uri == "s3://b/p/x.lance"


def test_what_will_not_get_better_is_refused(moto_store: ObjectStore) -> None:
    gone = Location("s3://never-made/x", moto_store.bucket().options)
    for ask in (lambda b: b.get("k"), lambda b: b.put("k", b""), lambda b: list(b.list())):
        with pytest.raises(Refused, match="no such bucket"):
            ask(S3Storage().blobs(gone))
