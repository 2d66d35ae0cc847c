"""Real data sets that lie beside a checkout, where there are any."""

from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
SHARED = next(
    (
        folder
        for parent in (_ROOT, *_ROOT.parents)
        if (folder := parent / "shared" / "data").is_dir()
    ),
    _ROOT.parent / "shared" / "data",
)
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the shared data sets are not at {SHARED}"
)
