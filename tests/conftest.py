"""Object stores for the tests of any part, started once a session, when first asked for."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.buckets import ObjectStore
from tests.support.projects import until
from tests.support.radosgw import RadosGateway, answers, free_ports, missing_programs, running

# A shell that runs the tests in the background ignores Ctrl-C, and all their programs would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def moto_store() -> Iterator[ObjectStore]:
    """moto's server: quick, and not a real store."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    # In a process of its own: tests look at which threads theirs has.
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = ObjectStore(f"http://127.0.0.1:{port}")
    until(lambda: answers(store.endpoint), 60, "moto's server did not start")
    yield store
    server.kill()
    server.wait()


@pytest.fixture(scope="session")
def radosgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadosGateway]:
    """Ceph's radosgw: a real one."""
    if missing := missing_programs():
        pytest.skip(f"{', '.join(missing)} not installed (apt-get install {' '.join(_PACKAGES)})")
    with running(tmp_path_factory.mktemp("radosgw")) as gateway:
        yield gateway


_PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
