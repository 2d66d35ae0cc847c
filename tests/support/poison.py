"""A decoding process whose decoder has a defect: some bytes crash it, some hang it.

`python -m tests.support.poison CONNECTION ARENA`
"""

import os
import signal
import sys
import time

from everloop.data.decoding_worker import main
from everloop.data.examine import Picture, decode
from everloop.data.examined import Bad, DecodingLimits

COMMAND = (sys.executable, "-m", "tests.support.poison")
CRASHES, HANGS, CRASHES_ONCE = b"crash", b"hang", b"once:"


def _decode(data: bytes, limits: DecodingLimits) -> Picture | Bad:
    if data == CRASHES:
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == HANGS:
        while True:
            time.sleep(1)
    if data.startswith(CRASHES_ONCE):
        mark = data.removeprefix(CRASHES_ONCE).decode()
        if not os.path.exists(mark):  # noqa: PTH110 - as short as a defect is
            os.mkdir(mark)  # noqa: PTH102
            os.kill(os.getpid(), signal.SIGKILL)
        return Bad("broken", "it crashed only once")
    return decode(data, limits)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], _decode))
