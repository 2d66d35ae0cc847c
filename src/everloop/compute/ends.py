"""How a job's folder tells whether it was started, how often, and how it ended."""

import json
from pathlib import Path

from everloop.compute.job import Failed, JobState, Succeeded
from everloop_runtime.files import write_atomic

PROGRESS = "progress"
"""The file by which a job says that it would go on from further along than it began."""
_MOST_STARTS = 3


def ended(folder: Path) -> JobState | None:
    """How the job ended; None while it has not."""
    try:
        end = json.loads((folder / "exit.json").read_bytes())
    except FileNotFoundError:
        return None
    result = folder / "result.json"
    if end["code"] == 0 and result.exists():
        return Succeeded(json.loads(result.read_bytes()))
    failure = folder / "failure.json"
    if failure.exists():
        return Failed(str(json.loads(failure.read_bytes())["error"]))
    return Failed(f"{end['reason']}; {_last_words(folder)}")


def another_start(folder: Path) -> Failed | None:
    """Write down that it is started again; `Failed` after too many starts without progress."""
    done = 0 if (folder / PROGRESS).exists() else _starts(folder)
    if done >= _MOST_STARTS:
        return Failed(
            f"was killed {done} times before its end (the machine may have run out of "
            f"memory); {_last_words(folder)}"
        )
    write_atomic(folder / "starts.json", json.dumps(done + 1).encode())
    (folder / PROGRESS).unlink(missing_ok=True)
    return None


def _starts(folder: Path) -> int:
    try:
        return int(json.loads((folder / "starts.json").read_bytes()))
    except FileNotFoundError:
        return 0


def _last_words(folder: Path, most: int = 400) -> str:
    log = folder / "log.txt"
    if not log.exists():
        return "it said nothing"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"its last words: {' | '.join(lines[-3:])[-most:]}" if lines else "it said nothing"
