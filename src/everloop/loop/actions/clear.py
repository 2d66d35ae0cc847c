"""Clear label tasks that another privacy policy, or none, has cleared."""

from datetime import timedelta

from everloop.action import Action, Outcome
from everloop.loop.clearing import clear
from everloop.loop.project import Project, Turn

_POLL = timedelta(milliseconds=300)


def clear_tasks(project: Project, turn: Turn, _action: Action) -> Outcome:
    """Uncleared tasks opened with their new renditions, or held back."""
    waiting = project.queue.uncleared()
    judged = clear(project, turn, tuple(dict.fromkeys(waiting.values())))
    if judged is None:
        return Outcome(final=False, delay=_POLL)
    done = project.queue.clear(judged.cleared.values(), judged.held, turn.fence)
    return Outcome(final=True, result=dict(done))
