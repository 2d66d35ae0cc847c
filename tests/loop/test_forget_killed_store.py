"""Forgetting on a real object store whose server is killed in the middle."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.buckets import ObjectStore
from tests.support.clock import at
from tests.support.faulty_proxy import faulty
from tests.support.radosgw import RadosGateway
from tests.support.stored import (
    ANNA,
    anna,
    assembled,
    check_all_but_anna,
    fill,
    holding,
    on_store,
    picture,
)

from everloop.data.erase import rows_left
from everloop.data.location import Location
from everloop.errors import Unavailable
from everloop.loop.forget import Forgot, Wanted, forget
from everloop.loop.project import Project


def _forget(project: Project, second: float) -> Forgot:
    return forget(project, Wanted(subject="anna"), by="ann", now=at(second))


def _objects(gateway: RadosGateway, place: Location) -> dict[str, bytes]:
    """Every object of the bucket, whoever wrote it, read by another client past the proxy."""
    client = gateway.store.client()
    bucket = place.uri.removeprefix("s3://").partition("/")[0]
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
    return {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@pytest.mark.parametrize("kill_at", [23])
def test_a_store_killed_while_it_forgets_is_finished_by_running_it_again(
    kill_at: int, radosgw: RadosGateway, tmp_path: Path
) -> None:
    with faulty(radosgw.store.endpoint) as proxy:
        place, credentials = on_store(
            tmp_path / "project", ObjectStore(proxy.endpoint), patience="0.5s"
        )
        environment = dict(os.environ)
        project = assembled(place, credentials)
        fill(project)
        assert dict(os.environ) == environment
        assert any(
            picture(3)[-64:] in data for data in _objects(radosgw, project.data.place).values()
        )
        with radosgw.killed_at_write(proxy, kill_at) as writes, pytest.raises(Unavailable):
            _forget(project, 100)
        assert len(writes) >= kill_at
        again = assembled(place, credentials)
        done = _forget(again, 200)
        told: Any = done.certificate.told
        assert (told["samples"], told["proof"]["found"]) == (anna(), 0)
        assert rows_left(again.data.place, anna()) == {}
        check_all_but_anna(again)
        for number in ANNA:
            assert holding(again, number) == []
        objects = _objects(radosgw, again.data.place)
        assert len(objects) > 10
        for number in ANNA:
            data = picture(number)
            parts = [data[start : start + 48] for start in range(60, len(data) - 48, 48)]
            held = [key for key, body in objects.items() if any(part in body for part in parts)]
            assert held == []
