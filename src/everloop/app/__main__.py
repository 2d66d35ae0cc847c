"""`python -m everloop.app` is `everloop`."""

import sys

from everloop.app.main import main

if __name__ == "__main__":
    sys.exit(main())
