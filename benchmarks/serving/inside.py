"""The in-process limit: JPEG bytes to class in a loop, no HTTP.

`python inside.py KIND MODEL SECONDS` prints images a second of this process, and the milliseconds
of one image alone (its p50).
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from everloop_runtime.images import to_array
from everloop_runtime.model import Graph


def main(kind: str, model: str, seconds: float) -> None:
    """Decode and run batches as the service would: 16 of the tiny model, 1 of the other."""
    from models import SPECS, picture

    spec, image = SPECS[kind], picture(kind, 3)
    graph = Graph(Path(model).read_bytes())
    size = 16 if kind == "tiny" else 1
    alone = []
    for _ in range(30):
        began = time.perf_counter()
        graph.run(to_array(image, spec)[None])
        alone.append(time.perf_counter() - began)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        graph.run(np.stack([to_array(image, spec) for _ in range(size)]))
        done += size
    took = time.perf_counter() - began
    print(json.dumps({"per_second": done / took, "alone_ms": sorted(alone)[15] * 1000}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
