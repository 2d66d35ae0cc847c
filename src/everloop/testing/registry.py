"""What every `registry.Registry` must do."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from everloop.ids import ActionKey, BundleId
from everloop.registry.port import Registry
from everloop.registry.runs import RunRecord

_BUNDLE = BundleId("b" * 64)


class RegistryContract:
    """Subclass it, override `registry`, and let pytest collect the subclass."""

    def registry(self, folder: Path) -> Registry:
        """A new handle on the registry kept in `folder`, as a restarted controller would make."""
        raise NotImplementedError

    def test_a_run_is_recorded_once_for_its_key(self, tmp_path: Path) -> None:
        first = self.registry(tmp_path).record_run(_record(), None)
        assert self.registry(tmp_path).record_run(_record(), None) == first
        other = replace(_record(), key=ActionKey("train-2"))
        assert self.registry(tmp_path).record_run(other, None) != first

    def test_a_failed_attempt_is_recorded_too(self, tmp_path: Path) -> None:
        failed = replace(_record(), bundle=None, status="failed", error="it diverged", metrics={})
        assert self.registry(tmp_path).record_run(failed, None)

    def test_a_bundle_is_one_version_however_often_it_is_registered(self, tmp_path: Path) -> None:
        files = _files(tmp_path)
        run = self.registry(tmp_path).record_run(_record(), None)
        numbers = {
            self.registry(tmp_path).register(
                _BUNDLE, run_id=run, tags={"a": "b"}, files=files, card="# a card"
            )
            for _ in range(3)
        }
        assert numbers == {1}
        (version,) = self.registry(tmp_path).versions()
        assert (version.bundle, version.run) == (_BUNDLE, run)

    def test_an_alias_names_one_version_at_a_time(self, tmp_path: Path) -> None:
        registry, files = self.registry(tmp_path), _files(tmp_path)
        run = registry.record_run(_record(), None)
        for letter in "bc":
            registry.register(
                BundleId(letter * 64), run_id=run, tags={}, files=files, card="# a card"
            )
        for number in (1, 2, 2):
            registry.set_alias("champion", number)
        assert [v.aliases for v in registry.versions()] == [(), ("champion",)]


def _record() -> RunRecord:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return RunRecord(
        key=ActionKey("train-1"),
        product="contract",
        snapshot="s" * 64,
        bundle=_BUNDLE,
        params={"epochs": 3, "name": "x"},
        metrics={"loss": 0.25},
        history=((0, "loss", 0.5, 1_700_000_000_000), (1, "loss", 0.25, 1_700_000_001_000)),
        code="c" * 64,
        environment={"python": "3.11"},
        hardware={"cores": "2"},
        seed=7,
        started_at=at,
        ended_at=at,
        status="finished",
        error=None,
    )


def _files(folder: Path) -> Path:
    files = folder / "files"
    files.mkdir(exist_ok=True)
    (files / "model.onnx").write_bytes(b"model")
    return files
