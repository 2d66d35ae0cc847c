"""The policy version names everything that decides what labellers see, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from everloop.errors import Refused
from everloop.policy import PrivacyPolicy
from everloop.policy_file import parse_policy
from everloop.privacy import text
from everloop.privacy.rules import Rules, rules_in_force


def _rules(project: Path, hook: str | None = None, **policy: Any) -> Rules:
    return rules_in_force(PrivacyPolicy.model_validate(policy), project, hook)


def test_another_setting_detector_name_or_hook_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Ann Smith\n")
    both: dict[str, Any] = {"filters": ["metadata", "faces"]}
    listed: dict[str, Any] = {"text": {"names_file": "names.txt"}}
    versions = [
        _rules(tmp_path).version,
        _rules(tmp_path, max_side=100).version,
        _rules(tmp_path, **both).version,
        _rules(tmp_path, **both, faces={"min_score": 0.5}).version,
        _rules(tmp_path, regions=[[0, 0, 1, 0.1]]).version,
        _rules(tmp_path, hook="c" * 64).version,
        _rules(tmp_path, **listed).version,
    ]
    (tmp_path / "names.txt").write_text("Ann Smith\nZoe Miller\n")
    versions.append(_rules(tmp_path, **listed).version)
    assert None not in versions and len(set(versions)) == len(versions)


def test_how_the_work_is_done_is_no_part_of_the_version(tmp_path: Path) -> None:
    other = _rules(tmp_path, workers=7, patience="5s", timeout="1h")
    assert other.version == _rules(tmp_path).version


def test_what_cannot_be_set_up_closes_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = _rules(tmp_path, text={"names_file": "none.txt"})
    assert missing.version is None and "none.txt" in str(missing.closed)
    unknown = _rules(tmp_path, filters=["metadata", "tattoos"])
    assert unknown.version is None and "faces, text" in str(unknown.closed)
    moderator = _rules(tmp_path, moderators=["nobody"])
    assert moderator.version is None and "everloop.moderation" in str(moderator.closed)
    # As where the extra is not installed.
    monkeypatch.setattr(text, "_LIBRARIES", ("rapidocr-that-is-not-there",))
    extra = _rules(tmp_path, filters=["metadata", "text"])
    assert extra.version is None and "pip install 'everloop[privacy]'" in str(extra.closed)


def test_metadata_cannot_be_switched_off() -> None:
    with pytest.raises(Refused, match="cannot be switched off"):
        parse_policy('level = 0\n[privacy]\nfilters = ["faces"]\n')


def test_it_says_what_is_not_filtered(tmp_path: Path) -> None:
    assert _rules(tmp_path).warnings() == ("faces are not filtered", "text is not filtered")
    assert _rules(tmp_path, filters=["metadata", "faces"]).warnings() == ("text is not filtered",)
