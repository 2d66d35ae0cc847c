"""The bundles a service has loaded, kept in step with the routes document."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from everloop_runtime.batching import Batcher
from everloop_runtime.bundle import open_bundle
from everloop_runtime.errors import EverloopError
from everloop_runtime.ids import BundleId
from everloop_runtime.images import ImageLimits
from everloop_runtime.model import Model
from everloop_runtime.routes import Role, Routes, choose, read_routes


@dataclass(frozen=True, slots=True)
class Seat:
    """A loaded bundle and the role it answers in."""

    role: Role
    batcher: Batcher


class Fleet:
    """Follows the routes; a bundle that cannot be loaded changes nothing for the others."""

    def __init__(self, routes: Path, bundles: Path, *, limits: ImageLimits, threads: int) -> None:
        self._path = routes
        self._bundles = bundles
        self._limits = limits
        self._threads = threads
        self._wanted = Routes()
        self._routes = Routes()
        """What is applied: it names loaded bundles only."""
        self._loaded: dict[BundleId, Batcher] = {}
        self.failed: dict[BundleId, str] = {}
        self.complaint: str | None = None
        """Why the document itself could not be followed."""
        self._stamp: tuple[int, int, int] | None = None
        self._renewed_at = time.monotonic()

    @property
    def routes(self) -> Routes:
        """The routes as they are applied."""
        return self._routes

    @property
    def generation(self) -> int:
        """The generation of the document that was last taken up."""
        return self._wanted.generation

    @property
    def ready(self) -> bool:
        """Whether a champion can answer."""
        return self._routes.champion in self._loaded

    @property
    def loaded(self) -> tuple[BundleId, ...]:
        """The bundles that can answer."""
        return tuple(self._loaded)

    def lease_alive(self) -> bool:
        """Whether the canary's lease has been renewed in time, by this process's own clock."""
        canary = self._routes.canary
        if canary is None:
            return False
        return time.monotonic() - self._renewed_at < canary.lease_seconds

    def seats(self, key: str) -> list[Seat]:
        """Who is to answer a request with this key: first choice first."""
        routes = self._routes
        order: list[tuple[Role, BundleId | None]] = [("champion", routes.champion)]
        chosen = choose(routes, key, lease_alive=self.lease_alive())
        if chosen == "canary" and routes.canary is not None:
            order.insert(0, ("canary", routes.canary.bundle))
        return [
            Seat(role, self._loaded[bundle])
            for role, bundle in order
            if bundle is not None and bundle in self._loaded
        ]

    async def follow(self) -> None:
        """Take up the document if it has changed. Loading happens beside the answering."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        try:
            wanted = read_routes(self._path)
        except EverloopError as error:
            self.complaint, self._stamp = str(error), stamp
            return
        await self._load(wanted)
        # The stamp was taken before reading: a change in between is seen next time.
        self.complaint, self._stamp = None, stamp
        self._apply(wanted)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    async def _load(self, wanted: Routes) -> None:
        named = [wanted.champion, wanted.canary.bundle if wanted.canary else None]
        for bundle in named:
            if bundle is None or bundle in self._loaded or bundle in self.failed:
                continue
            try:
                model = await asyncio.to_thread(self._open, bundle)
            except EverloopError as error:
                self.failed[bundle] = str(error)
            else:
                self._loaded[bundle] = Batcher(model)

    def _open(self, bundle: BundleId) -> Model:
        opened = open_bundle(self._bundles / bundle, bundle)
        return Model.load(opened, threads=self._threads, limits=self._limits)

    def _apply(self, wanted: Routes) -> None:
        canary = wanted.canary
        if canary != self._wanted.canary:
            self._renewed_at = time.monotonic()
        self._wanted = wanted
        champion = wanted.champion
        if champion not in self._loaded and champion is not None:
            # A champion that cannot be loaded is not taken up: the old one goes on.
            champion = self._routes.champion
        if canary is not None and canary.bundle not in self._loaded:
            canary = None
        self._routes = wanted.model_copy(update={"champion": champion, "canary": canary})
        keep = {champion, canary.bundle if canary else None}
        # Requests in flight hold their own reference to the model they began with.
        self._loaded = {b: batcher for b, batcher in self._loaded.items() if b in keep}
        self.failed = {b: why for b, why in self.failed.items() if b in self._named(wanted)}

    @staticmethod
    def _named(routes: Routes) -> set[BundleId | None]:
        return {routes.champion, routes.canary.bundle if routes.canary else None}
