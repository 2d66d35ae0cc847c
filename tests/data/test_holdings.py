"""Every table of a store is known to forgetting."""

import re
from pathlib import Path

import everloop.data
from everloop.data.holdings import HOLDINGS

_NAMED = re.compile(r'place / "([a-z_]+\.lance)"')


def test_every_table_that_the_code_makes_is_told_of() -> None:
    folder = Path(everloop.data.__file__).parent
    made = {name for path in folder.rglob("*.py") for name in _NAMED.findall(path.read_text())}
    assert len(made) > 8
    assert made <= {holding.dataset for holding in HOLDINGS}
