"""Object stores that a test starts itself: moto's server, and Ceph's radosgw."""

import itertools
from dataclasses import dataclass, replace

import boto3
from botocore.config import Config

from everloop.data.location import Location

KEY, SECRET = "AKEVERLOOPTEST", "secret-of-the-tests"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class ObjectStore:
    """An S3-compatible server that runs."""

    endpoint: str

    def bucket(self) -> Location:
        """A place in a new bucket, with what is needed to reach it."""
        name = f"bucket-{next(_numbers)}"
        self.client().create_bucket(Bucket=name)
        options = {
            "endpoint": self.endpoint,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "timeout_s": "5",
            "patience_s": "5",
        }
        return Location(f"s3://{name}/one/product", options)

    def client(self) -> "boto3.client":
        """A client of another make, to look past the code under test."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )


def through(place: Location, endpoint: str) -> Location:
    """The same place, reached by another address."""
    return replace(place, options={**place.options, "endpoint": endpoint})
