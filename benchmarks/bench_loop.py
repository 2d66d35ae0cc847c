"""What the loop itself costs: 12 Actions that do nothing, as a whole process, first and again.

Beside it, in the same run: plain Python calling 12 functions (the floor), and Python committing
to SQLite as durably as the journal does (the limit of any journal of two writes a step), and DVC
where it can be installed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from version_peers import dvc_chain, peer_python

STEPS, ROUNDS = 12, 5
PEERS = {
    "Dagster, in one process": (5.9, None),
    "ZenML": (11.0, 8.2),
    "Metaflow": (11.6, None),
}
"""Seconds of the same chain, first and repeated, measured before on a machine of two cores."""
AIM = (1.0, 0.5)

_PRODUCT = """
from everloop.product import Product
from everloop.tasks.image_classification import ImageClassification

product = Product("chain", task=ImageClassification(classes=["a", "b"], size=(8, 8), channels=1))


@product.train
def train(data, params, run):
    raise NotImplementedError
"""
_PLAIN = f"for step in [lambda: None] * {STEPS}: step()"
_SQLITE = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("PRAGMA journal_mode=WAL")
base.execute("PRAGMA synchronous=FULL")
base.execute("CREATE TABLE IF NOT EXISTS journal (step, outcome)")
for step in range(int(sys.argv[2])):
    base.execute("INSERT INTO journal VALUES (?, NULL)", (step,))
    base.execute("UPDATE journal SET outcome = 1 WHERE step = ?", (step,))
"""


def seconds(*arguments: str | Path) -> float:
    """Wall-clock time of one Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _medians(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    first, again = zip(*rounds, strict=True)
    return statistics.median(first), statistics.median(again)


def main() -> None:
    """Measure, and print the ratios."""
    chain = Path(__file__).parent / "chain.py"
    first, again, plain, sqlite = [], [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder)
            (project / "everloop.toml").write_text("level = 0\n")
            (project / "product.py").write_text(_PRODUCT)
            first.append(seconds(chain, project, str(STEPS)))
            again.append(seconds(chain, project, str(STEPS)))
            plain.append(seconds("-c", _PLAIN))
            sqlite.append(seconds("-c", _SQLITE, project / "plain.db", str(STEPS)))
    python, chains = peer_python(), []
    if python is not None:
        with tempfile.TemporaryDirectory() as folder:
            chains = [dvc_chain(python, Path(folder) / str(n), STEPS) for n in range(ROUNDS)]
    ours = (statistics.median(first), statistics.median(again))
    floor, limit = statistics.median(plain), statistics.median(sqlite)
    table = Table(title=f"{STEPS} Actions that do nothing, a whole process, median of {ROUNDS}")
    for column in ("", "first, s", "x Everloop", "again, s", "x Everloop"):
        table.add_column(column, justify="left" if not column else "right")
    rows: dict[str, tuple[float, float | None]] = {
        "Everloop": ours,
        "Everloop's aim": AIM,
        "plain Python (this run)": (floor, floor),
        f"SQLite, {2 * STEPS} durable writes (this run)": (limit, limit),
        **({"DVC (this run)": _medians(chains)} if chains else {}),
        **{f"{name} (measured before)": value for name, value in PEERS.items()},
    }
    for name, (one, two) in rows.items():
        repeated = ("-", "-") if two is None else (f"{two:.2f}", f"{two / ours[1]:.2f}")
        table.add_row(name, f"{one:.2f}", f"{one / ours[0]:.2f}", *repeated)
    Console().print(table)


if __name__ == "__main__":
    main()
