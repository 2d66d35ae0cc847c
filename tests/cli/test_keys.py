"""API keys on the command line, and what they mean for the control plane itself."""

import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.pictures import bar
from tests.support.projects import EVERLOOP, everloop, opened, told, write_project

from everloop.errors import Refused
from everloop.rollout.service import address_file, keep_service, live_service, wait_for_address
from everloop_runtime.client import Client


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    project = write_project(tmp_path / "bars")
    made = told(project, "serve", "keys", "add", "shop")
    assert made["key"].startswith("evl_")
    listed = {one["client"]: one for one in told(project, "serve", "keys", "list")}
    # The control plane has one of its own, so that it can go on asking.
    assert listed.keys() == {"shop", "everloop"}
    assert made["key"] not in str(listed)
    assert told(project, "serve", "keys", "revoke", "shop") == {"client": "shop", "revoked": 1}
    said = everloop(project, "serve", "keys", "revoke", "shop")
    assert said.code == 3 and "there are: everloop" in said.err


def test_with_keys_the_control_plane_still_finds_its_service(tmp_path: Path) -> None:
    project = write_project(tmp_path / "bars")
    key = told(project, "serve", "keys", "add", "shop")["key"]
    layout = opened(project).layout
    command = [*EVERLOOP, "serve", "--port", "0", "-C", str(project)]
    log = tmp_path / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        address = wait_for_address(process, address_file(layout), log)
        with Client(address.url) as stranger, pytest.raises(Refused, match="401"):
            stranger.predict(bar(True, 0))
        with Client(address.url, api_key=key) as shop:
            assert shop.status()["ready"] is False
        found = live_service(layout)
        assert found is not None and found.pid == process.pid
        assert keep_service(layout, (), "127.0.0.1", 0) == found
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
