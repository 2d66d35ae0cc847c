"""The contract of a task, for built-in and third-party ones alike.

    class TestMyTask(TaskContract):
        task = MyTask(...)
        samples = [(b"...", "cat"), ...]

        def model(self, data): ...

A task that passes can be learnt, evaluated, gated, served, replayed, watched and labelled.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from everloop.data.training_data import SnapshotSide
from everloop.evaluation.comparison import compare
from everloop.evaluation.evaluate import check_made_for, evaluate, load, save
from everloop.evaluation.gates import Gates, judge
from everloop.evaluation.report import load_report, save_report
from everloop.evaluation.study import study
from everloop.ids import BundleId, Json, SampleId, SnapshotId
from everloop.labels import decode
from everloop.loop.jobs.bundling import Learnt, bundle_of
from everloop.monitoring.reference import read_reference
from everloop.policy import EvaluationPolicy
from everloop.rollout.replay import Replay, ReplayVerdict, judge_replay, replay
from everloop.rollout.service import candidate_service
from everloop.tasks.registry import by_declaration
from everloop.tasks.task import Learnable, learnable
from everloop_runtime.bundle import open_bundle
from everloop_runtime.ids import digest_bytes
from everloop_runtime.library import Predictor
from everloop_runtime.model import Model
from everloop_runtime.rows import RowSpec, read_row
from everloop_runtime.samples import to_input

_SNAPSHOT = SnapshotId("5" * 64)
_TOLERANCE = 1e-3
_GOLDEN = 4


class TaskContract:
    """Give a task, samples of it and a model; every test here must pass."""

    task: ClassVar[Learnable]
    samples: ClassVar[Sequence[tuple[bytes, str]]]
    """Original bytes and the text of their label (`everloop.labels.encode`), 24 or more."""
    service: ClassVar[tuple[str, ...]] = (sys.executable, "-m", "everloop_runtime.main")
    """Starts the prediction service."""

    def model(self, data: SnapshotSide) -> Any:
        """What a training function would return; it need not be good."""
        raise NotImplementedError

    # The parts.

    @pytest.fixture(scope="class")
    @classmethod
    def bundles(cls, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BundleId]:
        """A folder, and the bundle of the model that is in it."""
        folder = tmp_path_factory.mktemp("bundles")
        return folder, cls().bundle(folder)

    def side(self, samples: Sequence[tuple[bytes, str]]) -> SnapshotSide:
        """Samples as one side of a snapshot."""
        import numpy as np

        spec = self.task.input_of(lambda: [data for data, _ in self.samples])
        return SnapshotSide(
            self.task.classes,
            tuple(SampleId(digest_bytes(data)) for data, _ in samples),
            ("labelled",) * len(samples),
            spec,
            np.stack([to_input(data, spec) for data, _ in samples]),
            tuple(label for _, label in samples),
            self.task.targets([label for _, label in samples]),
        )

    def sides(self) -> tuple[SnapshotSide, SnapshotSide]:
        """Two thirds to learn from, and the hold-out."""
        learnt = [sample for n, sample in enumerate(self.samples) if n % 3]
        return self.side(learnt), self.side(self.samples[::3])

    def bundle(self, folder: Path) -> BundleId:
        """A bundle of the model, under `folder`."""
        data, held = self.sides()
        golden = [sample for sample, _ in self.samples[::3]][:_GOLDEN]
        lineage: dict[str, Json] = {"snapshot": _SNAPSHOT}
        learnt = Learnt("contract", self.task, _SNAPSHOT, data, held, golden, lineage)
        return bundle_of(folder, self.model(data), learnt)

    def replayed(
        self, bundles: tuple[Path, BundleId], scratch: Path, service: tuple[str, ...]
    ) -> ReplayVerdict:
        """The hold-out through a live service of the bundle, held to its evaluation."""
        folder, name = bundles
        opened = open_bundle(folder / name, name)
        found = evaluate(Model.load(opened), _SNAPSHOT, self.sides()[1], self.task)
        rows = isinstance(opened.manifest.spec, RowSpec)
        sent = [read_row(data) if rows else data for data, _ in self.samples[::3]]
        with candidate_service(service, name, folder, scratch) as client:
            given = replay(client, sent, opened.answers)
        return judge_replay(found, given, _TOLERANCE, self.task, opened.answers)

    # The contract.

    def test_it_is_made_again_from_its_declaration(self) -> None:
        told = json.loads(json.dumps(dict(self.task.declaration())))
        again = by_declaration(told)
        assert learnable(again).declaration() == self.task.declaration()

    def test_it_takes_its_own_labels_and_says_why_not_others(self) -> None:
        assert {self.task.accepts(decode(label)) for _, label in self.samples} == {None}
        strange = decode('{"boxes":[["no such class",0.0,0.0,1.0,1.0]]}')
        assert self.task.accepts(strange)

    def test_a_bundle_answers_and_is_measured(
        self, bundles: tuple[Path, BundleId], tmp_path: Path
    ) -> None:
        import numpy as np

        folder, name = bundles
        assert self.bundle(folder) == name, "the same inputs give the same bundle"
        opened = open_bundle(folder / name, name)
        check_made_for(opened.manifest, self.task)
        held, model = self.sides()[1], Model.load(opened)
        values = model.predict(held.inputs).values
        assert values.shape == (len(held), *opened.answers.shape) and np.isfinite(values).all()
        found = evaluate(model, _SNAPSHOT, held, self.task)
        assert self.task.quality in found.metrics, "what stands for the whole is among the metrics"
        assert found.qualities.shape == (len(held),) and np.isfinite(found.qualities).all()
        again = load(tmp_path, save(tmp_path, found))
        assert np.array_equal(again.values, found.values) and again.labels == found.labels
        verdict = judge(again, found, Gates({}, 0.05, 1, 0.0))
        assert verdict.passed, "nothing is worse than itself"

    def test_a_bundle_is_studied(self, bundles: tuple[Path, BundleId], tmp_path: Path) -> None:
        folder, name = bundles
        held, model = self.sides()[1], Model.load(open_bundle(folder / name, name))
        outputs, originals = model.predict(held.inputs), [data for data, _ in self.samples[:4]]
        found = evaluate(model, _SNAPSHOT, held, self.task)
        low_high = found.intervals.get(self.task.quality)
        assert low_high is not None and low_high[0] <= low_high[1], "each metric has an interval"
        policy = EvaluationPolicy(robustness=True, severities=(3,), robustness_samples=16)
        report = study(model, held, outputs, found, self.task, policy, originals)
        assert {"latency_p95_ms", "bundle_mib"} <= report.facts.keys()
        assert report.robustness is not None, "some damage fits"
        assert load_report(tmp_path, save_report(tmp_path, report)) == report
        same = compare(found, found, self.task)
        assert same is not None and same.p_worse == same.p_better == 1.0

    def test_answers_that_are_no_numbers_have_no_metrics(self) -> None:
        import numpy as np

        held = self.sides()[1]
        values = np.full((len(held), *self._shape()), np.nan, np.float32)
        assert all(np.isnan(figure) for figure in self.task.score(values, held.targets).values())

    def _shape(self) -> tuple[int, ...]:
        from everloop_runtime.answers.declared import answer_kind

        return answer_kind(self.task.answer(), self.task.classes).shape

    def test_answers_are_watched_and_weighed(self, bundles: tuple[Path, BundleId]) -> None:
        import numpy as np

        folder, name = bundles
        opened, held = open_bundle(folder / name, name), self.sides()[1]
        values = Model.load(opened).predict(held.inputs).values
        sure, unsure = self.task.confidences(values), self.task.unsureness(values)
        assert sure.shape == unsure.shape == (len(held),)
        assert np.isnan(sure).all() or ((sure >= 0) & (sure <= 1 + 1e-6)).all()
        assert ((unsure >= 0) & (unsure <= 1)).all()
        features = self.task.drift_features(values)
        assert features and {len(column) for column in features.values()} == {len(held)}
        before = self.task.drift_features(read_reference(opened.read("reference.npz")).values)
        assert list(before) == list(features)
        told = opened.answers.tell(values)
        assert all(self.task.accepts(decode(one.label)) is None for one in told), "a pre-label"

    def test_the_library_answers_as_evaluation(self, bundles: tuple[Path, BundleId]) -> None:
        import numpy as np

        folder, name = bundles
        opened, held = open_bundle(folder / name), self.sides()[1]
        predictor, kind, model = Predictor(folder / name), opened.answers, Model.load(opened)
        values = model.predict(held.inputs).values
        answers = predictor.predict_all([data for data, _ in self.samples[::3]])
        given = np.stack([kind.read(answer.told) for answer in answers])
        expected = np.stack([kind.read(json.loads(b"{%b}" % t.body)) for t in kind.tell(values)])
        assert kind.distance(given, expected).max() <= _TOLERANCE

    def test_the_live_service_gives_the_answers_of_evaluation(
        self, bundles: tuple[Path, BundleId], tmp_path: Path
    ) -> None:
        verdict = self.replayed(bundles, tmp_path, self.service)
        assert verdict.passed, verdict.reasons

    def test_a_replay_without_answers_does_not_pass(self, bundles: tuple[Path, BundleId]) -> None:
        import numpy as np

        folder, name = bundles
        opened = open_bundle(folder / name, name)
        found = evaluate(Model.load(opened), _SNAPSHOT, self.sides()[1], self.task)
        nothing = Replay(np.full_like(found.values, np.nan), ("timed out",) * len(found.values))
        verdict = judge_replay(found, nothing, _TOLERANCE, self.task, opened.answers)
        assert not verdict.passed and verdict.max_difference == float("inf")
