"""A Ray cluster of two nodes on this machine, bound to loopback, with a token.

`python -m tests.support.ray_cluster`: prints the head's address once both nodes are there; a line
on its standard input kills the second node at once, with all that runs on it, and adds no other.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MEMORY = 80_000_000
_LISTENS = "0A"
_NODE: dict[str, Any] = {
    "num_cpus": 2,
    "node_ip_address": "127.0.0.1",
    "object_store_memory": _MEMORY,
    "include_dashboard": False,
}
_SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


@dataclass(frozen=True)
class TwoNodes:
    """A running cluster; `environment` is what reaches it."""

    address: str
    environment: dict[str, str]
    process: "subprocess.Popen[str]"

    def kill_second(self) -> None:
        """As if its machine lost power; it is dead when this returns."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def another(self) -> None:
        """Add a second node again; it is there when this returns."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("add\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def listens_on(self) -> set[str]:
        """The addresses on which its processes listen, in hex as the kernel writes them."""
        sockets = {
            str(link.readlink())
            for process in _below(self.process.pid)
            for link in Path(f"/proc/{process}/fd").iterdir()
            if link.is_symlink()
        }
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTENS and f"socket:[{inode}]" in sockets:
                    found.add(local.partition(":")[0])
        return found


def _below(process: int) -> list[int]:
    told = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in told for one in _below(int(child)))]


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """A cluster for as long as the block lasts."""
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_cluster"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        address = json.loads(process.stdout.readline())
        yield TwoNodes(address, environment, process)
    finally:
        process.stdin.close()
        process.wait(60)


def main() -> None:
    """Start, obey, end."""
    from ray.cluster_utils import Cluster

    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Ray prints on standard output too.
    head = {**_NODE, "_system_config": _SOON, "resources": {"first": 1}}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(**_NODE, resources={"second": 1})
    told.write(json.dumps(cluster.address) + "\n")
    for line in sys.stdin:
        if line == "kill\n":
            cluster.remove_node(second, allow_graceful=False)
        else:
            second = cluster.add_node(**_NODE, resources={"second": 1})
        told.write("done\n")
    cluster.shutdown()


if __name__ == "__main__":
    main()
