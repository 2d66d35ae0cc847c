"""MLflow as the registry of runs and versions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from everloop.adapters.mlflow_database import ensure_database
from everloop.errors import Unavailable
from everloop.ids import ActionKey, BundleId
from everloop.registry.runs import ModelVersion, RunRecord, RunStatus

_KEY, _BUNDLE, _STATUS = "everloop.key", "everloop.bundle", "everloop.status"
_ENDS: Mapping[RunStatus, str] = {
    "interrupted": "KILLED",
    "finished": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}
"""MLflow knows no run that waits to go on; a tag tells it from one that was killed for good."""
_BATCH = 1000
_LONGEST = 5000
"""MLflow's own limit for a tag's text."""


class MlflowRegistry:
    """One experiment and one registered model a product.

    MLflow has no unique keys, so each call looks for its own tag first; the loop's lease makes
    sure that two processes do not look at once.
    """

    def __init__(self, tracking_uri: str, artifacts: Path, product: str) -> None:
        self._tracking_uri = tracking_uri
        self._artifacts = artifacts
        self._product = product

    @cached_property
    def _client(self) -> Any:
        ensure_database(self._tracking_uri, self._artifacts)
        from mlflow import MlflowClient

        return MlflowClient(self._tracking_uri, self._tracking_uri)

    @cached_property
    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._product)
        if found is not None:
            return str(found.experiment_id)
        place = self._artifacts.resolve().as_uri()
        return str(self._client.create_experiment(self._product, artifact_location=place))

    def record_run(self, record: RunRecord, artifacts: Path | None) -> str:
        """See `Registry`. A run that was left half written is completed."""
        with translated():
            run = self._find_run(record.key)
            if run is None:
                run = self._client.create_run(
                    self._experiment,
                    start_time=_milliseconds(record.started_at.timestamp()),
                    tags={_KEY: record.key},
                    run_name=record.key.removeprefix("train-")[:8],
                )
            identity = str(run.info.run_id)
            if run.data.tags.get(_STATUS) == "interrupted":
                self._client.update_run(identity, "RUNNING")
            elif run.info.status != "RUNNING":
                return identity
            self._describe(identity, record)
            if record.over:
                self._fill(identity, record, artifacts)
            elif record.status == "interrupted":
                self._end(identity, record)
            return identity

    def _find_run(self, key: str) -> Any:
        found = self._client.search_runs(
            [self._experiment], f"tags.`{_KEY}` = '{key}'", max_results=1
        )
        return found[0] if found else None

    def _describe(self, run: str, record: RunRecord) -> None:
        """What is known before a run has ended, too."""
        from mlflow.entities import Param, RunTag

        tags = {
            "everloop.snapshot": record.snapshot,
            "everloop.code": record.code,
            "everloop.seed": str(record.seed),
            "everloop.threads": str(record.threads),
            "everloop.lives": str(record.lives),
            _STATUS: record.status,
            _BUNDLE: record.bundle or "",
            "everloop.error": (record.error or "")[:_LONGEST],
            "mlflow.note.content": "\n\n".join(record.notes)[:_LONGEST],
            **{f"everloop.hardware.{name}": value for name, value in record.hardware.items()},
            **{f"everloop.git.{name}": value for name, value in record.git.items()},
        }
        if record.checkpoint is not None:
            tags["everloop.checkpoint"] = str(record.checkpoint)
        if "commit" in record.git:
            tags["mlflow.source.git.commit"] = record.git["commit"]
        params = [Param(name, str(value)) for name, value in record.params.items()]
        self._client.log_batch(
            run, params=params, tags=[RunTag(name, value) for name, value in tags.items()]
        )

    def _fill(self, run: str, record: RunRecord, artifacts: Path | None) -> None:
        from mlflow.entities import Metric

        ended = _milliseconds(record.ended_at.timestamp())
        history = [Metric(name, value, at, step) for step, name, value, at in record.history]
        logged = {metric.key for metric in history}
        history += [
            Metric(name, value, ended, 0)
            for name, value in record.metrics.items()
            if name not in logged
        ]
        for start in range(0, len(history), _BATCH):
            self._client.log_batch(run, metrics=history[start : start + _BATCH])
        if record.environment:
            self._client.log_dict(run, dict(record.environment), "environment.json")
        for name, text in record.texts.items():
            self._client.log_text(run, text, name)
        if artifacts is not None:
            self._client.log_artifacts(run, str(artifacts), "artifacts")
        # The end comes last: until then a repeat fills the run again.
        self._end(run, record)

    def _end(self, run: str, record: RunRecord) -> None:
        ended = _milliseconds(record.ended_at.timestamp())
        self._client.set_terminated(run, _ENDS[record.status], ended)

    def add_metrics(self, run: ActionKey, metrics: Mapping[str, float]) -> None:
        """See `Registry`."""
        with translated():
            found = self._find_run(run)
            known = {} if found is None else found.data.metrics
            for name, value in metrics.items():
                if found is not None and known.get(name) != value:
                    self._client.log_metric(found.info.run_id, name, value)

    def register(
        self, bundle: BundleId, *, run_id: str, tags: Mapping[str, str], files: Path, card: str
    ) -> int:
        """See `Registry`. The bundle's files and its card are artifacts of the run."""
        with translated():
            for version in self.versions():
                if version.bundle == bundle:
                    return version.version
            self._client.log_artifacts(run_id, str(files), "bundle")
            self._client.log_text(run_id, card, "card.md")
            self._ensure_model()
            made = self._client.create_model_version(
                self._product,
                source=f"{self._client.get_run(run_id).info.artifact_uri}/bundle",
                run_id=run_id,
                tags={_BUNDLE: bundle, **tags},
                description=card,
            )
            return int(made.version)

    def _ensure_model(self) -> None:
        known = self._client.search_registered_models(f"name = '{self._product}'")
        if not known:
            self._client.create_registered_model(self._product)

    def versions(self) -> list[ModelVersion]:
        """See `Registry`."""
        with translated():
            found = self._client.search_model_versions(f"name = '{self._product}'")
            aliases = self._aliases()
        versions = [
            ModelVersion(
                int(version.version),
                BundleId(version.tags[_BUNDLE]),
                str(version.run_id),
                tuple(sorted(a for a, v in aliases.items() if v == int(version.version))),
            )
            for version in found
            if _BUNDLE in version.tags
        ]
        return sorted(versions, key=lambda version: version.version)

    def _aliases(self) -> Mapping[str, int]:
        models = self._client.search_registered_models(f"name = '{self._product}'")
        return {a: int(v) for a, v in models[0].aliases.items()} if models else {}

    def set_alias(self, alias: str, version: int) -> None:
        """See `Registry`."""
        with translated():
            self._client.set_registered_model_alias(self._product, alias, str(version))


@contextmanager
def translated() -> Iterator[None]:
    """MLflow's errors as `Unavailable`."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise Unavailable(f"MLflow did not take it: {error.message}") from error


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
