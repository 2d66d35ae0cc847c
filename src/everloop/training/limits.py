"""Bounds of a training process, so that what goes wrong in it is told and not only killed."""

import faulthandler
import os
import re
import resource
import signal
from pathlib import Path

STACK = "stack.txt"
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_GPU = "/dev/nvidiactl"
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def limit_memory(share: float) -> int | None:
    """Let this process have `share` of the machine's memory; more raises `MemoryError` in it.

    Bytes; None where no limit is set: 0 asks for none, and a GPU's driver reserves addresses far
    beyond what it uses.
    """
    if not share or Path(_GPU).exists():
        return None
    limit = int(machine_memory() * share)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY and hard < limit:
        return hard
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return limit


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container that this runs in."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for place in _CGROUPS:
        try:
            text = Path(place).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return min(found)


def tell_stack(folder: Path) -> None:
    """Write where the program is to a file in `folder` whenever SIGUSR1 comes."""
    file = (folder / STACK).open("w", encoding="utf-8")
    # The file stays open for as long as the process lives: the handler writes to its number.
    faulthandler.register(signal.SIGUSR1, file=file, all_threads=False)


def line_reached(folder: Path, project: Path) -> str | None:
    """`file:line` of the project's code that a process which told its stack was in."""
    path = folder / STACK
    if not path.exists():
        return None
    for file, line in _FRAME.findall(path.read_text(encoding="utf-8", errors="replace")):
        if Path(file).is_relative_to(project):
            return f"{Path(file).relative_to(project)}:{line}"
    return None
