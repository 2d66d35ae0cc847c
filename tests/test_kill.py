"""`everloop up` killed at every boundary of every Action, and inside training."""

import os
import signal
import time
from pathlib import Path

from tests.support.projects import everloop, opened, results, until, write_project
from tests.support.warm import Warm
from tests.support.world import World

from everloop.layout import Layout
from everloop.rollout.service import live_service

KINDS = {
    *("ingest", "snapshot", "train", "track", "evaluate", "gate", "register", "approve"),
    *("verify", "canary", "promote", "collect", "monitor", "select", "record-answers"),
}


class _Lives:
    """One `up` after another: each ends by its own hand or by the test's."""

    def __init__(self, project: Path, ledger: Path) -> None:
        self._arguments = [str(project), str(ledger)]
        self._log = (project / "up.log").open("ab")
        self.count = 0
        self._begin()

    def _begin(self) -> None:
        self.process = Warm(
            "tests.support.killed_up:killed_up", self._arguments, self._log, self._log
        )
        self.count += 1

    def go_on(self) -> None:
        """Begin the next life if the last has ended."""
        code = self.process.poll()
        if code is not None:
            assert code == -signal.SIGKILL
            self._begin()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self._log.close()


def _pids_of(words: str) -> list[int]:
    """Processes whose command line holds `words`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if words in line:
                found.append(int(entry.name))
    return found


def _kill_training(project: Path) -> bool:
    """Kill the training job that is in the midst of it; False while there is none."""
    for folder in Layout(project).jobs.glob("train-*"):
        figures, end = folder / "figures.jsonl", folder / "result.json"
        if figures.exists() and figures.stat().st_size and not end.exists():
            pids = _pids_of(str(folder))
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            return bool(pids)
    return False


def test_killed_anywhere_the_loop_comes_to_its_end_and_loses_nothing(tmp_path: Path) -> None:
    project = write_project(tmp_path / "bars", steps=1500, strategy="shadow-then-canary")
    ledger = tmp_path / "ledger.txt"
    stores = opened(project)
    world = World(project)
    lives = _Lives(project, ledger)
    world.start()
    killed_in_training = service_killed = False
    try:
        deadline = time.monotonic() + 900
        while len(results(stores, "promote")) < 2:
            assert time.monotonic() < deadline, everloop(project, "why").out
            lives.go_on()
            if not killed_in_training and _kill_training(project):
                killed_in_training = True
                lives.kill()
            if results(stores, "promote") and len(world.answered) > 30:
                world.negative = True
            if world.negative and not service_killed and len(world.answered) > 60:
                service_killed = True
                address = until(lambda: live_service(Layout(project)), why="no service")
                os.kill(address.pid, signal.SIGKILL)
            time.sleep(0.05)
        recovered = len(world.answered)
        until(lambda: len(world.answered) > recovered + 60, why="no answers after recovery")
        world.stop()
        address = until(lambda: live_service(Layout(project)), why="no service at the end")
        with address.client() as client:
            client.flush()
        given = {prediction for prediction, _ in world.answered}

        def collected() -> bool:
            lives.go_on()
            return given <= set(stores.data.predictions.ids())

        def recorded() -> bool:
            lives.go_on()
            return world.labelled.keys() <= stores.data.annotations.current().keys()

        until(collected, seconds=60, why="captured answers are missing")
        # Answers of a round that nobody finishes are recorded once nobody goes on answering.
        until(recorded, seconds=60, why="saved labels are missing")
    finally:
        lives.end()
        everloop(project, "down")
    met = ledger.read_text().splitlines()
    assert {line.split()[0] for line in met} >= KINDS
    assert len(met) == len(set(met)) >= 2 * len(KINDS)
    assert lives.count > len(met)
    assert killed_in_training and service_killed
    kept = stores.data.predictions.ids()
    assert len(kept) == len(set(kept)), "an answer was kept twice"
    labels = stores.data.annotations.current()
    assert world.labelled
    for sample, label in world.labelled.items():
        assert (labels[sample].label, labels[sample].by) == (label, "ann")
    bundles = [version.bundle for version in stores.registry.versions()]
    assert len(bundles) == len(set(bundles)) >= 2
    assert stores.releases.current().champion in bundles
    right = [right for _, right in world.answered[recovered:]]
    assert sum(right) / len(right) > 0.9
