"""What the workers of one service know, and what is told of it."""

import os
import time
from typing import Any

from everloop_runtime.board import Board, WorkerState
from everloop_runtime.fleet import Fleet
from everloop_runtime.guard import Room
from everloop_runtime.metrics import Figures
from everloop_runtime.outbox import Outbox
from everloop_runtime.predicting import Predictor


class Status:
    """This worker's state, and that of all of them."""

    def __init__(
        self,
        fleet: Fleet,
        outbox: Outbox,
        predictor: Predictor,
        figures: Figures,
        room: Room,
        board: Board,
    ) -> None:
        self._fleet, self._outbox, self._predictor = fleet, outbox, predictor
        self._figures, self._room, self._board = figures, room, board
        self.flushed = 0
        """The latest wish to flush that this worker has fulfilled."""

    def mine(self) -> WorkerState:
        """This worker's state."""
        outbox, figures = self._outbox, self._figures
        figures.counters["everloop_cpu_seconds"] = {"": time.process_time()}
        figures.counters["everloop_capture_bytes"] = {"": outbox.bytes}
        figures.counters["everloop_capture_dropped"] = {"": outbox.dropped}
        figures.counters["everloop_capture_late"] = {"": outbox.late}
        figures.counters["everloop_capture_skipped"] = {"": outbox.skipped}
        figures.gauges["everloop_queue_depth"] = self._predictor.waiting
        figures.gauges["everloop_in_flight"] = self._room.taken
        return WorkerState(
            slot=self._board.slot,
            pid=os.getpid(),
            ready=self._fleet.ready,
            generation=self._fleet.generation,
            served=self._predictor.served,
            dropped=outbox.dropped,
            late=outbox.late,
            skipped=outbox.skipped,
            shown=self._predictor.mirror.shown,
            shed=self._predictor.mirror.shed,
            flushed=self.flushed,
            figures=figures,
        )

    def tell(self) -> None:
        """Tell the other workers this one's state."""
        self._board.publish(self.mine())

    def whole(self) -> tuple[WorkerState, int]:
        """This worker's state with the others' added, and how many workers have told theirs."""
        whole = self.mine()
        others = self._board.others()
        if not others:
            return whole, 1
        whole.figures = Figures()
        whole.figures.add(self._figures)
        whole.served = dict(whole.served)
        for other in others:
            if other is None:
                whole.ready = False
                continue
            whole.ready &= other.ready
            whole.generation = min(whole.generation, other.generation)
            for role, number in other.served.items():
                whole.served[role] = whole.served.get(role, 0) + number
            for name in ("dropped", "late", "skipped", "shown", "shed"):
                setattr(whole, name, getattr(whole, name) + getattr(other, name))
            whole.figures.add(other.figures)
        return whole, 1 + sum(other is not None for other in others)

    def told(self, instance: str) -> dict[str, Any]:
        """What is loaded, applied and captured, as GET /v1/status tells it."""
        fleet = self._fleet
        routes = fleet.routes
        whole, workers = self.whole()
        bundles = {b: {"state": "ready", "reason": None} for b in fleet.loaded}
        failed = {b: {"state": "failed", "reason": why} for b, why in fleet.failed.items()}
        return {
            "instance": instance,
            "pid": os.getpid(),
            "workers": workers,
            "ready": whole.ready,
            "generation": whole.generation,
            "complaint": fleet.complaint,
            "champion": routes.champion,
            "canary": routes.canary.model_dump() if routes.canary else None,
            "canary_live": fleet.lease_alive(),
            "shadow": routes.shadow.model_dump() if routes.shadow else None,
            "experiment": routes.experiment.model_dump() if routes.experiment else None,
            "fallback": routes.fallback,
            "warm": routes.warm,
            "live": sorted(fleet.live()),
            "mirror": {"shown": whole.shown, "shed": whole.shed},
            "bundles": {**bundles, **failed},
            "capture": {
                "dropped": whole.dropped,
                "late": whole.late,
                "skipped": whole.skipped,
                "complaint": self._outbox.complaint,
            },
            "served": whole.served,
            "work": {
                "cpu_seconds": _total(whole.figures, "everloop_cpu_seconds"),
                "capture_bytes": _total(whole.figures, "everloop_capture_bytes"),
                "waiting": whole.figures.gauges["everloop_queue_depth"],
                "in_flight": whole.figures.gauges["everloop_in_flight"],
            },
        }


def _total(figures: Figures, name: str) -> float:
    return sum(figures.counters[name].values())
