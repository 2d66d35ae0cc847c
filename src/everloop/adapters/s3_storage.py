"""S3 and everything that speaks it, through obstore; commits need create-only writes, no more."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from everloop.data.blobs import Blob
from everloop.data.folder import checked_key
from everloop.data.location import Location
from everloop.errors import Refused, Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

_REGION = "us-east-1"
_TIMEOUT_S = 20.0
_PATIENCE_S = 60.0
_RETRIES = 8
_DELETED_AT_ONCE = 500
_CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")


class S3Storage:
    """Serves `s3://bucket/prefix`.

    Options: `endpoint`, `region`, `access_key_id`, `secret_access_key`, `session_token`,
    `timeout_s` (of one request), `patience_s` (of a request with its repetitions). Without keys,
    those of the machine's own role are used.
    """

    def blobs(self, location: Location) -> "S3Blobs":
        """See `Storage`."""
        from obstore.store import S3Store

        bucket, prefix = _bucket(location)
        options = location.options
        config: S3Config = {"region": options.get("region") or _REGION}
        for name in (*_CREDENTIALS, "endpoint"):
            if options.get(name):
                config[name] = options[name]  # type: ignore[literal-required]
        timeout, patience = _bounds(location)
        store = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={
                "allow_http": _plain_http(location),
                "timeout": timedelta(seconds=timeout),
                "connect_timeout": timedelta(seconds=min(timeout, 5.0)),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=patience)},
        )
        return S3Blobs(store, location.uri)

    def dataset(self, location: Location) -> tuple[str, Mapping[str, str]]:
        """See `Storage`."""
        _bucket(location)
        options = location.options
        timeout, patience = _bounds(location)
        told = {f"aws_{name}": options[name] for name in _CREDENTIALS if options.get(name)}
        if options.get("endpoint"):
            told["aws_endpoint"] = options["endpoint"]
        return location.uri, {
            **told,
            "aws_region": options.get("region") or _REGION,
            "allow_http": str(_plain_http(location)).lower(),
            "timeout": f"{timeout:g}s",
            "connect_timeout": f"{min(timeout, 5.0):g}s",
            "client_max_retries": str(_RETRIES),
            "client_retry_timeout": f"{max(1, round(patience))}",
            "download_retry_count": "2",
        }


class S3Blobs:
    """See `BlobStore`."""

    def __init__(self, store: "S3Store", name: str) -> None:
        self._store = store
        self._name = name

    def put(self, key: str, data: bytes) -> bool:
        """See `BlobStore`."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._translated(key):
            try:
                # In one part: only a write in one request can be create-only.
                obstore.put(self._store, checked_key(key), data, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def get(self, key: str) -> bytes | None:
        """See `BlobStore`."""
        import obstore

        with self._translated(key):
            try:
                return obstore.get(self._store, checked_key(key)).bytes().to_bytes()
            except FileNotFoundError as error:
                _refuse_without_bucket(error)
                return None

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """See `BlobStore`."""
        import obstore

        with self._translated(key):
            try:
                size = obstore.head(self._store, checked_key(key))["size"]
                if start >= size or not length:
                    return b""
                length = min(length, size - start)
                return obstore.get_range(self._store, key, start=start, length=length).to_bytes()
            except FileNotFoundError as error:
                _refuse_without_bucket(error)
                return None

    def view(self, key: str) -> memoryview | None:
        """See `BlobStore`."""
        data = self.get(key)
        return None if data is None else memoryview(data)

    def list(self, under: str = "") -> Iterator[Blob]:
        """See `BlobStore`."""
        import obstore

        prefix = checked_key(under) if under else None
        with self._translated(under or "the store"):
            for page in obstore.list(self._store, prefix):
                for found in page:
                    yield Blob(found["path"], found["size"], found["last_modified"])

    def delete(self, keys: Iterable[str]) -> None:
        """See `BlobStore`."""
        import obstore

        gone = [checked_key(key) for key in keys]
        for start in range(0, len(gone), _DELETED_AT_ONCE):
            part = gone[start : start + _DELETED_AT_ONCE]
            with self._translated(part[0]):
                obstore.delete(self._store, part)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            if refusal := _refusal(error):
                raise Refused(f"{self._name}: {refusal}") from error
            first = str(error).partition("\n")[0]
            raise Unavailable(f"{self._name} did not give {key}: {first}") from error


def _refuse_without_bucket(error: OSError) -> None:
    if "NoSuchBucket" in str(error):
        raise error


def _refusal(error: Exception) -> str | None:
    """What to do about an answer that repeating would not change; None for any other."""
    told = str(error)
    if "NoSuchBucket" in told:
        return "there is no such bucket; make it, or mend [storage] root"
    if any(word in told for word in ("403 Forbidden", "401 Unauthorized", "AccessDenied")):
        return (
            "we may not; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment "
            "and at what that key is allowed to do"
        )
    return None


def _bucket(location: Location) -> tuple[str, str]:
    bucket, _, prefix = location.uri.removeprefix("s3://").partition("/")
    if not bucket or any(mark in location.uri for mark in "?#@\\ "):
        raise Refused(f"a place on S3 is named s3://bucket/prefix; got {location.uri!r}")
    if prefix:
        checked_key(prefix.rstrip("/"))
    return bucket, prefix.rstrip("/")


def _plain_http(location: Location) -> bool:
    return location.options.get("endpoint", "").startswith("http://")


def _bounds(location: Location) -> tuple[float, float]:
    """Seconds for one request, and for one with all its repetitions."""

    def seconds(name: str, default: float) -> float:
        given: Any = location.options.get(name)
        return float(given) if given else default

    return seconds("timeout_s", _TIMEOUT_S), seconds("patience_s", _PATIENCE_S)
