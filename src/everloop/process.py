"""Telling one process of this host from another that was given its number later."""

from pathlib import Path


def started(pid: int) -> str | None:
    """The kernel's start time of a process that runs; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    # A zombie has ended: only its parent has not looked yet.
    return None if fields[0] in {"Z", "X"} else fields[19]
