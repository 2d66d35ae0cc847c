"""A page of ours as PDF, printed by Chromium, where it is installed.

As a job: `python -m everloop.adapters.chromium_pdf FOLDER PAGE PDF`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from everloop.errors import EverloopError, Refused, Unavailable
from everloop_runtime.files import write_atomic

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60


def print_pdf(page: Path, pdf: Path) -> None:
    """Print an HTML file; it appears whole or not at all.

    Raises `Refused` where there is no Chromium, `Unavailable` when it does not come to an end.
    """
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise Refused(f"a PDF needs one of {', '.join(_PROGRAMS)}: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "page.pdf"
        # Its sandbox wants rights that root in a container has not; the page is our own, and
        # says itself that it may load and run nothing.
        rights = ("--no-sandbox",) if os.geteuid() == 0 else ()
        command = [program, "--headless=new", *rights, "--disable-gpu", "--no-pdf-header-footer",
                   "--disable-dev-shm-usage", "--disable-background-networking",
                   f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}",
                   page.as_uri()]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{program} did not print within {_SECONDS} s") from error
        if not made.is_file():
            raise Unavailable(
                f"{program} printed nothing: {done.stderr.decode(errors='replace')[-300:]}"
            )
        pdf.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(pdf, made.read_bytes())


def main(folder: str, page: str, pdf: str) -> int:
    """Print as a job does; 0 when `result.json` says that it is done."""
    try:
        print_pdf(Path(page), Path(pdf))
    except EverloopError as error:
        write_atomic(Path(folder) / "failure.json", json.dumps({"error": str(error)}).encode())
        return 1
    write_atomic(Path(folder) / "result.json", json.dumps({"pdf": pdf}).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
