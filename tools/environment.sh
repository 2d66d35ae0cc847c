#!/bin/sh
# Make or renew the virtual environment at $1: the pinned lock, and this checkout, editable.
set -eu
venv=$1

fits() { "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 none; do
    if [ "$python" = none ]; then
        echo "Python 3.11 or newer is needed; python3 here is: $(python3 --version 2>&1)" >&2
        exit 1
    fi
    if fits "$python"; then break; fi
done

# Debian and Ubuntu keep the means to make virtual environments in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package="$(basename "$python")-venv"
    echo "installing the system package $package" >&2
    as_root apt-get update -qq && as_root apt-get install -y -qq --no-install-recommends "$package"
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "installing into $venv (a few minutes the first time)" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-deps --no-build-isolation -e runtime -e .
