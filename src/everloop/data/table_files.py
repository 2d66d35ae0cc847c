"""The files of a Lance dataset: whether they are one, and how a new one begins."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.data.blobs import BlobStore

if TYPE_CHECKING:
    import pyarrow as pa

VERSIONS = "_versions"
"""The folder of a dataset's versions."""
_MANIFEST = ".manifest"


def is_dataset(files: BlobStore) -> bool:
    """Whether these are the files of a dataset: it has a version."""
    return any(blob.key.endswith(_MANIFEST) for blob in files.list(VERSIONS))


def create_empty(files: BlobStore, schema: "pa.Schema") -> None:
    """Make the dataset, empty: its first version is one create-only write, the first wins.

    Two processes that both let Lance create in place would each commit a first version, and the
    later one would drop the rows of the earlier.
    """
    import lance

    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "made.lance"
        lance.write_dataset(schema.empty_table(), str(made), mode="create")
        # The manifest last: it is what makes a dataset of the other files.
        for path in (*made.glob("_transactions/*"), *made.glob(f"{VERSIONS}/*{_MANIFEST}")):
            files.put(path.relative_to(made).as_posix(), path.read_bytes())
