"""The first page: the loop."""

from everloop.loop.telling import arms_now
from everloop.rollout.service import live_service
from everloop.web.asked import Answer, Asked, goto
from everloop.web.drawing import page
from everloop.web.views.loop import loop_view

_STEPS = 40


def show(asked: Asked) -> Answer:
    """The ring, the timeline, and what waits for whom. A labeller starts at their tasks."""
    if asked.who.role == "labeller":
        return goto("/label")
    project = asked.project
    world = asked.world()
    address = live_service(project.layout)
    view = loop_view(
        project.policy,
        world,
        arms_now(project, world),
        project.journal.timeline(_STEPS),
        product=project.declaration.product,
        service=address.url if address else None,
        controller=project.leases.holder("controller"),
    )
    return page(asked, "loop.html", title="Loop", view=view)
