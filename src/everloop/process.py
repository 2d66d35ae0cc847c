"""Processes of this host: telling one from another of the same number, ending with the parent."""

import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def started(pid: int) -> str | None:
    """The kernel's start time of a process that runs; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    # A zombie has ended: only its parent has not looked yet.
    return None if fields[0] in {"Z", "X"} else fields[19]


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
