"""The originals' one door for people: everything that shows a sample as it came goes through it.

Labellers get renditions. Training, evaluation and replay read originals in jobs, which run as the
owner. Whoever shows an original to a person calls `owner_only`, so that one place can ask for the
owner's role, and one search of the code finds every such place.
"""

from collections.abc import Sequence
from pathlib import Path

from everloop.data.samples import Samples
from everloop.ids import SampleId

_ONLY_OWNER = 0o700


def owner_only(samples: Samples, ids: Sequence[SampleId]) -> list[bytes]:
    """The original bytes of samples, in the order asked for; `Refused` for unknown ones.

    On one machine the owner's role is the user whom the files belong to (`keep_to_owner`).
    """
    return samples.read(ids)


def keep_to_owner(*folders: Path) -> None:
    """Make folders of originals, and let no other user of the machine into them."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o777 != _ONLY_OWNER:
            folder.chmod(_ONLY_OWNER)
