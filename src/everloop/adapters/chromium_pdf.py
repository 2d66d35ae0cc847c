"""A page of ours as PDF, printed by Chromium, where it is installed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from everloop.errors import Refused, Unavailable

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
        shutil.move(made, pdf)
