"""The prediction service with a wrong normalisation planted in it.

Run as `python -m tests.support.wrong_service PLACE OPTIONS...`. PLACE is `request`: only what
comes over HTTP is scaled wrongly; or `everywhere`: the golden inputs too.
"""

import sys
from typing import Any

from everloop_runtime import images, model, predicting
from everloop_runtime.main import main


def _darker(data: bytes, *rest: Any, **named: Any) -> Any:
    """Pixels at 80% of what they should be: most answers keep their label."""
    return (images.to_array(data, *rest, **named) * 0.8).astype("uint8")


if __name__ == "__main__":
    predicting.to_array = _darker  # type: ignore[attr-defined]
    if sys.argv[1] == "everywhere":
        model.to_array = _darker  # type: ignore[attr-defined]
    sys.exit(main(sys.argv[2:]))
