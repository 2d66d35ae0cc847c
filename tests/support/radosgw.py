"""A real S3-compatible store: Ceph's radosgw over one monitor and one OSD in memory."""

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.support.buckets import KEY, SECRET, ObjectStore
from tests.support.faulty_proxy import Fault, FaultyProxy

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_START_S = 90

_CONF = """
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon}]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 1073741824
mon_data = {folder}/mon
osd_data = {folder}/osd
rgw_data = {folder}/rgw
rgw_frontends = beast endpoint=127.0.0.1:{web} tcp_nodelay=1
admin_socket = {folder}/$name.sock
log_file = {folder}/$name.log
mon_cluster_log_file = {folder}/cluster.log
run_dir = {folder}
keyring = /dev/null
"""


def missing_programs() -> list[str]:
    """What would have to be installed: `radosgw ceph-mon ceph-osd` from Debian bring them all."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class RadosGateway:
    """The gateway's process can be killed and started again; what it stored stays."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._gateway: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> ObjectStore:
        """How it is reached."""
        return ObjectStore(f"http://127.0.0.1:{self._port}")

    def start(self) -> None:
        """Start the gateway and wait until it answers."""
        self._gateway = _daemon(self._folder, "radosgw", "-n", "client.rgw")
        deadline = time.monotonic() + _START_S
        while not answers(self.store.endpoint):
            if time.monotonic() > deadline or self._gateway.poll() is not None:
                log = (self._folder / "radosgw.out").read_text(errors="replace")
                raise RuntimeError(f"radosgw did not start: {log[-500:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the gateway as a crash would."""
        assert self._gateway is not None
        self._gateway.kill()
        self._gateway.wait()

    @contextmanager
    def killed_at_write(self, proxy: FaultyProxy, number: int) -> Iterator[list[str]]:
        """Killed when the n-th write through the proxy is on its way, and there again afterwards.

        Yields what was written so far.
        """
        writes: list[str] = []

        def kill_at_a_write(method: str, path: str, _: int) -> Fault | None:
            if method not in {"GET", "HEAD"}:
                writes.append(path)
                if len(writes) == number:
                    # In the middle: nobody answers the request.
                    self.kill()
            return None

        proxy.plan = kill_at_a_write
        try:
            yield writes
        finally:
            proxy.plan = lambda *_: None
            self.start()


@contextmanager
def running(folder: Path) -> Iterator[RadosGateway]:
    """A store of its own in `folder`, for as long as the block lasts."""
    mon, web = free_ports(2)
    conf = _CONF.format(fsid=uuid.uuid4(), mon=mon, web=web, folder=folder)
    (folder / "ceph.conf").write_text(conf)
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    gateway = RadosGateway(folder, web)
    daemons = []
    try:
        daemons.append(_start_monitor(folder, mon))
        daemons.append(_start_osd(folder))
        gateway.start()
        _run(
            *("radosgw-admin", "-c", str(folder / "ceph.conf"), "user", "create", "--uid=tests"),
            *("--display-name=tests", f"--access-key={KEY}", f"--secret-key={SECRET}"),
        )
        yield gateway
    finally:
        if gateway._gateway is not None:
            gateway.kill()
        for daemon in daemons:
            daemon.kill()
            daemon.wait()


def _start_monitor(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    conf, monmap = str(folder / "ceph.conf"), str(folder / "monmap")
    fsid = next(line for line in Path(conf).read_text().splitlines() if line.startswith("fsid"))
    address = f"[v2:127.0.0.1:{port}]"
    _run("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid.split()[-1], monmap)
    _run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "-c", conf)
    return _daemon(folder, "ceph-mon", "-i", "a")


def _start_osd(folder: Path) -> "subprocess.Popen[bytes]":
    conf, name = str(folder / "ceph.conf"), str(uuid.uuid4())
    _run("ceph", "-c", conf, "osd", "new", name)
    _run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", name, "-c", conf)
    return _daemon(folder, "ceph-osd", "-i", "0")


def _daemon(folder: Path, *command: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{command[0]}.out").open("ab") as log:
        return subprocess.Popen(
            [*command, "-f", "-c", str(folder / "ceph.conf")], stdout=log, stderr=log
        )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, timeout=_START_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")


def answers(url: str) -> bool:
    """Whether something speaks HTTP there."""
    try:
        httpx.get(url, timeout=2)
    except httpx.HTTPError:
        return False
    return True


def free_ports(count: int) -> Sequence[int]:
    """Ports that nothing listens on."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
