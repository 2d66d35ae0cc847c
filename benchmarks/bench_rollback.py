"""How long going back takes: from replacing the routes document to the first answer by the other.

Run as `python benchmarks/bench_rollback.py` from the repository's root. The real service in a
process of its own, two small bundles, one client that asks again and again.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.bundles import make_bundle
from tests.support.pictures import flat
from tests.support.services import running_service

from everloop_runtime.routes import Routes, write_routes

_TIMES = 40


def main() -> None:
    """Print the median and the longest time."""
    with tempfile.TemporaryDirectory() as folder:
        taken = _measure(Path(folder))
    median, longest = statistics.median(taken), max(taken)
    print(f"{len(taken)} times back: median {median:.0f} ms, longest {longest:.0f} ms")


def _measure(place: Path) -> list[float]:
    one, two = make_bundle(place / "bundles"), make_bundle(place / "bundles", 1.0)
    picture, taken = flat(20), []
    first = Routes(generation=1, champion=one, fallback=two)
    with running_service(place, first) as service, service.client() as client:
        for n in range(_TIMES):
            back, left = (two, one) if n % 2 == 0 else (one, two)
            routes = Routes(generation=n + 2, champion=back, fallback=left)
            began = time.perf_counter()
            write_routes(service.routes, routes)
            while client.predict(picture).bundle != back:
                pass
            taken.append((time.perf_counter() - began) * 1000)
    return taken


if __name__ == "__main__":
    main()
