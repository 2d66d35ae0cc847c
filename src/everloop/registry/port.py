"""The port: a registry of runs and versions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from everloop.ids import ActionKey, BundleId
from everloop.registry.runs import ModelVersion, RunRecord


class Registry(Protocol):
    """Keeps runs and versions. Each call may be repeated after a crash without doubling."""

    def record_run(self, record: RunRecord, artifacts: Path | None) -> str:
        """Record an attempt, once for its key; the registry's own id of the run is returned.

        One that is not over is recorded as it is now, and again when that changes. Once it is
        over its record stands.
        """

    def add_metrics(self, run: ActionKey, metrics: Mapping[str, float]) -> None:
        """What became known of a recorded run afterwards; nothing happens where there is none."""

    def register(
        self, bundle: BundleId, *, run_id: str, tags: Mapping[str, str], files: Path, card: str
    ) -> int:
        """Enter a bundle as a version, once; its number is returned."""

    def versions(self) -> list[ModelVersion]:
        """All versions of the product, oldest first."""

    def set_alias(self, alias: str, version: int) -> None:
        """Let an alias such as `champion` name this version."""
