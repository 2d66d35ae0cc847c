"""Object stores for the tests of any part, started once a session, when first asked for."""

from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer
from tests.support.buckets import ObjectStore
from tests.support.radosgw import RadosGateway, missing_programs, running


@pytest.fixture(scope="session")
def moto_store() -> Iterator[ObjectStore]:
    """moto's server: quick, and not a real store."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield ObjectStore(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadosGateway]:
    """Ceph's radosgw: a real one."""
    if missing := missing_programs():
        pytest.skip(f"{', '.join(missing)} not installed (apt-get install {' '.join(_PACKAGES)})")
    with running(tmp_path_factory.mktemp("radosgw")) as gateway:
        yield gateway


_PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
