"""The three tables that samples and their labels lie in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.data.location import Place
from everloop.data.tables import LanceTable

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Tables:
    """Original bytes, what is known of them, and what was said of them."""

    bytes: LanceTable
    facts: LanceTable
    annotations: LanceTable

    @classmethod
    def under(cls, place: Place) -> "Tables":
        """The tables of one store; each is made by the first append to it."""
        import pyarrow as pa

        text, moment = pa.string(), pa.timestamp("us", tz="UTC")
        facts = {
            **dict.fromkeys(("id", "side", "origin", "source", "name", "format"), text),
            **dict.fromkeys(("width", "height"), pa.int32()),
            "added_at": moment,
            # The first stores have none of these.
            **dict.fromkeys(("group", "subject"), text),
            "taken_at": moment,
            **dict.fromkeys(("given_side", "meta"), text),
        }
        annotations = {
            **dict.fromkeys(("id", "sample", "label", "by", "kind"), text),
            "confidence": pa.float32(),
            "at": moment,
            "origin": text,
        }
        data = {"id": text, "data": pa.large_binary()}
        return cls(
            LanceTable(place / "bytes.lance", pa.schema(list(data.items()))),
            LanceTable(place / "facts.lance", _quickly_written(facts)),
            LanceTable(place / "annotations.lance", _quickly_written(annotations)),
        )


def _quickly_written(columns: "Mapping[str, pa.DataType]") -> "pa.Schema":
    """To try how each column of each append compresses best takes longer than to write it."""
    import pyarrow as pa

    plain = {b"lance-encoding:compression": b"none"}
    return pa.schema([pa.field(name, kind, metadata=plain) for name, kind in columns.items()])
