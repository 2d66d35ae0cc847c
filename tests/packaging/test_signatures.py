"""Signatures: who vouches for a bundle, and a service that asks for it."""

import json
import stat
from pathlib import Path

import pytest
from tests.support.bundles import make_bundle
from tests.support.pictures import flat
from tests.support.projects import everloop
from tests.support.services import COMMAND

from everloop.errors import Refused, Unavailable
from everloop.ids import BundleId
from everloop.packaging.keys import make_keys, read_private, read_public, sign_bundle
from everloop.policy_file import parse_policy
from everloop.rollout.service import candidate_service, trust_options
from everloop_runtime.bundle import SIGNATURES, open_bundle
from everloop_runtime.signatures import Trust, check_trust


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    """The public keys of two pairs, `one` and `two`."""
    return make_keys(tmp_path / "one"), make_keys(tmp_path / "two")


def test_only_a_right_signature_by_a_trusted_key_satisfies(
    tmp_path: Path, keys: tuple[str, str]
) -> None:
    bundle, other = (open_bundle(tmp_path / "b" / make_bundle(tmp_path / "b", x)) for x in (0, 1))
    trust = Trust(keys[:1], required=True)
    with pytest.raises(Refused, match="has 0 signatures, none by a trusted key"):
        check_trust(bundle, trust)
    sign_bundle(bundle, read_private(tmp_path / "two"))
    with pytest.raises(Refused, match="has 1 signatures, none by a trusted key"):
        check_trust(bundle, trust)
    assert sign_bundle(bundle, read_private(tmp_path / "one")) == keys[0]
    before = (bundle.path / SIGNATURES).read_bytes()
    sign_bundle(bundle, read_private(tmp_path / "one"))
    assert (bundle.path / SIGNATURES).read_bytes() == before
    assert check_trust(open_bundle(bundle.path), trust) == keys[0]
    # Another bundle's signature does not fit, required or not.
    (other.path / SIGNATURES).write_bytes(before)
    for required in (True, False):
        with pytest.raises(Refused, match="has a wrong signature"):
            check_trust(other, Trust(keys[:1], required=required))


@pytest.mark.parametrize("broken", [b"[]", b"{", b'{"signatures": [{"key": 1}]}', b"[" * 60_000])
def test_a_broken_signature_file_is_refused(
    tmp_path: Path, keys: tuple[str, str], broken: bytes
) -> None:
    bundle = open_bundle(tmp_path / "b" / make_bundle(tmp_path / "b"))
    (bundle.path / SIGNATURES).write_bytes(broken)
    with pytest.raises(Refused, match=r"signature\.json cannot be read"):
        check_trust(bundle, Trust(keys, required=True))


def test_a_service_told_to_require_signatures_serves_only_what_is_signed(
    tmp_path: Path, keys: tuple[str, str]
) -> None:
    signed, unsigned = (make_bundle(tmp_path / "b", lean) for lean in (0, 1))
    sign_bundle(open_bundle(tmp_path / "b" / signed), read_private(tmp_path / "one"))
    policy = parse_policy(
        f'level = 0\n[bundle]\nrequire_signature = true\ntrusted_keys = ["{keys[0]}"]'
    )
    command = (*COMMAND, *trust_options(policy.bundle))
    with _served(command, signed, tmp_path) as client:
        assert client.predict(flat(240)).label == "bright"
    with (
        pytest.raises(Unavailable, match="none by a trusted key"),
        _served(command, unsigned, tmp_path),
    ):
        pass


def _served(command: tuple[str, ...], bundle: BundleId, tmp_path: Path):  # type: ignore[no-untyped-def]
    scratch = tmp_path / bundle[:8]
    scratch.mkdir()
    return candidate_service(command, bundle, tmp_path / "b", scratch)


def test_keys_are_made_once_and_kept_from_others(tmp_path: Path, keys: tuple[str, str]) -> None:
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    assert read_public(str(tmp_path / "one.pub")) == keys[0] != keys[1]
    with pytest.raises(Refused, match="cannot be written"):
        make_keys(tmp_path / "one")
    with pytest.raises(Refused, match="no private key"):
        read_private(tmp_path / "one.pub")
    for wrong in ("ed25519:xyz", "ed25519:", "nothing", str(tmp_path)):
        with pytest.raises(Refused):
            read_public(wrong)
    with pytest.raises(Refused, match="no public key is trusted"):
        Trust((), required=True)
    with pytest.raises(Refused, match="require_signature needs a key"):
        parse_policy("level = 0\n[bundle]\nrequire_signature = true")


def test_the_commands_sign_and_verify(tmp_path: Path) -> None:
    folder = tmp_path / "b" / make_bundle(tmp_path / "b")
    made = everloop(None, "package", "keys", tmp_path / "key", "--json").json()
    unsigned = everloop(None, "package", "verify", folder, "--key", made["public"])
    assert unsigned.code == 3 and "none by a trusted key" in unsigned.err
    assert everloop(None, "package", "sign", folder, "--key", tmp_path / "key").code == 0
    verified = everloop(None, "package", "verify", folder, "--key", tmp_path / "key.pub", "--json")
    assert verified.json()["signed_by"] == made["public"]
    told = json.loads((folder / "signature.json").read_bytes())
    assert [entry["key"] for entry in told["signatures"]] == [made["public"]]
