"""What every task's contract holds besides: a planted mistake does not pass the replay."""

import sys
from pathlib import Path

import pytest

from everloop.ids import BundleId
from everloop.testing.tasks import TaskContract


class _Planted(TaskContract):
    def check_stopped(self, bundles: tuple[Path, BundleId], scratch: Path, mistake: str) -> None:
        """What is right offline and wrong live is found."""
        wrong = (sys.executable, "-m", "tests.support.wrong_service", "request", mistake)
        verdict = self.replayed(bundles, scratch, wrong)
        assert not verdict.passed and "differ from evaluation" in verdict.reasons[0]


class PictureContract(_Planted):
    """Of a task whose samples are pictures."""

    @pytest.mark.parametrize("mistake", ["bgr", "nearest"])
    def test_a_planted_mistake_is_stopped_by_the_replay(
        self, bundles: tuple[Path, BundleId], tmp_path: Path, mistake: str
    ) -> None:
        self.check_stopped(bundles, tmp_path, mistake)


class TableContract(_Planted):
    """Of a task whose samples are rows."""

    @pytest.mark.parametrize("mistake", ["swapped", "filled"])
    def test_a_planted_mistake_is_stopped_by_the_replay(
        self, bundles: tuple[Path, BundleId], tmp_path: Path, mistake: str
    ) -> None:
        self.check_stopped(bundles, tmp_path, mistake)
