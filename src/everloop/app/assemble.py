"""A project's stores and ports, opened and wired."""

import os
import sys
from pathlib import Path

from everloop.adapters.mlflow_page import mlflow_page
from everloop.adapters.mlflow_registry import MlflowRegistry
from everloop.adapters.mlflow_studies import MlflowStudies
from everloop.alerting.courier import Courier
from everloop.alerting.receivers import Receivers
from everloop.app.declaration import read_declaration
from everloop.app.settings import read_settings
from everloop.app.storage import open_data, storage_options
from everloop.compute.engine import Engine
from everloop.compute.kept import KeptServer
from everloop.compute.local import LocalEngine
from everloop.data.owner import keep_to_owner
from everloop.layout import Layout
from everloop.loop.project import Commands, Project
from everloop.policy import Policy, WebPolicy
from everloop.privacy.rules import rules_in_force
from everloop.rollout.service import trust_options
from everloop.state.access import Access
from everloop.state.alarms import Alarms
from everloop.state.answer_rounds import AnswerRounds
from everloop.state.audit import Audit
from everloop.state.backend_marks import BackendMarks
from everloop.state.checklists import Checklists
from everloop.state.clearances import Clearances
from everloop.state.database import Database
from everloop.state.decisions import Decisions
from everloop.state.erasing import Erasing
from everloop.state.experimenting import Experiments
from everloop.state.journal import Journal
from everloop.state.label_answers import LabelAnswers
from everloop.state.label_queue import LabelQueue
from everloop.state.lease import Leases
from everloop.state.outbox import Outbox
from everloop.state.prelabels import Prelabels
from everloop.state.releases import Releases
from everloop.state.requests import Requests
from everloop.state.resolutions import Resolutions

_PYTHON = (sys.executable, "-m")


def assemble(path: Path) -> Project:
    """The project in the folder `path`.

    Raises `Refused` when there is no `everloop.toml`, when it has mistakes, or when
    `product.py` cannot be read.
    """
    layout, policy = read_settings(path)
    project = layout.project
    commands = Commands(
        job=(*_PYTHON, "everloop.app", "job"),
        service=(*_PYTHON, "everloop_runtime.main", *trust_options(policy.bundle)),
        printer=(*_PYTHON, "everloop.adapters.chromium_pdf"),
    )
    declaration = read_declaration(layout, (*_PYTHON, "everloop.app", "describe"))
    tracking = f"sqlite:///{layout.tracking_database}"
    database = Database.open(layout.database)
    data = open_data(layout, policy.storage)
    keep_to_owner(layout.data, layout.capture, layout.jobs)
    hook = declaration.code if declaration.moderates else None
    rules = rules_in_force(policy.privacy, project, hook)
    return Project(
        layout=layout,
        policy=policy,
        declaration=declaration,
        commands=commands,
        data=data,
        leases=Leases(database),
        journal=Journal(database),
        releases=Releases(database),
        experiments=Experiments(database),
        queue=LabelQueue(database, rules.version),
        answers=LabelAnswers(database),
        answer_rounds=AnswerRounds(database),
        resolutions=Resolutions(database),
        prelabels=Prelabels(database, rules.version),
        backend_marks=BackendMarks(database),
        decisions=Decisions(database),
        checklists=Checklists(database),
        requests=Requests(database),
        rules=rules,
        clearances=Clearances(database, data.renditions),
        audit=Audit(database),
        access=Access(database),
        erasing=Erasing(database),
        alarms=Alarms(database),
        outbox=(outbox := Outbox(database)),
        courier=Courier(outbox, layout.outbox, _receivers(layout, policy), policy.alerting),
        engine=_engine(policy),
        registry=MlflowRegistry(tracking, layout.tracking_artifacts, declaration.product),
        studies=MlflowStudies(tracking, layout.tracking_artifacts, declaration.product),
        tracker=mlflow_page(
            tracking,
            layout.tracking_artifacts,
            address=layout.processes / "tracker.json",
            log=layout.logs / "tracker.log",
            port=policy.tracking.port,
        ),
        pages=_pages(layout, policy.web),
        storage_options=storage_options(policy.storage),
    )


def _pages(layout: Layout, policy: WebPolicy) -> KeptServer:
    scheme = "https" if policy.certificate else "http"
    host = f"[{policy.host}]" if ":" in policy.host else policy.host
    # Of an address such as 0.0.0.0 browsers know nothing: they are told a name.
    name = policy.hosts[0] if policy.hosts else host
    command = (*_PYTHON, "everloop.app", "web", "--project", str(layout.project), "--port")
    return KeptServer(
        address=layout.pages_address,
        log=layout.logs / "web.log",
        port=policy.port,
        setting="[web]",
        command=lambda port: (*command, str(port)),
        url=lambda port: f"{scheme}://{name}:{port}",
    )


def _receivers(layout: Layout, policy: Policy) -> Receivers:
    names = {name for rule in policy.alerts for name in (*rule.to, *rule.escalate_to)}
    names |= {*policy.report.to}
    known = {name: os.environ[name] for name in names if name in os.environ}
    secrets = policy.alerting.secrets
    return Receivers(known, layout.project / secrets if secrets else None)


def _engine(policy: Policy) -> Engine:
    if policy.compute == "local":
        return LocalEngine()
    from everloop.adapters.ray_engine import RayEngine

    return RayEngine(policy.ray.address, policy.ray.resources)
