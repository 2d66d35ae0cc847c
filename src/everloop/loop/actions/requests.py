"""Answer what a person asked for without doing it."""

from everloop.action import Action, Outcome
from everloop.loop.project import Project, Turn


def close_request(project: Project, turn: Turn, action: Action) -> Outcome:
    """The request is closed with its answer."""
    answer = str(action.inputs["answer"])
    project.requests.done(str(action.inputs["request"]), answer, turn.fence, turn.now)
    return Outcome(final=True, result={"answer": answer})
