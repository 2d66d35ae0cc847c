"""A whole product whose data lies on a real object store: nothing but its settings says so."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.pictures import bar
from tests.support.projects import told
from tests.support.radosgw import RadosGateway
from tests.support.stored import on_store

from everloop.app.assemble import assemble
from everloop.data.blobs import open_blobs
from everloop.loop.forget import Wanted, forget
from everloop_runtime.ids import sample_id


def test_a_product_lives_on_an_object_store(
    radosgw: RadosGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, environment = on_store(tmp_path / "product", radosgw.store, pictures=40)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    taken = told(folder, "data", "import", folder / "data" / "labelled")
    assert taken["added"] == 80
    trained = told(folder, "train")
    evaluated = told(folder, "evaluate", trained["bundle"])
    assert evaluated["metrics"]["accuracy"] > 0.5
    project = assemble(folder)
    assert project.data.place.folder is None
    keys = {blob.key.split("/")[0] for blob in open_blobs(project.data.place).list()}
    assert {"bytes.lance", "facts.lance", "annotations.lance", "snapshots"} <= keys
    assert list((folder / ".everloop" / "data").rglob("*")) == []
    # No file of the project has the credentials.
    secret = environment["AWS_SECRET_ACCESS_KEY"].encode()
    assert not [p for p in folder.rglob("*") if p.is_file() and secret in p.read_bytes()]
    lost = sample_id(bar(True, 4))
    done = forget(project, Wanted([lost]), by="ann", now=datetime.now(UTC))
    certified: Any = done.certificate.told
    assert [model["bundle"] for model in certified["models"]] == [trained["bundle"]]
    copy = shutil.copytree(folder / "data" / "labelled", folder / "copy")
    assert told(folder, "data", "import", copy)["added"] == 0
