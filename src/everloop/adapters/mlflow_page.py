"""MLflow's own page over the runs and versions, as a process that outlives its starter."""

import sys
from pathlib import Path

from everloop.compute.kept import KeptServer

_PLACE = "#/experiments?workflowType=machine_learning"
"""Where training runs are; by itself the page opens on agents and their traces."""


def mlflow_page(
    tracking_uri: str, artifacts: Path, *, address: Path, log: Path, port: int
) -> KeptServer:
    """One `mlflow server` on loopback for a project."""

    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "everloop.adapters.mlflow_server"),
            *(tracking_uri, str(artifacts)),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        ]

    return KeptServer(
        address=address,
        log=log,
        port=port,
        setting="[tracking]",
        command=command,
        url=lambda port: f"http://127.0.0.1:{port}/{_PLACE}",
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
