"""`python -m everloop.adapters.mlflow_server URI ARTIFACTS ARGUMENTS...`: MLflow's own server.

Its database is made here and not by whoever starts it: that takes seconds, for which the loop
need not wait.
"""

import sys
from pathlib import Path

from everloop.adapters.mlflow_database import ensure_database


def main(arguments: list[str]) -> None:
    """Make the database if there is none, then serve until ended."""
    tracking_uri, artifacts, *rest = arguments
    ensure_database(tracking_uri, Path(artifacts))
    from mlflow.cli import cli

    place = ["--backend-store-uri", tracking_uri, "--artifacts-destination", artifacts]
    cli(["server", *place, *rest])


if __name__ == "__main__":
    main(sys.argv[1:])
