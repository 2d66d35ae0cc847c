"""A job's folder: inputs in, content-addressed files and one result out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from everloop.data.store import DataStore
from everloop.ids import Json
from everloop.layout import Layout
from everloop.policy import StoragePolicy
from everloop.tasks.registry import by_declaration
from everloop.tasks.task import Learnable, learnable
from everloop_runtime.files import write_atomic
from everloop_runtime.ids import canonical_json

OpenData: TypeAlias = Callable[[Layout, StoragePolicy], DataStore]


@dataclass(frozen=True, slots=True)
class JobFolder:
    """What a job was asked to do and where it may write."""

    path: Path
    inputs: Mapping[str, Any]
    open_data: OpenData

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.inputs["project"]))

    @property
    def task(self) -> Learnable:
        """What is learnt; `Refused` when this version cannot learn it."""
        return learnable(by_declaration(self.inputs["task"]))

    @property
    def data(self) -> DataStore:
        # Without credentials: those are of the environment, and a folder keeps none.
        storage = StoragePolicy.model_validate(self.inputs.get("storage", {}))
        return self.open_data(self.layout, storage)

    def write(self, name: str, value: Json) -> None:
        """Put a JSON file beside the inputs, whole or not at all."""
        write_atomic(self.path / name, canonical_json(value))


def open_job(path: Path, open_data: OpenData) -> JobFolder:
    """The job whose `inputs.json` lies in `path`."""
    return JobFolder(path, json.loads((path / "inputs.json").read_bytes()), open_data)
