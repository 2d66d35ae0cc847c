"""What people found when they were asked about answers drawn at random."""

from everloop.ids import BundleId
from everloop.labelling.agreement import agreeing
from everloop.loop.project import Project
from everloop.loop.world import Audit


def latest_audit(project: Project, bundle: BundleId) -> Audit | None:
    """The newest audit of a bundle's answers; None without one."""
    found = project.queue.latest_audit(bundle)
    if found is None:
        return None
    at, said = found
    return Audit(at, len(said), agreeing(said, project.policy.labelling.same_object))
