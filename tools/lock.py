"""Pin every dependency of both distributions, with all extras, in `requirements.lock`.

Pins that are there and still fit stay as they are; `--upgrade` renews them all.

The lock carries no index address and no local version (`+cpu`), so that it fits every index and
every build of the same version.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = "alerts,torch,demo,detection,oidc,polars,privacy,ray,river,tabular,tune,dev"
LOCK = ROOT / "requirements.lock"
HEADER = "# Made by `make lock` from the ranges in pyproject.toml and runtime/pyproject.toml.\n"
OURS = ("everloop", "everloop-runtime")
# Wheels that only some builds of torch ask for; pip adds them itself where they are needed.
OF_SOME_BUILDS = ("nvidia-", "triton==", "cuda-")


def main() -> int:
    """Resolve, clean and write."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.txt"
        _pip("install", "pip-tools", "--quiet")
        command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--allow-unsafe"]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--strip-extras"]
        command += ["--no-emit-find-links", "--all-extras", "--output-file", str(report)]
        command += sys.argv[1:]
        if LOCK.exists():
            report.write_text(LOCK.read_text())
        wanted = Path(folder) / "wanted.in"
        wanted.write_text(f"{ROOT / 'runtime'}[client]\n{ROOT}[{EXTRAS}]\n")
        subprocess.run([*command, str(wanted)], check=True, cwd=ROOT)
        LOCK.write_text(HEADER + "".join(_pins(report.read_text())))
    return 0


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)


def _pins(compiled: str) -> list[str]:
    pins = []
    for line in compiled.splitlines():
        pin = re.sub(r"\+[a-z0-9.]+$", "", line.split("#")[0].strip())
        if re.match(r"[a-zA-Z0-9]", pin) and "==" in pin and not pin.startswith(OF_SOME_BUILDS):
            pins.append(f"{pin}\n")
    return [pin for pin in pins if pin.split("==")[0] not in OURS]


if __name__ == "__main__":
    sys.exit(main())
