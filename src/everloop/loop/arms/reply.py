"""Answering what people asked for: closed with an answer, or refused with a reason."""

from everloop.action import Action
from everloop.loop.decision import Decision, ask
from everloop.loop.world import Request, World

ARM = "requests"
REFUSED = "refused: "
"""How the answer to a request that may not be granted begins."""


def refuse(world: World, request: Request, reason: str) -> Decision:
    """Close a request without doing what it asks for."""
    return close(world, request, f"{REFUSED}{reason}")


def close(world: World, request: Request, answer: str) -> Decision:
    """Close a request with an answer."""
    action = Action("close-request", {"request": request.id, "answer": answer})
    return ask(world, ARM, action, answer)
