"""No message goes to an internal address, whatever name, form or redirection leads there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.receivers import http_receiver

from everloop.alerting.guard import Guard

_SEND = [sys.executable, "-m", "everloop.alerting.sender"]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "169.254.169.254", "10.0.0.1", "172.16.5.5", "192.168.1.1",
     "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1%eth0",
     "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
     "64:ff9b::a00:1", "2002:7f00:1::", "localhost", "/run/docker.sock"],
)  # fmt: skip
def test_an_internal_address_is_refused_in_every_form(address: str) -> None:
    assert Guard().why((address, 80))


def test_what_is_no_address_of_the_internet_is_refused() -> None:
    assert Guard().why("/run/docker.sock") and Guard().why(b"\0abstract")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_let_through(address: str) -> None:
    assert Guard().why((address, 443)) is None


def test_only_the_networks_that_are_named_are_let_through() -> None:
    guard = Guard(["10.1.0.0/16", "fd00:1::/32"])
    assert guard.why(("10.1.2.3", 80)) is None and guard.why(("fd00:1::5", 80)) is None
    assert guard.why(("10.2.0.1", 80)) and guard.why(("fd00:2::5", 80))
    assert guard.why(("::ffff:10.1.2.3", 80)) is None


def _send(folder: Path, address: str, internal: list[str]) -> str | None:
    result = folder / "result.json"
    order = {
        "result": str(result), "id": "1", "is_again": False, "address": address, "kind": "alert",
        "title": "t", "body": "b", "facts": {}, "attachments": [], "made_at": "",
        "internal": internal, "timeout": 20,
    }  # fmt: skip
    subprocess.run(_SEND, input=json.dumps(order).encode(), check=True, timeout=60)
    error: str | None = json.loads(result.read_bytes())["error"]
    return error


def test_a_name_that_means_an_internal_address_is_refused_at_the_connection(
    tmp_path: Path,
) -> None:
    with http_receiver() as inbox:
        for host in ("127.0.0.1", "localhost", "127.1"):
            told = _send(tmp_path, f"http://{host}:{inbox.port}/x", [])
            assert told and "is no public address" in told, told
        assert inbox.got == []


def test_a_redirection_is_not_followed(tmp_path: Path) -> None:
    with http_receiver() as inbox, http_receiver() as inner:
        inbox.status, inbox.location = 307, f"http://127.0.0.1:{inner.port}/"
        told = _send(tmp_path, f"http://127.0.0.1:{inbox.port}/", ["127.0.0.1"])
        assert told == "127.0.0.1 sends elsewhere (307): name that address itself"
        assert len(inbox.got) == 1 and inner.got == []


def test_what_apprise_sends_is_looked_at_too_also_where_it_is_redirected(tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="apprise is not installed (everloop[alerts])")
    with http_receiver() as inbox:
        told = _send(tmp_path, f"json://127.0.0.1:{inbox.port}/", [])
        assert told and "is no public address" in told
        assert inbox.got == []
        inbox.status, inbox.location = 307, "http://169.254.169.254/latest/meta-data"
        told = _send(tmp_path, f"json://127.0.0.1:{inbox.port}/", ["127.0.0.1"])
        assert told and "169.254.169.254 is no public address" in told
