"""What an attempt ran in: the installed software, the machine, and the state of the code."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

_SECONDS = 20
_MOST = 500_000
"""Characters of a difference that are kept."""


@dataclass(frozen=True, slots=True)
class CodeState:
    """The project's folder as git sees it."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """`commit`, `branch`, `state` (`clean` or `changed`); empty outside a repository."""
    diff: str = ""
    """From the commit to the files as they are; empty when nothing changed."""


def environment() -> Mapping[str, str]:
    """Python and the installed distributions, by name: what the attempt ran in."""
    found = {"python": platform.python_version()}
    for distribution in metadata.distributions():
        found[distribution.metadata["Name"].lower()] = distribution.version
    return dict(sorted(found.items()))


def hardware() -> Mapping[str, str]:
    """The machine the attempt ran on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": str(os.cpu_count() or 0),
        "memory_gib": f"{pages / 2**30:.1f}",
        "gpus": _gpus(),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def _gpus() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return "none"
    count = torch.cuda.device_count()
    return ", ".join(torch.cuda.get_device_name(number) for number in range(count))


def code_state(project: Path) -> CodeState:
    """What git knows of the project's folder; nothing where it is no repository, or git is none."""
    commit = _git(project, "rev-parse", "HEAD")
    if commit is None:
        return CodeState()
    branch = _git(project, "rev-parse", "--abbrev-ref", "HEAD") or ""
    changed = _git(project, "status", "--porcelain", "--untracked-files=normal", "--", ".") or ""
    # Neither a program nor a filter that the repository names is run.
    diff = _git(project, "diff", "--no-ext-diff", "--no-textconv", "HEAD", "--", ".") or ""
    facts = {"commit": commit.strip(), "branch": branch.strip()}
    facts["state"] = "changed" if changed.strip() else "clean"
    untracked = [line[3:] for line in changed.splitlines() if line.startswith("??")]
    listed = "".join(f"not in git: {name}\n" for name in untracked)
    return CodeState(facts, (diff + listed)[:_MOST])


def _git(project: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(project), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.decode(errors="replace")
