"""The pages as a process of their own: over TLS, with their tokens made and voided by command."""

import base64
import ipaddress
import json
import re
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID
from tests.support.pages import things_project
from tests.support.projects import EVERLOOP, everloop, product_up, until

from everloop.app.assemble import assemble
from everloop.app.storage import open_data
from everloop.cli.main import run
from everloop.cli.program import Program
from everloop.layout import Layout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product whose pages speak TLS."""
    folder = tmp_path_factory.mktemp("tls") / "things"
    things_project(folder)
    _certify(folder)
    settings = folder / "everloop.toml"
    tls = '[web]\nhost = "127.0.0.1"\nport = 0\ncertificate = "chain.pem"\nkey = "key.pem"\n'
    settings.write_text(settings.read_text().replace("[web]\n", tls))
    return folder


def _certify(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pages")])
    start = datetime.now(UTC) - timedelta(days=1)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=9))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "chain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture(scope="module")
def url(project: Path) -> Iterator[str]:
    """Where `everloop web` answers; it must end well."""
    log = (project / "web.log").open("w")
    process = subprocess.Popen([*EVERLOOP, "web", "--project", str(project)], stderr=log)
    address = Layout(project).pages_address
    yield str(json.loads(until(lambda: address.exists() and address.read_text()))["url"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not address.exists()
    log.close()


def _client(project: Path, url: str) -> httpx.Client:
    trust = ssl.create_default_context(cafile=str(project / "chain.pem"))
    return httpx.Client(base_url=url, verify=trust, timeout=30, trust_env=False)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """What a command prints as JSON; it is run in this process and must succeed."""
    program = Program(assemble, open_data, lambda *_: None)

    def say(*arguments: str | Path, project: Path | None = None) -> Any:
        where = [] if project is None else ["--project", str(project), "--json"]
        assert run(program, [*map(str, arguments), *where]) == 0
        out = capsys.readouterr().out
        return json.loads(out) if where else out

    return say


def test_a_token_made_by_command_opens_a_session_over_tls_and_is_voided(
    project: Path, url: str, told: Callable[..., Any]
) -> None:
    made = told("web", "token", "ann", "--role", "viewer", "--by", "bob", project=project)
    with _client(project, url) as client:
        answer = client.post("/login", data={"token": made["token"]})
        assert answer.status_code == 303 and "; Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]
        assert client.get("/models").status_code == 200
        (listed,) = told("web", "tokens", project=project)
        assert (listed["name"], listed["good"]) == ("ann", True)
        assert "token" not in listed
        told("web", "revoke", made["id"], project=project)
        assert client.get("/models").status_code == 401


def test_what_a_stranger_sends_is_one_line_of_the_log(project: Path, url: str) -> None:
    with _client(project, url) as client:
        client.get("/models", headers={"x-request-id": "evl_secret\x1b[31m"})
        client.get("/%0aINFO%20token=abc")
    lines = (project / "web.log").read_text().splitlines()
    assert lines and all(json.loads(line)["level"] for line in lines)
    assert "\x1b" not in "".join(lines) and "evl_secret" not in "".join(lines)


def test_the_audit_log_is_checked_and_written_out_with_a_signature(
    project: Path, tmp_path: Path, told: Callable[..., Any]
) -> None:
    told("web", "token", "cara", "--role", "labeller", project=project)
    entries = told("audit", "list", project=project)
    checked = told("audit", "verify", project=project)
    assert checked == {"entries": len(entries), "newest_seal": entries[-1]["seal"]}
    told("package", "keys", tmp_path / "key")
    file = tmp_path / "audit.jsonl"
    said = told("audit", "export", file, "--key", tmp_path / "key", project=project)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == entries and lines[-1]["what"] == "make a token"
    again = told("audit", "verify", file, "--public", tmp_path / "key.pub", project=project)
    assert again == checked
    # Whoever changes what was written out is found by the signature, and by the seals.
    changed = tmp_path / "changed.jsonl"
    changed.write_text(file.read_text().replace("cara", "carl"))
    (tmp_path / "changed.jsonl.sig").write_bytes((tmp_path / "audit.jsonl.sig").read_bytes())
    signed = everloop(project, "audit", "verify", changed, "--public", said["signed_by"])
    assert signed.code == 3 and "is no signature of" in signed.err
    sealed = everloop(project, "audit", "verify", changed)
    assert sealed.code == 3 and f"entry {len(entries)} does not fit" in sealed.err
    public = base64.b64decode(said["signed_by"].removeprefix("ed25519:"))
    signature = base64.b64decode((tmp_path / "audit.jsonl.sig").read_text())
    Ed25519PublicKey.from_public_bytes(public).verify(signature, file.read_bytes())


def test_pages_that_are_served_already_are_not_served_twice(project: Path, url: str) -> None:
    said = everloop(project, "web")
    assert said.code == 5 and url in said.err
    assert Layout(project).pages_address.exists()


def test_up_starts_the_pages_lets_the_first_one_in_and_stops_them(tmp_path: Path) -> None:
    folder = tmp_path / "things"
    things_project(folder)
    settings = folder / "everloop.toml"
    settings.write_text(settings.read_text().replace("[web]\non = false", "[web]\nport = 0"))
    log, address = folder / "up.log", Layout(folder).pages_address
    with product_up(folder):
        until(lambda: "loop     running" in log.read_text(), why="the start")
        said = log.read_text()
        (url,) = re.findall(r"pages    (http://\S+)", said)
        (token,) = re.findall(r"/login#(evl_\S+)", said)
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            until(lambda: _answers(client), why="the pages")
            assert client.post("/login", data={"token": token}).status_code == 303
            assert "administrator" in client.get("/people").text
    assert not address.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez", trust_env=False)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False
