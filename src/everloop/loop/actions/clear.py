"""Clear label tasks that another privacy policy, or none, has cleared."""

from everloop.action import Action, Outcome
from everloop.loop.actions.jobs import POLL
from everloop.loop.clearing import clear
from everloop.loop.project import Project, Turn


def clear_tasks(project: Project, turn: Turn, _action: Action) -> Outcome:
    """Uncleared tasks opened with their new renditions, or held back."""
    waiting = project.queue.uncleared()
    judged = clear(project, turn, tuple(dict.fromkeys(waiting.values())))
    if judged is None:
        return Outcome(final=False, delay=POLL)
    done = project.queue.clear(judged.cleared.values(), judged.held, turn.fence)
    return Outcome(final=True, result=dict(done))
