"""Studies as MLflow's nested runs: one for the study, one below it for each trial."""

from collections.abc import Mapping
from pathlib import Path

from everloop.adapters.mlflow_registry import MlflowRegistry, translated
from everloop.registry.studies import StudyRecord, TrialRecord

_PARENT, _STUDY, _TRIAL = "mlflow.parentRunId", "everloop.study", "everloop.trial"
_STATES = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_PAGE, _BATCH, _LONGEST = 1000, 1000, 5000


class MlflowStudies(MlflowRegistry):
    """See `StudyBook`. The caller makes sure that one process at a time records a study."""

    def __init__(self, tracking_uri: str, artifacts: Path, product: str) -> None:
        super().__init__(tracking_uri, artifacts, product)
        self._begun: dict[str, dict[int, str]] = {}
        """Of a study's run: the trials that were left half written."""

    def open(self, study: StudyRecord) -> str:
        """See `StudyBook`."""
        from mlflow.entities import Param

        with translated():
            found = self._client.search_runs(
                [self._experiment], f"tags.`{_STUDY}` = '{study.id}'", max_results=1
            )
            if found:
                return str(found[0].info.run_id)
            tags = {**study.tags, _STUDY: study.id}
            made = self._client.create_run(self._experiment, tags=tags, run_name=study.name)
            params = [Param(name, str(value)) for name, value in study.params.items()]
            self._client.log_batch(made.info.run_id, params=params)
            return str(made.info.run_id)

    def recorded(self, run: str) -> frozenset[int]:
        """See `StudyBook`."""
        whole: set[int] = set()
        begun: dict[int, str] = {}
        token: str | None = None
        with translated():
            while True:
                page = self._client.search_runs(
                    [self._experiment],
                    f"tags.`{_PARENT}` = '{run}'",
                    max_results=_PAGE,
                    page_token=token,
                )
                for one in page:
                    number = int(one.data.tags[_TRIAL])
                    if one.info.status == "RUNNING":
                        begun[number] = str(one.info.run_id)
                    else:
                        whole.add(number)
                token = page.token
                if not token:
                    break
        self._begun[run] = begun
        return frozenset(whole)

    def record(self, run: str, trial: TrialRecord) -> None:
        """See `StudyBook`. A trial that was left half written is completed."""
        from mlflow.entities import Metric, Param, RunTag

        ended = round(trial.ended_at.timestamp() * 1000)
        with translated():
            identity = self._begun.get(run, {}).get(trial.number) or self._begin(run, trial)
            history = [Metric(name, value, at, step) for step, name, value, at in trial.history]
            final = [Metric(name, value, ended, 0) for name, value in trial.metrics.items()]
            error = [RunTag("everloop.error", trial.error[:_LONGEST])] if trial.error else []
            params = [Param(name, str(value)) for name, value in trial.params.items()]
            self._client.log_batch(
                identity, params=params, metrics=[*final, *history][:_BATCH], tags=error
            )
            rest = [*final, *history][_BATCH:]
            for start in range(0, len(rest), _BATCH):
                self._client.log_batch(identity, metrics=rest[start : start + _BATCH])
            if trial.artifacts is not None:
                self._client.log_artifacts(identity, str(trial.artifacts), "artifacts")
            # The end comes last: until then a repeat fills the run again.
            self._client.set_terminated(identity, _STATES[trial.state], ended)

    def _begin(self, run: str, trial: TrialRecord) -> str:
        made = self._client.create_run(
            self._experiment,
            start_time=round(trial.started_at.timestamp() * 1000),
            tags={_PARENT: run, _TRIAL: str(trial.number), "everloop.state": trial.state},
            run_name=f"trial {trial.number}",
        )
        return str(made.info.run_id)

    def close(self, run: str, metrics: Mapping[str, float], files: Path) -> None:
        """See `StudyBook`."""
        with translated():
            for name, value in metrics.items():
                self._client.log_metric(run, name, value)
            if files.is_dir():
                self._client.log_artifacts(run, str(files), "study")
            self._client.set_terminated(run, "FINISHED")
