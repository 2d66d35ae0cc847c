"""A real Prometheus scrapes service and loop; every rule and every panel works on what it gets."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.support.bundles import make_bundle
from tests.support.pages import fill, now, pages_of, things_project
from tests.support.pictures import flat
from tests.support.projects import until
from tests.support.radosgw import free_ports
from tests.support.services import running_service
from tools.dashboards import BOARDS, FOLDER, board, text

from everloop.action import Action, Outcome
from everloop.alarm import Alarm
from everloop.ids import Json
from everloop.loop import kinds
from everloop.loop.controller import acquire
from everloop.loop.metrics import Family
from everloop.loop.metrics import text as written
from everloop.loop.project import Project
from everloop.monitoring.finding import Finding
from everloop.state.outbox import Message
from everloop_runtime.client import Client
from everloop_runtime.errors import EverloopError
from everloop_runtime.routes import Routes

RULES = FOLDER.parent / "prometheus"


@dataclass(frozen=True)
class Scraping:
    """A Prometheus that has scraped service and loop a few times."""

    url: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What a query returns now."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


def _needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (apt-get install prometheus)")
    return path


def _busy_loop(project: Project) -> None:
    """Something of everything that the loop tells figures of."""
    put = fill(project)
    fence = acquire(project, now())
    assert fence is not None
    for kind, outcome in {"train": Outcome(True), "collect": Outcome(True, error="x")}.items():
        action = Action(kind, {"n": 1})
        project.journal.intend(action, kind, "planted", fence, now())
        project.journal.finish(action.key, outcome, fence, now())
    project.journal.intend(Action("evaluate", {"n": 2}), "judge", "planted", fence, now())
    project.releases.promote(put.bundles[0], fence, now())
    project.releases.set_canary(put.bundles[1], 0, 0.1, fence, now())
    drift = Finding("input-drift", "alarm", "it changed", 0.4, 0.1)
    told: list[Json] = [drift.as_json()]
    seen = kinds.monitor(put.bundles[0], 0, 20)
    project.journal.intend(seen, "monitor", "planted", fence, now())
    result = Outcome(True, result={"findings": told})
    project.journal.finish(seen.key, result, fence, now())
    down = Alarm("service-down", "", "critical", "down", "everloop status")
    project.alarms.sync([down], fence, now())
    project.outbox.post([Message("r", "alert", ("A",), "t", "b")], fence, now())


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraping]:
    """A service with traffic and the pages of a busy loop, under a Prometheus' eyes."""
    program, folder = _needs("prometheus"), tmp_path_factory.mktemp("scraped")
    project = things_project(folder / "things")
    _busy_loop(project)
    bundle = make_bundle(folder / "bundles")
    with running_service(folder, Routes(generation=1, champion=bundle)) as service:
        with service.client() as client:
            for _ in range(5):
                answer = client.predict(flat(200))
            client.feedback(answer.prediction_id, "label", "bright")
            with pytest.raises(EverloopError):
                client.predict(b"no picture")
        with pages_of(project) as pages:
            token = folder / "everloop.token"
            token.write_text(pages.tokens["viewer"])
            (port,) = free_ports(1)
            config = _config(folder, service.url, pages.url)
            with (
                service.client() as client,
                _prometheus(program, config, folder, port, client) as prometheus,
            ):
                yield prometheus


def _config(folder: Path, service: str, pages: str) -> Path:
    """The shipped configuration with these addresses, and in a hurry."""
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    shutil.copy(RULES / "everloop.rules.yml", folder)
    config["global"] = {"scrape_interval": "400ms", "evaluation_interval": "400ms"}
    for job, url in zip(config["scrape_configs"], (service, pages), strict=True):
        job["static_configs"] = [{"targets": [url.removeprefix("http://")]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def _prometheus(
    program: str, config: Path, folder: Path, port: int, client: Client
) -> Iterator[Scraping]:
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    found = Scraping(f"http://127.0.0.1:{port}")

    def has_seen() -> bool:
        client.predict(flat(200))
        try:
            if httpx.get(f"{found.url}/-/ready", trust_env=False).status_code != 200:
                return False
            # Rates need traffic between two scrapes, and what is recorded of them one evaluation.
            return all(
                len(found.ask(query)) == 2 for query in ("count_over_time(up[1m]) > 3", "up == 1")
            ) and bool(found.ask("everloop:errors:ratio5m"))
        except httpx.TransportError:
            return False

    try:
        until(has_seen, 60, "Prometheus has scraped both")
        yield found
    finally:
        process.terminate()
        process.wait(30)


def _panels() -> list[tuple[str, str]]:
    return [
        (f"{name}: {panel['title']}", target["expr"])
        for name in BOARDS
        for panel in board(name)["panels"]
        for target in panel["targets"]
    ]


def test_every_panel_shows_data(scraped: Scraping) -> None:
    empty = [f"{title}: {query}" for title, query in _panels() if not scraped.ask(query)]
    assert not empty, "\n".join(empty)


def test_every_figure_that_the_page_names_is_told(scraped: Scraping) -> None:
    told = (RULES.parents[1] / "docs" / "prometheus.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(everloop_[a-z_]+)`", told))
    url = f"{scraped.url}/api/v1/metadata"
    known = set(httpx.get(url, trust_env=False).json()["data"])
    assert len(named) > 30
    assert {
        name for name in named if name not in known and name[: -len("_total")] not in known
    } == set()


def test_every_rule_is_evaluated_without_an_error(scraped: Scraping) -> None:
    groups = httpx.get(f"{scraped.url}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 17
    assert {rule["health"] for rule in rules} == {"ok"}, rules


def test_the_figures_are_those_of_the_service_and_the_loop(scraped: Scraping) -> None:
    def value(query: str) -> float:
        (one,) = scraped.ask(query)
        return float(one["value"][1])

    assert value('sum(everloop_requests_total{status="ok"})') > 5
    assert value('everloop_refused_total{code="415"}') == 1
    assert value('everloop_actions_total{kind="collect",outcome="failed"}') == 1
    assert value('everloop_alarms{what="service-down",level="critical"}') == 1
    assert value("everloop_messages_undelivered") == 1
    assert value("everloop_candidate_share") == 0.1
    assert value('everloop_signal_level{signal="input-drift"}') == 2
    assert value("everloop_label_tasks{status='open'}") == 12


def test_the_rules_are_unit_tested_by_promtool() -> None:
    promtool = _needs("promtool")
    test = [promtool, "test", "rules", "everloop.rules.test.yml"]
    done = subprocess.run(test, cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shipped_configuration_is_valid(tmp_path: Path) -> None:
    promtool = _needs("promtool")
    for name in ("prometheus.yml", "everloop.rules.yml"):
        shutil.copy(RULES / name, tmp_path)
    (tmp_path / "everloop.token").write_text("t")
    check = [promtool, "check", "config", "prometheus.yml"]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboards_are_those_of_the_code() -> None:
    for name in BOARDS:
        path = FOLDER / f"{name}.json"
        assert path.read_text(encoding="utf-8") == text(name), "run tools/dashboards.py"
        assert json.loads(path.read_text())["uid"] == name


def test_the_series_are_bounded_whatever_is_counted() -> None:
    many = {(f"kind-{n}", "open"): 1.0 for n in range(100_000)}
    lines = written([Family("x", "text", "gauge", ("kind", "state"), many)]).decode().splitlines()
    assert len(lines) < 210
    assert 'x{kind="other",state="other"} 99800.0' in lines
