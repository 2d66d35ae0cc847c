"""The bundles a service has loaded, kept in step with the routes document."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from everloop_runtime.admission import Admission, admit
from everloop_runtime.batching import Batcher
from everloop_runtime.breaker import Breaker
from everloop_runtime.errors import EverloopError
from everloop_runtime.ids import BundleId
from everloop_runtime.isolation import IsolatedModel
from everloop_runtime.model import Model
from everloop_runtime.routes import (
    LEASED,
    Choice,
    Leased,
    Role,
    Routes,
    choose,
    lease_of,
    mirrored,
    only_loaded,
    read_routes,
)


@dataclass(frozen=True, slots=True)
class Seat:
    """A loaded bundle and the role it answers in."""

    role: Role
    batcher: Batcher
    variant: str | None = None
    deadline: float | None = None
    """Seconds after which it has failed on a request; None: it is waited for."""

    @property
    def bundle(self) -> BundleId:
        return self.batcher.model.bundle.id


class Fleet:
    """Follows the routes; a bundle that cannot be loaded or keeps failing hurts no other.

    What is on trial (canary, shadow, variants) runs in processes of its own: when it crashes,
    hangs or asks for all memory, it is out of the way and the champion carries on.
    """

    def __init__(self, routes: Path, bundles: Path, *, admission: Admission, threads: int) -> None:
        self._path = routes
        self._bundles = bundles
        self._admission = admission
        self._threads = threads
        self._wanted = Routes()
        self._routes = Routes()
        """What is applied: it names loaded bundles only."""
        self._plain: list[Seat] = []
        """Everybody's seats while nothing is on trial; empty while something is."""
        self._loaded: dict[BundleId, Batcher] = {}
        self._trials: dict[BundleId, Batcher] = {}
        self._breakers: dict[BundleId, Breaker] = {}
        self._unloadable: dict[BundleId, str] = {}
        self.complaint: str | None = None
        """Why the document itself could not be followed."""
        self._stamp: tuple[int, int, int] | None = None
        self._renewed_at: dict[Leased, float] = {}

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
        return tuple(dict.fromkeys([*self._loaded, *self._trials]))

    @property
    def has_failed(self) -> bool:
        """Whether any bundle has failed on a request of late."""
        return bool(self._breakers)

    @property
    def failed(self) -> dict[BundleId, str]:
        """The bundles that are out of the way, and why."""
        broken = {b: breaker.reason for b, breaker in self._breakers.items() if breaker.reason}
        return {**broken, **self._unloadable}

    def live(self) -> frozenset[Leased]:
        """The parts whose lease has been renewed in time, by this process's own clock."""
        now = time.monotonic()
        return frozenset(
            part
            for part in LEASED
            if (lease := lease_of(self._routes, part)) is not None
            and now - self._renewed_at.get(part, now) < lease.lease_seconds
        )

    def lease_alive(self) -> bool:
        """Whether the canary's lease has been renewed in time."""
        return "canary" in self.live()

    def seats(self, key: str) -> list[Seat]:
        """Who is to answer a request with this key: first choice first.

        A trial whose breaker is open is passed over. The champion always has a seat: with an
        open breaker it comes after the fallback, if there is one.
        """
        routes = self._routes
        if self._plain and not self._breakers:
            return self._plain
        standing = [
            self._seat("champion", routes.champion),
            self._seat("fallback", routes.fallback),
        ]
        if self._is_open(routes.champion) and not self._is_open(routes.fallback):
            standing.reverse()
        seats = [self._trial_seat(choose(routes, key, self.live())), *standing]
        return [seat for seat in seats if seat is not None]

    def shadow(self, key: str) -> Seat | None:
        """Who is to see a copy of the request with this key."""
        if self._routes.shadow is None:
            return None
        bundle = mirrored(self._routes, key, self.live())
        return None if bundle is None else self._trial_seat(Choice("shadow", bundle))

    def _seat(self, role: Role, bundle: BundleId | None) -> Seat | None:
        batcher = None if bundle is None else self._loaded.get(bundle)
        return None if batcher is None else Seat(role, batcher)

    def _trial_seat(self, choice: Choice) -> Seat | None:
        bundle = choice.bundle
        if choice.role == "champion" or bundle is None or self._is_open(bundle):
            return None
        # What is loaded as champion or fallback is not run a second time.
        batcher = self._trials.get(bundle) or self._loaded.get(bundle)
        if batcher is None:
            return None
        return Seat(choice.role, batcher, choice.variant, self._routes.deadline_seconds)

    def _is_open(self, bundle: BundleId | None) -> bool:
        breaker = None if bundle is None else self._breakers.get(bundle)
        return breaker is not None and breaker.reason is not None

    def answered(self, seat: Seat) -> None:
        """The seat answered a request."""
        if breaker := self._breakers.get(seat.bundle):
            breaker.answered()

    def missed(self, seat: Seat, why: str) -> None:
        """The seat failed on a request; when it goes on so, it is out of the way."""
        breaker = self._breakers.setdefault(seat.bundle, Breaker())
        model = seat.batcher.model
        if isinstance(model, IsolatedModel) and model.dead is not None:
            breaker.trip(model.dead)
        breaker.failed(why)

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
        if self._is_back(wanted):
            # Back to what is loaded: nothing else that the document asks for may delay it.
            self._apply(wanted)
        await self._load(wanted)
        # The stamp was taken before reading: a change in between is seen next time.
        self.complaint, self._stamp = None, stamp
        self._apply(wanted)

    def _is_back(self, wanted: Routes) -> bool:
        return wanted.champion != self._routes.champion and wanted.champion in self._loaded

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    async def _load(self, wanted: Routes) -> None:
        for bundle in (wanted.champion, wanted.fallback, wanted.warm):
            if bundle is None or bundle in self._loaded or bundle in self._unloadable:
                continue
            try:
                model = await asyncio.to_thread(self._open, bundle)
            except EverloopError as error:
                self._unloadable[bundle] = str(error)
            else:
                self._loaded[bundle] = Batcher(model)
        for bundle in wanted.trials():
            if bundle in self._trials or bundle in self._loaded or bundle in self._unloadable:
                continue
            try:
                trial = await asyncio.to_thread(self._try, bundle, wanted.deadline_seconds)
            except EverloopError as error:
                self._unloadable[bundle] = str(error)
            else:
                self._trials[bundle] = Batcher(trial)

    def _open(self, bundle: BundleId) -> Model:
        opened = admit(self._bundles / bundle, bundle, self._admission)
        return Model.load(opened, threads=self._threads, limits=self._admission.limits)

    def _try(self, bundle: BundleId, deadline: float) -> IsolatedModel:
        # Its own process is limited already: no other has to try it first.
        admission = replace(self._admission, trial=None)
        opened = admit(self._bundles / bundle, bundle, admission)
        return IsolatedModel(
            opened, threads=self._threads, limits=admission.limits, deadline=deadline
        )

    def _apply(self, wanted: Routes) -> None:
        for part in LEASED:
            if lease_of(wanted, part) != lease_of(self._wanted, part):
                self._renewed_at[part] = time.monotonic()
        self._wanted = wanted
        champion = wanted.champion
        if champion not in self._loaded and champion is not None:
            # A champion that cannot be loaded is not taken up: the old one goes on.
            champion = self._routes.champion
        self._routes = only_loaded(wanted, self.loaded).model_copy(update={"champion": champion})
        named = wanted.named()
        standing = {champion, wanted.fallback, wanted.warm}
        # Requests in flight hold their own reference to the model they began with.
        self._loaded = {b: batcher for b, batcher in self._loaded.items() if b in standing}
        self._leave(set(self._trials) - (set(wanted.trials()) - set(self._loaded)))
        self._unloadable = {b: why for b, why in self._unloadable.items() if b in named}
        self._breakers = {b: br for b, br in self._breakers.items() if b in {*named, champion}}
        standing_seats = (self._seat("champion", champion), self._seat("fallback", wanted.fallback))
        on_trial = self._routes.canary or self._routes.experiment
        self._plain = [] if on_trial else [seat for seat in standing_seats if seat is not None]

    def _leave(self, bundles: Iterable[BundleId]) -> None:
        """Trials that are over: their processes end once what is in flight is answered."""
        for bundle in bundles:
            asyncio.get_running_loop().create_task(_retire(self._trials.pop(bundle)))

    def close(self) -> None:
        """End the processes of what is on trial."""
        for batcher in self._trials.values():
            if isinstance(batcher.model, IsolatedModel):
                batcher.model.close()


async def _retire(batcher: Batcher) -> None:
    await batcher.idle()
    if isinstance(batcher.model, IsolatedModel):
        await asyncio.to_thread(batcher.model.close)
